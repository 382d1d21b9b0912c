from __future__ import annotations

import os
import subprocess

import pytest

from secretkit.errors import ConfigError
from secretkit.scan.acceptance import read_baseline
from secretkit.scan.baseline import NAME, Baseline
from secretkit.scan.run import Run, Settings, root_of, workers

BODY = "Zq3Xv8Rt1Lm6Yw0Pb5Ke9Ju2Hd7Nc4Gf"
VALUE = "-".join(("sk-ant", "api03", (BODY * 3)[:93] + "AA"))
TEXT = f'KEY = "{VALUE}"\n'
MARKED = f'KEY = "{VALUE}"  # secretkit: allow revoked\n'
NOBODY = frozenset[str]()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    folder.chmod(0o700)
    return str(folder)


@pytest.fixture
def run(tmp_path, cache):
    def make(**settings) -> Run:
        known = {
            "root": tmp_path,
            "here": tmp_path,
            "baseline": read_baseline(tmp_path / NAME),
            "key": bytes(32),
            "cache": cache,
        }
        return Run(Settings(**{**known, **settings}))

    return make


def git(folder, *words):
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    environ = {"PATH": os.defpath, "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", *identity, *words]
    subprocess.run(command, cwd=folder, env=environ, check=True, capture_output=True)


def test_a_tree_a_text_a_stage_and_a_history_give_the_same_finding(run, tmp_path):
    (tmp_path / "a.py").write_text(TEXT)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "a.py")
    staged = run().staged()
    git(tmp_path, "commit", "-q", "-m", "x")
    found = [
        run(here=tmp_path).tree([tmp_path / "a.py"]),
        run().text(TEXT.encode(), path="a.py"),
        staged,
        run().history(""),
    ]
    assert [len(one.findings) for one in found] == [1, 1, 1, 1]
    assert len({one.findings[0].fingerprint for one in found}) == 1
    assert len({one.findings[0].line for one in found}) == 1
    assert all(VALUE not in repr(one) for one in found)


def test_who_is_honoured_decides_what_is_found(run):
    data = MARKED.encode()
    assert len(run().text(data, path="a").accepted) == 1
    for honoured in (NOBODY, frozenset({"baseline"})):
        summary = run(honoured=honoured).text(data, path="a")
        assert summary.accepted == ()
        (finding,) = summary.findings
        assert finding.accepted == ""


def test_accepted_findings_are_written_under_the_key_they_were_made_with(run, tmp_path):
    scan = run(key=bytes(range(32)))
    summary = scan.text(TEXT.encode(), path="a.py")
    left = scan.accept(summary, reason="revoked", file=tmp_path / NAME)
    assert left.findings == ()
    assert [one.accepted for one in left.accepted] == ["baseline"]
    made = read_baseline(tmp_path / NAME)
    assert made.keys == (bytes(range(32)),)
    assert [one.reason for one in made.entries] == ["revoked"]
    assert run().text(TEXT.encode(), path="a.py").findings == ()
    assert len(run().text(TEXT.encode(), path="b.py").findings) == 1


def test_a_baseline_on_disk_with_another_key_keeps_both(run, tmp_path):
    first, second = run(key=bytes(range(32))), run(key=bytes(range(1, 33)))
    for scan, path in ((first, "a.py"), (second, "b.py")):
        scan.accept(scan.text(TEXT.encode(), path=path), reason="x", file=tmp_path / NAME)
    assert len(read_baseline(tmp_path / NAME).keys) == 2
    for path in ("a.py", "b.py"):
        assert run().text(TEXT.encode(), path=path).findings == ()


@pytest.mark.parametrize("reason", ["", " ", "a\nb", "\x1b[2J", "x" * 201, f"it is {VALUE}"])
def test_a_bad_reason_is_refused_and_nothing_is_written(run, tmp_path, reason):
    scan = run()
    summary = scan.text(TEXT.encode(), path="a.py")
    with pytest.raises(ConfigError, match="reason") as caught:
        scan.accept(summary, reason=reason, file=tmp_path / NAME)
    assert VALUE not in str(caught.value)
    assert not (tmp_path / NAME).exists()


def test_nothing_found_writes_no_baseline(run, tmp_path):
    scan = run()
    scan.accept(scan.text(b"clean", path="a"), reason="none", file=tmp_path / NAME)
    assert list(tmp_path.iterdir()) == []


def test_excluded_paths_count_from_the_root_in_every_mode(run, tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.py").write_text(TEXT)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "src/a.py")
    scan = run(exclude=("/src/*.py",))
    assert scan.tree([tmp_path / "src"]).findings == ()
    assert scan.staged().findings == ()
    git(tmp_path, "commit", "-q", "-m", "x")
    assert scan.history("").findings == ()
    assert len(run(exclude=("/a.py",)).history("").findings) == 1


def test_confidence_low_gives_at_least_what_medium_gives(run):
    data = f'{TEXT}password = "hunter2hunter2"\n'.encode()
    found = {level: run(confidence=level).text(data, path="a") for level in ("low", "high")}
    assert len(found["low"].findings) >= len(found["high"].findings) == 1


def test_unused_entries_are_those_that_accepted_nothing(run, tmp_path):
    scan = run()
    scan.accept(scan.text(TEXT.encode(), path="a.py"), reason="x", file=tmp_path / NAME)
    again = run()
    assert again.unused(again.text(TEXT.encode(), path="a.py")) == []
    assert [one.path for one in again.unused(again.text(b"", path="a.py"))] == ["a.py"]


def test_the_root_is_the_top_of_the_repository_or_the_directory_itself(tmp_path):
    (tmp_path / "repo/.git").mkdir(parents=True)
    (tmp_path / "repo/src").mkdir()
    (tmp_path / "repo/src/a").write_text("")
    for path in ("repo", "repo/src", "repo/src/a"):
        assert root_of(tmp_path / path) == tmp_path / "repo"
    (tmp_path / "plain/sub").mkdir(parents=True)
    (tmp_path / "plain/a").write_text("")
    assert root_of(tmp_path / "plain/sub") == tmp_path / "plain/sub"
    assert root_of(tmp_path / "plain/a") == tmp_path / "plain"


def test_there_is_at_least_one_worker_and_no_herd():
    assert 1 <= workers() <= 8


def test_an_empty_baseline_accepts_nothing(run):
    assert len(run(baseline=Baseline()).text(TEXT.encode(), path="a").findings) == 1
