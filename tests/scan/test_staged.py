"""What is staged is what is scanned, and only what is new in it counts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from scan.repository import ENVIRON, Repository, key, places
from secretkit.errors import ScanError
from secretkit.scan.git import Git
from secretkit.scan.staged import changes, staged

KEY, OTHER = key(), key("two")


@pytest.fixture
def repository(tmp_path):
    made = Repository(tmp_path / "work")
    made.commit(old="old\n")
    return made


def test_the_index_is_scanned_and_not_the_work_tree(repository):
    repository.stage(a=f"1\n2\n{KEY}\n")
    repository.write(a="nothing\n")
    assert places(repository.scan()) == [("a", 3)]


def test_a_secret_in_the_work_tree_only_is_none(repository):
    repository.stage(a="nothing\n")
    repository.write(a=f"{KEY}\n", b=f"{KEY}\n")
    found = repository.scan()
    assert (found.findings, found.files, found.size) == ((), 1, 8)


def test_a_partly_staged_file_has_the_lines_of_the_index(repository):
    repository.stage(a=f"1\n{KEY}\n")
    repository.write(a=f"0\n0\n0\n1\n{KEY}\n{OTHER}\n")
    assert places(repository.scan()) == [("a", 2)]


def test_the_first_commit_is_scanned_whole(tmp_path):
    repository = Repository(tmp_path / "work")
    repository.stage(a=f"{KEY}\n", b__c="x\n")
    found = repository.scan()
    assert (places(found), found.files) == ([("a", 1)], 2)


def test_a_repository_with_long_object_ids_works_from_the_first_commit_on(tmp_path):
    repository = Repository(tmp_path / "work", "--object-format=sha256")
    repository.stage(a=f"{KEY}\n")
    assert places(repository.scan()) == [("a", 1)]
    repository.commit()
    repository.stage(b=f"x\n{OTHER}\n")
    assert places(repository.scan()) == [("b", 2)]


def test_nothing_staged_is_nothing_scanned(repository):
    found = repository.scan()
    assert (found.files, found.findings) == (0, ())


def test_a_value_that_was_there_does_not_block_a_change_of_its_file(repository):
    repository.commit(a=f"1\n{KEY}\n")
    repository.stage(a=f"0\n1\n{KEY}  # another comment\n")
    assert places(repository.scan()) == []


def test_a_new_value_in_a_file_with_an_old_one_blocks_alone(repository):
    repository.commit(a=f"{KEY}\n")
    repository.stage(a=f"{KEY}\n{OTHER}\n")
    assert places(repository.scan()) == [("a", 2)]


def test_a_moved_file_is_not_new_but_a_copied_value_is(repository):
    repository.commit(a=f"{KEY}\n" + "x\n" * 20)
    repository.git("mv", "a", "b")
    assert places(repository.scan()) == []
    repository.git("mv", "b", "a")
    repository.stage(c=f"{KEY}\n")
    assert places(repository.scan()) == [("c", 1)]


def test_a_rename_with_a_new_value_is_found_under_its_new_name(repository):
    repository.commit(a="x\n" * 50)
    repository.git("mv", "a", "b")
    repository.stage(b="x\n" * 50 + KEY)
    assert places(repository.scan()) == [("b", 51)]


def test_a_change_of_mode_and_a_deletion_need_nothing(repository):
    repository.commit(a=f"{KEY}\n", b=f"{OTHER}\n")
    (repository.folder / "a").chmod(0o755)
    (repository.folder / "b").unlink()
    repository.git("add", "-A")
    found = repository.scan()
    assert (found.files, found.findings) == (0, ())


def test_the_target_of_a_link_is_scanned_and_the_link_not_followed(repository):
    (repository.folder.parent / "outside").write_text(OTHER)
    (repository.folder / "out").symlink_to("../outside")
    (repository.folder / "a").symlink_to(KEY)
    repository.git("add", "-A")
    assert places(repository.scan()) == [("a", 1)]


def test_a_submodule_is_counted_and_not_entered(repository, tmp_path):
    other = Repository(tmp_path / "other")
    other.commit(a=f"{KEY}\n")
    words = ("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other.folder), "sub")
    repository.git(*words)
    assert staged(Git(repository.folder)).submodules == 1
    assert [one.path for one in staged(Git(repository.folder)).changes] == [".gitmodules"]
    assert repository.scan().skipped == ()


def test_an_intended_file_holds_nothing_yet(repository):
    repository.write(a=f"{KEY}\n")
    repository.git("add", "-N", "a")
    assert staged(Git(repository.folder)).changes == ()


def test_of_a_merge_only_what_no_parent_holds_is_new(repository):
    repository.commit(both="1\n2\n3\n4\n5\n")
    repository.git("checkout", "-q", "-b", "side")
    repository.commit(theirs=f"{OTHER}\n", both="1\n2\n3\n4\nside\n")
    repository.git("checkout", "-q", "main")
    repository.commit(ours="x\n", both="main\n2\n3\n4\n5\n")
    repository.git("merge", "-q", "--no-commit", "--no-ff", "side")
    assert [one.path for one in staged(Git(repository.folder)).changes] == ["both"]
    assert places(repository.scan()) == []
    repository.stage(both=f"main\n2\n3\n4\nside\n{KEY}\n{OTHER}\n")
    assert places(repository.scan()) == [("both", 6)], "OTHER comes from the other branch"


def test_a_conflict_is_reported_as_not_scanned(repository):
    repository.commit(a="1\n")
    repository.git("checkout", "-q", "-b", "side")
    repository.commit(a="2\n")
    repository.git("checkout", "-q", "main")
    repository.commit(a="3\n")
    repository.git("merge", "-q", "side", code=1)
    assert [(one.path, one.reason) for one in repository.scan().skipped] == [
        ("a", "is in conflict: nothing is staged for it")
    ]


def test_another_index_counts_in_a_hook_and_nowhere_else(repository):
    repository.stage(a=f"{KEY}\n")
    other = {"GIT_INDEX_FILE": str(repository.folder / "elsewhere")}
    repository.git("read-tree", "HEAD", **other)
    assert places(repository.scan(inherited=other)) == []
    assert places(repository.scan()) == [("a", 1)]


def test_a_linked_work_tree_has_its_own_index(repository, tmp_path):
    repository.git("worktree", "add", "-q", str(tmp_path / "linked"))
    (tmp_path / "linked" / "a").write_text(KEY)
    subprocess.run(["git", "add", "a"], cwd=tmp_path / "linked", env=ENVIRON, check=True)
    linked = object.__new__(Repository)
    linked.folder = tmp_path / "linked"
    assert places(linked.scan()) == [("a", 1)]
    assert places(repository.scan()) == []


def test_shallow_sparse_and_partial_clones_work(repository, tmp_path):
    for count in range(3):
        repository.commit(**{f"d{count}__f": f"{count}\n", "top": f"{count}\n"})
    repository.git("config", "uploadpack.allowFilter", "true")
    clone = object.__new__(Repository)
    clone.folder, clone.environ = tmp_path / "clone", repository.environ
    url = f"file://{repository.folder}"
    words = ["git", "clone", "-q", "--depth=1", "--filter=blob:none", "--sparse", url, "clone"]
    subprocess.run(words, cwd=tmp_path, env=repository.environ, check=True)
    assert not (clone.folder / "d0").exists()
    clone.git("sparse-checkout", "set", "--sparse-index", "--cone", "d1")
    clone.stage(d1__new=f"{KEY}\n", top="changed\n")
    assert places(clone.scan()) == [("d1/new", 1)]


def test_only_the_wanted_paths_are_scanned(repository):
    repository.stage(a=f"{KEY}\n", b=f"{OTHER}\n")
    assert places(repository.scan(only=frozenset({"b"}))) == [("b", 1)]


def test_a_large_file_is_scanned_to_its_end(repository):
    repository.stage(a="x" * 79 + "\n" + ("y" * 79 + "\n") * 70_000 + KEY + "\n")
    found = repository.scan()
    assert places(found) == [("a", 70_002)]
    assert found.size > 5_000_000


@pytest.mark.parametrize("name", ["a b", "a\nb", "a\x1b[2Jb", "a\u202eb", "::error::x", '"q"'])
def test_any_name_is_given_as_it_is(repository, name):
    repository.put(name, f"{KEY}\n")
    repository.git("add", "-A")
    assert places(repository.scan()) == [(name, 1)]


def test_a_name_that_is_no_utf_8_is_kept(repository):
    name = os.fsdecode(os.fsencode(repository.folder) + b"/a\xff")
    Path(name).write_text(KEY)
    repository.git("add", "-A")
    assert places(repository.scan()) == [("a\udcff", 1)]


def test_a_blob_that_is_gone_is_reported_as_not_scanned(repository):
    repository.stage(a="x\n")
    oid = repository.git("rev-parse", ":a")
    (repository.folder / ".git" / "objects" / oid[:2] / oid[2:]).unlink()
    found = repository.scan()
    assert [one.path for one in found.skipped] == ["a"]


def test_a_broken_index_is_an_error(repository):
    (repository.folder / ".git" / "index").write_bytes(b"DIRC but no more")
    with pytest.raises(ScanError, match="diff-index failed"):
        repository.scan()


def test_a_broken_head_is_an_error(repository):
    (repository.folder / ".git" / "HEAD").write_text("nonsense\n")
    with pytest.raises(ScanError):
        repository.scan()


def test_what_is_no_list_of_changes_is_an_error():
    with pytest.raises(ScanError, match="no list"):
        changes(b"nonsense\0a\0")
