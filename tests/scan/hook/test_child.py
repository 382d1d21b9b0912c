"""A git process is asked through pipes, and whatever it does wrong is unclear."""

from __future__ import annotations

import os

import pytest

from scan.repository import Repository
from secretkit.scan.hook.child import Child, Unclear


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "work")


@pytest.fixture
def batch(repository):
    words = ("/usr/bin/git", "-C", str(repository.folder), "cat-file", "--batch")
    child = Child(words, dict(repository.environ))
    yield child
    child.end()


def test_blobs_come_in_the_order_they_are_asked_for(repository, batch):
    contents = [b"x" * (count * 700) + b"\n" * (count % 3) for count in range(450)]
    repository.stage(**{f"f{count}": one for count, one in enumerate(contents)})
    oids = [repository.git("rev-parse", f":f{count}").encode() for count in (0, 3, 449, 2)]
    assert list(batch.blobs(oids)) == [contents[count] for count in (0, 3, 449, 2)]


def test_an_answer_is_a_blob_or_nothing(repository, batch):
    repository.stage(a="one\n")
    batch.ask(b":a\n:b\nHEAD\n")
    assert batch.answer(b":a") == b"one\n"
    assert batch.answer(b":b") is None
    assert batch.answer(b"HEAD") is None


def test_a_commit_is_no_blob(repository, batch):
    repository.commit(a="one\n")
    batch.ask(b"HEAD\n")
    with pytest.raises(Unclear):
        batch.answer(b"HEAD")


def test_a_large_one_is_not_read(repository, batch):
    repository.stage(a=b"x" * (5 << 20))
    oid = repository.git("rev-parse", ":a").encode()
    with pytest.raises(Unclear, match="large"):
        list(batch.blobs([oid]))


@pytest.mark.parametrize(
    "script", ["exit 0", "exit 1", "echo nonsense", "echo 1234 blob 9; echo x"]
)
def test_what_ends_early_or_talks_nonsense_is_unclear(script):
    child = Child(("/bin/sh", "-c", f"read line; {script}"), {"PATH": os.defpath})
    try:
        with pytest.raises(Unclear):
            list(child.blobs([b"1234"]))
    finally:
        child.end()


def test_a_listing_counts_only_if_it_ended_well():
    for code, fine in ((0, True), (1, False)):
        child = Child(("/bin/sh", "-c", f"echo all; exit {code}"), {"PATH": os.defpath})
        try:
            if fine:
                assert child.everything() == b"all\n"
            else:
                with pytest.raises(Unclear):
                    child.everything()
        finally:
            child.end()
