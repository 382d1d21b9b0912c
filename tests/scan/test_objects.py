"""Objects are read by name through one process, whatever their size, and nothing is made up."""

from __future__ import annotations

import pytest

from scan.repository import Repository, key, means
from secretkit.errors import ScanError
from secretkit.scan.git import Git
from secretkit.scan.objects import WHOLE_BLOB, Objects

KEY = key()


@pytest.fixture
def repository(tmp_path):
    made = Repository(tmp_path / "work")
    made.commit(a="x\ny", empty="", large=b"z" * (WHOLE_BLOB + 1))
    return made


@pytest.fixture
def objects(repository):
    with Objects(Git(repository.folder)) as opened:
        yield opened


def test_contents_are_given_to_the_byte_in_any_order(objects):
    assert [objects.read(name) for name in ("HEAD:a", "HEAD:empty", "HEAD:a")] == [
        b"x\ny",
        b"",
        b"x\ny",
    ]


def test_what_is_not_there_is_none_and_the_next_is_read(objects):
    assert objects.read("HEAD:none") is None
    assert objects.read("1" * 40) is None
    assert objects.read("HEAD:a") == b"x\ny"


def test_what_is_large_is_refused_and_the_next_is_read(objects):
    with pytest.raises(ScanError, match="larger than 4 MiB"):
        objects.read("HEAD:large")
    assert objects.read("HEAD:a") == b"x\ny"


def test_findings_name_the_commit_that_is_given(repository, objects):
    repository.commit(a=f"{KEY}\n", large=b"z\n" * WHOLE_BLOB + KEY.encode())
    scanner = means(objects).scanner
    for name, line in (("a", 1), ("large", WHOLE_BLOB + 1)):
        oid = repository.git("rev-parse", f"HEAD:{name}")
        found = objects.scan(oid, path=name, scanner=scanner, commit="c")
        assert [(one.line, one.commit) for one in found.findings] == [(line, "c")]
        assert (found.files, found.blobs) == (1, 1)


def test_a_blob_of_exactly_the_limit_is_read_at_once(repository, objects):
    repository.commit(b=b"z" * WHOLE_BLOB)
    assert len(objects.read("HEAD:b") or b"") == WHOLE_BLOB


def test_a_process_that_ends_is_an_error_and_not_an_empty_file(repository, tmp_path):
    program = tmp_path / "git"
    program.write_text('#!/bin/sh\nread line; echo "$line blob 100"; echo too short\n')
    program.chmod(0o755)
    git = Git(repository.folder, program=str(program))
    with Objects(git) as objects:
        with pytest.raises(ScanError, match="ended before"):
            objects.read("HEAD:a")
        found = objects.scan("1" * 40, path="a", scanner=means(objects).scanner)
        assert [one.path for one in found.skipped] == ["a"]
        assert found.files == 0
