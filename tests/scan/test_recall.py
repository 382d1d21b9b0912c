"""Recall: a repeat scan looks only at what is new, and trusts no file that others could write."""

from __future__ import annotations

import json
import random  # noqa: TID251 - seeded, so that a failure can be repeated

import pytest

from scan.history import Repository, history, token


@pytest.fixture
def rng():
    return random.Random(11)  # noqa: S311 - no secrets of anybody


@pytest.fixture
def repository(tmp_path, rng):
    made = Repository(tmp_path / "repository")
    lines = [f"line {number} {rng.random()}" for number in range(100)]
    for number in range(5):
        lines[number * 20] = token(rng)
        made.commit(a__txt="\n".join(lines))
    made.pack()
    return made


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def file_of(cache):
    (file,) = cache.iterdir()
    return file


def test_a_repeat_scan_looks_at_nothing_and_reports_the_same(repository, cache):
    first = history(repository.folder, cache=cache).scan()
    again = history(repository.folder, cache=cache).scan()
    assert (first.blobs, again.blobs) == (5, 0)
    assert again.findings == first.findings
    assert len(again.findings) == 5


def test_only_what_is_new_is_looked_at(repository, cache, rng):
    first = history(repository.folder, cache=cache).scan()
    commit = repository.commit(b__txt=token(rng))
    again = history(repository.folder, cache=cache).scan()
    assert again.blobs == 1
    assert [one.commit for one in again.findings if one not in first.findings] == [commit]
    assert len(again.findings) == 6


def test_a_new_pack_of_what_was_seen_is_not_looked_at(repository, cache, rng):
    history(repository.folder, cache=cache).scan()
    repository.commit(b__txt=token(rng))
    repository.pack()
    again = history(repository.folder, cache=cache).scan()
    assert (again.blobs, len(again.findings)) == (1, 6)


def test_the_file_is_the_users_own_and_holds_no_value(repository, cache, rng):
    secret = token(rng)
    repository.commit(b__txt=secret)
    history(repository.folder, cache=cache).scan()
    file = file_of(cache)
    assert (cache.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    assert secret not in file.read_text()
    assert json.loads(file.read_text())["hits"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_text("{"),
        lambda file: file.write_text("[]"),
        lambda file: file.write_bytes(b"\xff\xfe"),
        lambda file: file.write_text(json.dumps(json.loads(file.read_text()) | {"digest": "x"})),
        lambda file: file.write_text(json.dumps(json.loads(file.read_text()) | {"blobs": "?"})),
        lambda file: file.write_text(json.dumps(json.loads(file.read_text()) | {"hits": [1]})),
        lambda file: file.chmod(0o644),
        lambda file: file.parent.chmod(0o755),
        lambda file: file.rename(file.with_suffix(".x")),
    ],
    ids=["cut", "list", "bytes", "rules", "blobs", "hits", "mode", "folder", "gone"],
)
def test_what_cannot_be_trusted_is_not(repository, cache, damage):
    first = history(repository.folder, cache=cache).scan()
    damage(file_of(cache))
    again = history(repository.folder, cache=cache).scan()
    assert again == first


def test_a_link_is_not_followed(repository, cache, tmp_path):
    first = history(repository.folder, cache=cache).scan()
    file = file_of(cache)
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    assert history(repository.folder, cache=cache).scan() == first


def test_a_cache_in_the_repository_is_neither_written_nor_read(repository):
    for folder in (repository.folder / "cache", repository.folder / ".git" / "cache"):
        for _ in range(2):
            assert history(repository.folder, cache=folder).scan().blobs == 5


def test_what_failed_is_tried_again(repository, cache, rng):
    oid = repository.git("hash-object", "-w", "--stdin", given=token(rng).encode()).decode().strip()
    loose = repository.folder / ".git" / "objects" / oid[:2] / oid[2:]
    whole = loose.read_bytes()
    loose.chmod(0o644)
    loose.write_bytes(whole[:-10])
    first = history(repository.folder, cache=cache).scan()
    assert len(first.skipped) == 1
    assert history(repository.folder, cache=cache).scan().skipped == first.skipped
    loose.write_bytes(whole)
    again = history(repository.folder, cache=cache).scan()
    assert (len(again.findings), again.skipped) == (6, ())
