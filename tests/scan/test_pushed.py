"""What a push brings is scanned commit by commit, and nothing that the other side has."""

from __future__ import annotations

import pytest

from scan.repository import Repository, key, means
from secretkit.errors import ScanError
from secretkit.scan.git import Git
from secretkit.scan.objects import Objects
from secretkit.scan.pushed import (
    Update,
    range_updates,
    received_updates,
    scan_pushed,
    sent_updates,
)

KEY, OTHER = key(), key("two")
REMOTE = "--remotes=origin"


@pytest.fixture
def repository(tmp_path):
    """A clone of a bare repository with one commit, which holds KEY."""
    bare = Repository(tmp_path / "bare.git", "--bare")
    made = Repository(tmp_path / "work")
    made.commit(old=f"{KEY}\n")
    made.git("remote", "add", "origin", str(bare.folder))
    made.git("push", "-q", "origin", "main")
    return made


def scan(repository, *updates: Update, lacking=(REMOTE,)):
    git = Git(repository.folder)
    with Objects(git) as objects:
        return scan_pushed(git, updates, lacking=lacking, means=means(objects))


def found(summary):
    return [(one.commit, one.path, one.line) for one in summary.findings]


def test_each_new_commit_is_scanned_and_named(repository):
    repository.commit(a="x\n")
    second = repository.commit(d__b=f"1\n{OTHER}\n")
    summary = scan(
        repository, Update("refs/heads/main", repository.git("rev-parse", "@~2"), second)
    )
    assert found(summary) == [(second, "d/b", 2)]
    assert (summary.commits, summary.blobs) == (2, 2)


def test_what_a_later_commit_takes_out_again_is_still_found(repository):
    first = repository.commit(a=f"{OTHER}\n")
    last = repository.commit(a="gone\n")
    assert found(scan(repository, Update("refs/heads/main", "", last))) == [(first, "a", 1)]


def test_what_the_remote_holds_is_not_found_again(repository):
    repository.git("mv", "old", "new")
    repository.stage(new=f"{KEY}\nmore\n")
    last = repository.commit()
    assert found(scan(repository, Update("refs/heads/main", "", last))) == []


def test_a_new_branch_is_scanned_from_where_the_remote_ends(repository):
    repository.git("checkout", "-q", "-b", "topic")
    last = repository.commit(a=f"{OTHER}\n")
    summary = scan(repository, Update("refs/heads/topic", "", last))
    assert (found(summary), summary.commits) == ([(last, "a", 1)], 1)


def test_without_a_known_remote_everything_is_scanned(repository):
    first = repository.git("rev-parse", "HEAD")
    summary = scan(repository, Update("refs/heads/main", "", first), lacking=())
    assert found(summary) == [(first, "old", 1)]


def test_a_deletion_brings_nothing(repository):
    old = repository.git("rev-parse", "HEAD")
    assert scan(repository, Update("refs/heads/main", old, "")).blobs == 0


def test_a_forced_push_over_a_commit_that_is_not_here_is_scanned(repository):
    last = repository.commit(a=f"{OTHER}\n")
    summary = scan(repository, Update("refs/heads/main", "1" * 40, last))
    assert found(summary) == [(last, "a", 1)]


def test_of_a_merge_what_either_side_and_the_merge_itself_bring_is_found(repository):
    repository.commit(both="1\n2\n3\n")
    repository.git("push", "-q", "origin", "main")
    repository.git("checkout", "-q", "-b", "side")
    side = repository.commit(a=f"{OTHER}\n")
    repository.git("checkout", "-q", "main")
    repository.commit(b="x\n")
    repository.git("merge", "-q", "--no-ff", "--no-commit", "side")
    third = key("three")
    merge = repository.commit(both=f"1\n2\n3\n{third}\n")
    summary = scan(repository, Update("refs/heads/main", "", merge))
    assert found(summary) == [(side, "a", 1), (merge, "both", 4)]


def test_a_tag_and_a_blob_alone_are_scanned(repository):
    repository.git("checkout", "-q", "--orphan", "alone")
    repository.git("rm", "-q", "-f", "old")
    last = repository.commit(a=f"{OTHER}\n")
    repository.git("tag", "-a", "-m", "x", "v1")
    tag = repository.git("rev-parse", "v1")
    assert found(scan(repository, Update("refs/tags/v1", "", tag))) == [(last, "a", 1)]
    blob = repository.git("hash-object", "-w", "--stdin", given=key("four").encode())
    assert found(scan(repository, Update("refs/tags/b", "", blob))) == [(None, "(no path)", 1)]


def test_names_with_line_breaks_are_given_whole(repository):
    repository.put("a\nb", f"{OTHER}\n")
    last = repository.commit()
    assert found(scan(repository, Update("refs/heads/main", "", last))) == [(last, "a\nb", 1)]


def test_what_git_tells_the_hooks_is_read():
    one, two, none = "1" * 40, "2" * 40, "0" * 40
    told = f"refs/heads/a {one} refs/heads/b {two}\n(delete) {none} refs/heads/c {two}\n"
    assert sent_updates(told.encode()) == [
        Update("refs/heads/b", two, one),
        Update("refs/heads/c", two, ""),
    ]
    assert sent_updates(f"HEAD@{{1 day ago}} {one} refs/heads/b {none}\n".encode()) == [
        Update("refs/heads/b", "", one)
    ]
    assert received_updates(f"{none} {two} refs/heads/x\n".encode()) == [
        Update("refs/heads/x", "", two)
    ]


@pytest.mark.parametrize("told", [b"nonsense\n", b"a b c d\n", b"a --all c " + b"0" * 40])
def test_anything_else_is_refused(told):
    with pytest.raises(ScanError, match="what is pushed"):
        sent_updates(told)


def test_a_range_of_revisions_is_resolved(repository):
    last = repository.commit(a=f"{OTHER}\n")
    git = Git(repository.folder)
    first = repository.git("rev-parse", "@~1")
    assert range_updates(git, old="main~1", new="main") == [Update("main", first, last)]
    assert range_updates(git, old="0" * 40, new="main") == [Update("main", "", last)]
    with pytest.raises(ScanError, match="no such revision"):
        range_updates(git, old="", new="--all")
