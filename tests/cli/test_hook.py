"""``secretkit hook run``, which other tools call: short where it may be, never less strict."""

import subprocess
import sys

import pytest

from cli.test_entry import modules_after
from scan.repository import ENVIRON, key

LEAK = key()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


def git(home, *words):
    environ = home.environ | ENVIRON
    subprocess.run(["git", *words], cwd=home.cwd, env=environ, check=True, capture_output=True)


@pytest.fixture
def work(home, cache):
    """A repository with a commit, in a home with compiled rules."""
    home.environ["XDG_CACHE_HOME"] = cache
    git(home, "init", "-q")
    (home.cwd / "old").write_text("old\n")
    git(home, "add", "-A")
    git(home, "commit", "-q", "-m", "x")
    assert home.run("hook", "run")[0] == 0
    return home


def stage(home, **files):
    for name, text in files.items():
        (home.cwd / name).write_text(text)
    git(home, "add", "-A")


@pytest.mark.parametrize("words", [(), ("a", "b"), ("--stage", "pre-commit")])
def test_a_clean_commit_spares_click_and_the_scanner(work, words):
    stage(work, a="x = 1\n", b="y\n")
    _, modules = modules_after(work, "hook", "run", *words)
    assert "secretkit.scan.hook.glance" in modules
    assert not modules & {"click", "secretkit.cli.root", "secretkit.scan.hook.stage", "subprocess"}
    code, _, err = work.run("hook", "run", *words)
    assert (code, err) == (0, b"secretkit: 2 files, 8 bytes scanned, no leaked keys\n")


@pytest.mark.parametrize("words", [(), ("a",), ("--", "a"), ("--stage=pre-commit",), ("./a", "b")])
def test_a_leaked_key_is_found_however_it_is_called(work, words):
    stage(work, a=f"x\n{LEAK}\n", b="y\n")
    code, _, err = work.run("hook", "run", *words)
    assert code == 1
    assert b"a:2:1: critical anthropic-api-key" in err
    assert LEAK.encode()[20:] not in err


def test_only_the_named_files_are_looked_at(work):
    stage(work, a=f"{LEAK}\n", b="y\n")
    assert work.run("hook", "run", "b")[0] == 0
    assert work.run("hook", "run", "b", "a")[0] == 1


def test_a_named_file_counts_from_where_one_stands(work):
    (work.cwd / "inner").mkdir()
    stage(work, **{"inner/a": f"{LEAK}\n", "a": "y\n"})
    environ = work.environ
    call = [sys.executable, "-c", "from secretkit.cli.entry import main; exit(main())"]
    done = subprocess.run(
        [*call, "hook", "run", "a"], cwd=work.cwd / "inner", env=environ, check=False
    )
    assert done.returncode == 1


def test_a_named_file_that_is_not_staged_is_scanned_as_it_stands(work):
    git(work, "rm", "-q", "--cached", "old")
    (work.cwd / "old").write_text(f"{LEAK}\n")
    assert work.run("hook", "run", "old")[0] == 1


@pytest.mark.parametrize("words", [("--stage", "none"), ("--what",), ("--stage",)])
def test_what_is_called_wrongly_is_refused(work, words):
    assert work.run("hook", "run", *words)[0] == 2


def test_help_is_there(work):
    code, out, _ = work.run("hook", "run", "--help")
    assert code == 0
    assert b"--stage" in out
    assert b"--git" not in out


def test_a_secret_that_was_handed_out_stops_the_commit(stocked, cache):
    stocked.environ["XDG_CACHE_HOME"] = cache
    value = "plain-but-9-ours-" + "x7q2"
    assert stocked.run("set", "local:db", "-", given=value.encode())[0] == 0
    with stocked.config.open("a") as file:
        file.write('[credentials.db]\nkind = "opaque"\nsource = "local:db"\n')
    git(stocked, "init", "-q")
    stage(stocked, notes=f"the word is {value}.\n# secretkit: allow it\n")
    assert stocked.run("hook", "run")[0] == 0
    assert stocked.run("token", "db")[0] == 0
    code, _, err = stocked.run("hook", "run")
    assert code == 1
    assert b"generation 1 of the credential db" in err
    assert value.encode() not in err
    assert stocked.run("hook", "install")[0] == 0
    environ = stocked.environ | {k: v for k, v in ENVIRON.items() if k.startswith("GIT_AUTHOR")}
    done = subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-m", "x"],
        cwd=stocked.cwd,
        env=environ,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert b"generation 1 of the credential db" in done.stderr
