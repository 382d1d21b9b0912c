import base64
import csv
import io
import json
import os
import pty
import subprocess
import xml.etree.ElementTree as ET

import pytest

from cli.conftest import Home

NAME = ".secretkit-baseline"
BODIES = ("Zq3Xv8Rt1Lm6Yw0Pb5Ke9Ju2Hd7Nc4Gf", "Ge7Bn2Kx9Qw4Ty6Ui1Op3As8Df5Hj0Lz")
VALUE, OTHER = ("-".join(("sk-ant", "api03", (body * 3)[:93] + "AA")) for body in BODIES)
ODD = "=a\x1b[2J\n\u202e::error::"


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    folder.chmod(0o700)
    return folder


@pytest.fixture
def repo(tmp_path, cache):
    """A home whose working directory is a repository with one key in it."""
    home = Home(tmp_path)
    home.environ["XDG_CACHE_HOME"] = str(cache)
    git(home, "init", "-q", "-b", "main")
    (home.cwd / "app.py").write_text(f'x = 1\nKEY = "{VALUE}"\n')
    return home


def git(home, *words):
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    done = subprocess.run(
        ["git", *identity, *words], cwd=home.cwd, env=home.environ, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def commit(home):
    git(home, "add", "-A")
    git(home, "commit", "-q", "-m", "change")


def scan(home, *words, code, given=b""):
    found, out, err = home.run("scan", *words, given=given)
    assert found == code, (out, err)
    for value in (VALUE, OTHER):
        for spelled in (value, value[4:40], base64.b64encode(value.encode()).decode()):
            assert spelled not in out.decode("utf-8", "replace") + err.decode("utf-8", "replace")
    return out.decode(), err.decode()


def places(text):
    return [(one["path"], one["line"], one["column"]) for one in json.loads(text)["findings"]]


def test_a_key_is_found_and_the_exit_code_says_so(repo):
    out, err = scan(repo, code=1)
    assert out.startswith("app.py:2:8: critical anthropic-api-key (high confidence)\n")
    assert '    | KEY = "sk-a…"' in out
    assert err.startswith("1 found; 1 file, ") or "\n1 found; 1 file, " in err


def test_a_clean_tree_is_zero_and_says_how_much_was_read(repo):
    (repo.cwd / "app.py").write_text("x = 1\n")
    out, err = scan(repo, code=0)
    assert out == ""
    assert "nothing found; 1 file, 6 bytes scanned" in err
    assert scan(repo, "-q", code=0) == ("", "")


def test_json_has_the_finding_and_the_counts(repo):
    for words in (("--json",), ("--format", "json")):
        document = json.loads(scan(repo, *words, code=1)[0])
        (finding,) = document["findings"]
        assert finding["rule"] == "anthropic-api-key"
        assert (finding["line"], finding["column"]) == (2, 8)
        assert finding["end_column"] == 8 + len(VALUE)
        assert document["stats"]["files"] == 1
        assert document["stats"]["skipped"] == []


def test_two_runs_say_the_same_in_the_same_order(repo):
    for name in ("b.py", "a.py", "z/c.py"):
        (repo.cwd / name).parent.mkdir(exist_ok=True)
        (repo.cwd / name).write_text(f'K = "{OTHER}"\nL = "{VALUE}"\n')
    first, second = (json.loads(scan(repo, "--json", code=1)[0]) for _ in range(2))
    assert first["findings"] == second["findings"]
    found = [(one["path"], one["line"]) for one in first["findings"]]
    assert found == sorted(found)
    assert len(found) == 7


def test_every_format_survives_the_worst_names(repo):
    (repo.cwd / ODD).write_text(VALUE)
    (repo.cwd / os.fsdecode(b"c\xff.txt")).write_text(VALUE)
    out, _ = scan(repo, code=1)
    assert out.replace("\n", "").isprintable()
    assert sum(": critical " in line for line in out.splitlines()) == 3
    assert not any(line.lstrip().startswith("::") for line in out.splitlines())
    assert len(places(scan(repo, "--json", code=1)[0])) == 3
    sarif = json.loads(scan(repo, "--format", "sarif", code=1)[0])
    assert len(sarif["runs"][0]["results"]) == 3
    junit = ET.fromstring(scan(repo, "--format", "junit", code=1)[0])  # noqa: S314 - our own
    assert junit.get("failures") == "3"
    rows = list(csv.DictReader(io.StringIO(scan(repo, "--format", "csv", code=1)[0])))
    assert len(rows) == 3


def test_a_report_goes_into_a_file_of_its_owners(repo):
    (repo.cwd / "out.json").write_text("old")
    out, err = scan(repo, "--json", "--output", "out.json", code=1)
    assert out == ""
    assert "1 found" in err
    assert (repo.cwd / "out.json").stat().st_mode & 0o777 == 0o600
    assert len(places((repo.cwd / "out.json").read_text())) == 1
    assert VALUE not in (repo.cwd / "out.json").read_text()
    _, err = scan(repo, "--output", "none/out", code=2)
    assert "cannot be written" in err


def test_standard_input_is_scanned_under_the_name_it_is_given(repo):
    text = f"a\nb {VALUE}\n".encode()
    out, _ = scan(repo, "--stdin", "--path", "src/x.py", "--json", code=1, given=text)
    assert places(out) == [("src/x.py", 2, 3)]
    assert places(scan(repo, "--stdin", "--json", code=1, given=text)[0])[0][0] == "stdin"
    scan(repo, "--stdin", code=0, given=b"clean")


def test_several_paths_and_single_files_are_scanned(repo):
    (repo.cwd / "src").mkdir()
    (repo.cwd / "src/b.py").write_text(f'K = "{OTHER}"\n')
    out, _ = scan(repo, "app.py", "src", "--json", code=1)
    assert [path for path, _, _ in places(out)] == ["app.py", "src/b.py"]
    assert places(scan(repo, str(repo.cwd), "--json", code=1)[0])[0][0] == f"{repo.cwd}/app.py"


@pytest.mark.parametrize(
    "words",
    [
        ["--staged", "--history"],
        ["--staged", "--stdin"],
        ["--history", "main", "--stdin"],
        ["--stdin", "app.py"],
        ["--path", "x"],
        ["--staged", "app.py", "src"],
        ["--accept"],
        ["--accept", "--reason", ""],
        ["--reason", "x"],
        ["--accept", "--reason", "x", "--no-accepted"],
        ["--base", "HEAD", "--no-accepted"],
        ["--format", "html"],
        ["--confidence", "certain"],
        ["none"],
        ["--baseline", "none"],
        ["--rules", "none"],
    ],
)
def test_what_contradicts_itself_is_refused_with_a_hint(repo, words):
    out, err = scan(repo, *words, code=2)
    assert out == ""
    assert "hint: " in err


def test_what_could_not_be_scanned_is_neither_clean_nor_a_finding(repo):
    (repo.cwd / "app.py").write_text("x = 1\n")
    with (repo.cwd / "large").open("wb") as file:
        file.truncate(300 << 20)
    out, err = scan(repo, code=3)
    assert "large: not scanned in full: " in out
    assert "1 not scanned in full" in err
    (skipped,) = json.loads(scan(repo, "--json", code=3)[0])["stats"]["skipped"]
    assert skipped["path"] == "large"


def test_a_repository_that_git_cannot_read_is_not_called_clean(repo):
    (repo.cwd / ".git/HEAD").write_text("nothing\n")
    assert "hint: " in scan(repo, code=3)[1]


def test_excluded_paths_are_left_out(repo):
    (repo.cwd / "docs").mkdir()
    (repo.cwd / "docs/x.md").write_text(VALUE)
    out, _ = scan(repo, "--exclude", "docs/", "--exclude", "*.txt", "--json", code=1)
    assert [path for path, _, _ in places(out)] == ["app.py"]
    scan(repo, "--exclude", "docs/", "--exclude", "app.py", code=0)


def test_a_rule_of_ones_own_is_used_and_a_wrong_one_is_said(repo):
    (repo.cwd / "app.py").write_text("acme_" + "q7w8e9r0t1y2u3i4" + "\n")
    (repo.cwd / "rules.toml").write_text(
        'issuer = "acme"\n[[rule]]\nid = "acme-key"\ndescription = "ACME key"\n'
        "pattern = 'acme_[a-z0-9]{16}'\nkeywords = [\"acme_\"]\n"
        'severity = "high"\nconfidence = "high"\nmatches = []\nmisses = []\n'
    )
    scan(repo, code=0)
    assert "acme-key" in scan(repo, "--rules", "rules.toml", code=1)[0]
    assert "two rules acme-key" in scan(repo, *("--rules", "rules.toml") * 2, code=2)[1]
    (repo.cwd / "rules.toml").write_text("nonsense")
    assert "rules.toml" in scan(repo, "--rules", "rules.toml", code=2)[1]


def test_a_gitleaks_configuration_adds_rules_and_takes_none_away(repo):
    (repo.cwd / "b.txt").write_text("acme_" + "q7w8e9r0t1y2u3i4" + "\n")
    (repo.cwd / "gitleaks.toml").write_text(
        "[[rules]]\nid = 'acme'\nregex = 'acme_[a-z0-9]{16}'\nkeywords = ['acme_']\n"
        "[[rules]]\nid = 'anthropic-api-key'\nregex = 'nothing'\nkeywords = ['nothing']\n"
        "[allowlist]\npaths = ['.*']\n"
    )
    wanted = ("--rules", "gitleaks.toml", "--exclude", "*.toml", "--json")
    out, err = scan(repo, *wanted, code=1)
    assert [one["rule"] for one in json.loads(out)["findings"]] == ["anthropic-api-key", "acme"]
    assert "gitleaks.toml: 2 rules of gitleaks are in use" in err
    assert "allowlist: not taken over" in err


# What is accepted


def test_an_accepted_finding_is_counted_and_no_longer_reported(repo):
    _, err = scan(repo, "--accept", "--reason", "revoked on 3 May", code=0)
    assert f"1 accepted in {repo.cwd}/{NAME}" in err
    text = (repo.cwd / NAME).read_text()
    assert text.splitlines()[-1].endswith(" app.py  # revoked on 3 May")
    assert VALUE not in text
    assert (repo.cwd / ".gitattributes").read_text() == f"{NAME} merge=union\n"
    _, err = scan(repo, code=0)
    assert "1 accepted (1 by baseline)" in err
    assert (repo.cwd / NAME).read_text() == text


def test_accepting_keeps_what_was_accepted_and_writes_the_same_bytes_again(repo):
    scan(repo, "--accept", "--reason", "first", code=0)
    (repo.cwd / "b.py").write_text(f'K = "{OTHER}"\n')
    scan(repo, "--accept", "--reason", "second", code=0)
    text = (repo.cwd / NAME).read_text()
    assert text.count("# first") == text.count("# second") == text.count("\nkey ") == 1
    scan(repo, "--accept", "--reason", "third", code=0)
    assert (repo.cwd / NAME).read_text() == text


def test_another_secret_at_an_accepted_place_is_found(repo):
    scan(repo, "--accept", "--reason", "revoked", code=0)
    (repo.cwd / "app.py").write_text(f'\n\n\nx = 1\nKEY = "{VALUE}"\n')
    scan(repo, code=0)
    (repo.cwd / "app.py").write_text(f'x = 1\nKEY = "{OTHER}"\n')
    scan(repo, code=1)


def test_another_key_gives_other_fingerprints_and_the_same_key_the_same(repo):
    def fingerprint():
        return json.loads(scan(repo, "--json", "--no-accepted", code=1)[0])["findings"][0][
            "fingerprint"
        ]

    mine = fingerprint()
    assert fingerprint() == mine
    scan(repo, "--accept", "--reason", "revoked", code=0)
    first = fingerprint()
    assert first in (repo.cwd / NAME).read_text()
    (repo.cwd / NAME).unlink()
    scan(repo, "--accept", "--reason", "revoked", code=0)
    assert len({mine, first, fingerprint()}) == 3


def test_a_reason_must_not_hold_the_secret(repo):
    found, out, err = repo.run("scan", "--accept", "--reason", f"it is {VALUE}")
    assert found == 2
    assert not (repo.cwd / NAME).exists()
    assert VALUE.encode() not in out + err


def test_a_comment_with_a_reason_accepts_and_ci_can_refuse_both(repo):
    (repo.cwd / "app.py").write_text(f'KEY = "{VALUE}"  # secretkit: allow revoked\n')
    (repo.cwd / "b.py").write_text(f'KEY = "{OTHER}"\n')
    scan(repo, "b.py", "--accept", "--reason", "revoked", code=0)
    _, err = scan(repo, code=0)
    assert "2 accepted (1 by baseline, 1 by comment)" in err
    assert len(places(scan(repo, "--no-accepted", "--json", code=1)[0])) == 2


def test_the_baseline_is_honoured_from_a_subdirectory_and_by_absolute_path(repo):
    (repo.cwd / "src").mkdir()
    (repo.cwd / "app.py").rename(repo.cwd / "src/app.py")
    scan(repo, "src", "--accept", "--reason", "revoked", code=0)
    assert " src/app.py  # revoked" in (repo.cwd / NAME).read_text()
    for words in ((), ("src",), ("src/app.py",), (str(repo.cwd / "src"),)):
        scan(repo, *words, code=0)
    found, _, err = repo.run("scan", cwd=repo.cwd / "src")
    assert found == 0, err


def test_the_baseline_is_honoured_in_every_mode(repo):
    scan(repo, "--accept", "--reason", "revoked", code=0)
    git(repo, "add", "-A")
    scan(repo, "--staged", code=0)
    commit(repo)
    _, err = scan(repo, "--history", code=0)
    assert "1 accepted (1 by baseline)" in err
    text = f'KEY = "{VALUE}"'.encode()
    scan(repo, "--stdin", "--path", "app.py", code=0, given=text)
    scan(repo, "--stdin", "--path", "b.py", code=1, given=text)


def test_what_the_baseline_no_longer_needs_is_named(repo):
    scan(repo, "--accept", "--reason", "revoked", code=0)
    assert "not needed" not in scan(repo, "--no-accepted", code=1)[1]
    (repo.cwd / "app.py").write_text("x = 1\n")
    assert f"not needed for this tree: {NAME}: app.py  # revoked" in scan(repo, code=0)[1]


def test_the_value_is_left_nowhere_by_any_mode_or_format(repo, cache):
    git(repo, "add", "-A")
    for form in ("text", "json", "sarif", "junit", "csv"):
        found, _, err = repo.run("scan", "-v", "--format", form, "--output", f"report.{form}")
        assert found == 1
        assert VALUE.encode() not in err
    repo.run("scan", "--staged", "-v")
    commit(repo)
    scan(repo, "--history", "-v", code=1)
    scan(repo, "--accept", "--reason", "revoked", "-v", code=0)
    spelled = [VALUE, VALUE[20:60], VALUE.encode().hex(), base64.b64encode(VALUE.encode()).decode()]
    for folder in (repo.path, cache):
        for path in folder.rglob("*"):
            if path.is_file() and ".git" not in path.parts and path.name != "app.py":
                content = path.read_bytes()
                assert not any(one.encode() in content for one in spelled), path


def test_a_file_that_is_named_after_its_key_does_not_give_it_away(repo):
    (repo.cwd / "app.py").rename(repo.cwd / f"{VALUE}.txt")
    for form in ("text", "json", "sarif", "junit", "csv"):
        scan(repo, "--format", form, code=1)
    scan(repo, "--accept", "--reason", "revoked", code=0)
    assert VALUE not in (repo.cwd / NAME).read_text()
    scan(repo, code=0)


# Staged and history


def test_what_is_staged_counts_and_not_what_lies_in_the_tree(repo):
    scan(repo, "--staged", code=0)
    git(repo, "add", "app.py")
    (repo.cwd / "app.py").write_text("clean\n")
    assert places(scan(repo, "--staged", "--json", code=1)[0]) == [("app.py", 2, 8)]


def test_a_baseline_counts_for_a_commit_once_it_is_staged_too(repo):
    commit(repo)
    (repo.cwd / "b.py").write_text(f'K = "{OTHER}"\n')
    git(repo, "add", "b.py")
    scan(repo, "--staged", "--accept", "--reason", "an example", code=0)
    scan(repo, "--staged", code=1)
    git(repo, "add", NAME)
    _, err = scan(repo, "--staged", code=0)
    assert "in this very change accepted by baseline: b.py:1: anthropic-api-key" in err
    commit(repo)
    _, err = scan(repo, "--staged", code=0)
    assert "very change" not in err


def test_a_range_names_only_what_is_new_in_it(repo):
    commit(repo)
    with (repo.cwd / "app.py").open("a") as file:
        file.write("more = 1\n")
    commit(repo)
    scan(repo, "--history", "HEAD~1..HEAD", code=0)
    with (repo.cwd / "app.py").open("a") as file:
        file.write(f'K = "{OTHER}"\n')
    commit(repo)
    assert len(places(scan(repo, "--history", "HEAD~1..HEAD", "--json", code=1)[0])) == 1


def test_a_second_scan_of_history_reports_all_again(repo):
    commit(repo)
    first = json.loads(scan(repo, "--history", "--json", code=1)[0])
    again = json.loads(scan(repo, "--history", "--json", code=1)[0])
    assert again["findings"] == first["findings"]
    assert (first["stats"]["blobs"], again["stats"]["blobs"]) == (1, 0)


def test_history_finds_what_was_taken_out_and_names_its_commit(repo):
    commit(repo)
    (repo.cwd / "app.py").write_text("clean\n")
    commit(repo)
    scan(repo, code=0)
    (finding,) = json.loads(scan(repo, "--history", "--json", code=1)[0])["findings"]
    assert finding["path"] == "app.py"
    assert len(finding["commit"]) == 40
    scan(repo, "--history", "HEAD~1..HEAD", code=0)
    found, _, _ = repo.run("scan", "--history", str(repo.cwd), cwd=repo.path)
    assert found == 1
    found, _, _ = repo.run("scan", str(repo.cwd), "--history", cwd=repo.path)
    assert found == 1
    assert "hint: " in scan(repo, "--history", "none..main", code=3)[1]


def test_a_bare_repository_has_history_too_and_its_own_baseline(repo):
    commit(repo)
    git(repo, "clone", "-q", "--bare", ".", "../bare.git")
    scan(repo, "--history", "../bare.git", code=1)
    scan(repo, "../bare.git", "--history", "main", code=1)
    scan(repo, "--accept", "--reason", "revoked", code=0)
    commit(repo)
    git(repo, "push", "-q", "../bare.git", "main")
    scan(repo, "--history", "../bare.git", code=0)


@pytest.mark.parametrize("words", [["--staged"], ["--history"], ["--base", "main"]])
def test_what_needs_a_repository_says_where_there_is_none(repo, words):
    (repo.cwd / ".git").rename(repo.cwd / "git")
    assert "there is no git repository in" in scan(repo, *words, code=2)[1]


# A stranger's repository


def test_a_pull_request_cannot_accept_its_own_leak_where_ci_names_the_base(repo):
    (repo.cwd / "app.py").write_text("x = 1\n")
    commit(repo)
    git(repo, "checkout", "-q", "-b", "topic")
    (repo.cwd / "app.py").write_text(f'KEY = "{VALUE}"\n')
    (repo.cwd / "b.py").write_text(f'KEY = "{OTHER}"  # secretkit: allow trust me\n')
    scan(repo, "app.py", "--accept", "--reason", "trust me", code=0)
    commit(repo)
    _, err = scan(repo, code=0)
    assert "2 accepted (1 by baseline, 1 by comment)" in err
    assert len(places(scan(repo, "--base", "main", "--json", code=1)[0])) == 2
    out, _ = scan(repo, "--history", "main..topic", "--base", "main", "--json", code=1)
    assert len(places(out)) == 2
    _, err = scan(repo, "--history", "main..topic", code=0)
    assert err.count("in this very change accepted by ") == 2


def test_a_configuration_of_the_repository_turns_nothing_off_unless_it_is_trusted(repo):
    (repo.cwd / "secretkit.toml").write_text('[scan]\nexclude = ["*"]\nconfidence = "high"\n')
    (repo.cwd / ".gitleaks.toml").write_text("[allowlist]\npaths = ['''.*''']\n")
    _, err = scan(repo, code=1)
    assert "secretkit.toml is ignored: not trusted" in err
    assert repo.run("config", "trust")[0] == 0
    scan(repo, code=0)


@pytest.mark.parametrize(
    "text", ["[scan]\nrules_off = true", "[scan]\nexclude = 3", "[scan]\nconfidence = 'x'"]
)
def test_a_wrong_setting_is_named(repo, text):
    (repo.cwd / "own.toml").write_text(text)
    found, _, err = repo.run("-c", "own.toml", "scan")
    assert found == 2
    assert b"scan." in err


def test_a_baseline_that_is_a_link_or_a_pipe_stops_the_scan_at_once(repo):
    (repo.cwd / NAME).symlink_to("/dev/zero")
    assert "link" in scan(repo, code=2)[1]
    (repo.cwd / NAME).unlink()
    os.mkfifo(repo.cwd / NAME)
    assert "regular" in scan(repo, code=2)[1]


def test_without_a_place_for_its_key_a_scan_says_so_and_goes_on(repo):
    repo.environ["XDG_STATE_HOME"] = "/proc/none"
    assert "fingerprints hold for this run only" in scan(repo, code=1)[1]


# Secrets of our own


def test_a_secret_that_was_handed_out_is_named_with_its_generation(stocked, cache):
    stocked.environ["XDG_CACHE_HOME"] = str(cache)
    value = "plain-but-9-ours-" + "x7q2"
    assert stocked.run("set", "local:db", "-", given=value.encode())[0] == 0
    with stocked.config.open("a") as file:
        file.write('[credentials.db]\nkind = "opaque"\nsource = "local:db"\n')
    (stocked.cwd / "notes.md").write_text(f"the word is {value}.\n# secretkit: allow it\n")
    code, out, _ = stocked.run("scan", "--json")
    assert (code, json.loads(out)["findings"]) == (0, [])
    assert stocked.run("token", "db")[0] == 0
    code, out, err = stocked.run("scan", "--json")
    assert code == 1, err
    (finding,) = json.loads(out)["findings"]
    assert finding["rule"] == "live-credential"
    assert finding["live"] == {"credential": "db", "generation": 1}
    assert value.encode() not in out + err
    code, out, err = stocked.run("scan", "--accept", "--reason", "fine")
    assert code == 1
    assert b"generation 1 of the credential db" in out
    assert b"secretkit set db" in out
    assert not (stocked.cwd / NAME).exists()


def test_a_scan_makes_no_ledger_and_goes_on_without_one_it_cannot_read(stocked, cache):
    stocked.environ["XDG_CACHE_HOME"] = str(cache)
    (stocked.cwd / "a").write_text("clean")
    ledger = stocked.state / "ledger.db"
    for path in stocked.state.glob("ledger.db*"):
        path.unlink()
    assert stocked.run("scan")[0] == 0
    assert not ledger.exists()
    ledger.write_text("no database")
    ledger.chmod(0o600)
    code, _, err = stocked.run("scan")
    assert code == 0
    assert b"the secrets handed out so far are not looked for" in err


# A terminal


def on_terminal(home, *words, both):
    lead, follow = pty.openpty()
    process = home.start("scan", *words, stdout=follow, **({"stderr": follow} if both else {}))
    os.close(follow)
    seen = b""
    while True:
        try:
            chunk = os.read(lead, 65536)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
    process.communicate()
    os.close(lead)
    return process.returncode, seen


def test_a_terminal_gets_colours_unless_they_are_turned_off(repo):
    repo.environ["TERM"] = "xterm-256color"
    code, seen = on_terminal(repo, both=False)
    assert code == 1
    assert b"\x1b[" in seen
    assert VALUE.encode() not in seen
    code, seen = on_terminal(repo, "--no-color", both=False)
    assert code == 1
    assert b"\x1b[3" not in seen
    assert b"\x1b[" not in scan(repo, code=1)[0].encode()
