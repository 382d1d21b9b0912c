import os
from pathlib import Path

import pytest

from secretkit.testing.written import WrittenFiles


@pytest.fixture
def written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old").write_text("x")
    made = WrittenFiles()
    made.begin()
    yield made
    made.close()
    made.close()


def names(paths: list[Path]) -> list[str]:
    return sorted(path.name for path in paths)


def test_a_file_is_given_once_for_each_state_it_was_in(written, tmp_path):
    file = tmp_path / "a"
    file.write_text("1")
    assert names(written.changed(tmp_path)) == ["a", "old"]
    assert written.changed(tmp_path) == []
    file.write_text("22")
    assert names(written.changed(tmp_path)) == ["a"]


@pytest.mark.parametrize(
    "write",
    [
        lambda p: p.write_text("x"),
        lambda p: p.open("ab").close(),
        lambda p: p.open("x").close(),
        lambda p: os.close(os.open(p, os.O_RDWR | os.O_CREAT)),
        lambda p: os.close(os.open(os.fsencode(p), os.O_WRONLY | os.O_CREAT)),
    ],
    ids=["w", "a", "x", "os.open", "bytes"],
)
def test_each_way_of_writing_is_noticed_anywhere(written, tmp_path_factory, write):
    file = tmp_path_factory.mktemp("elsewhere") / "f"
    write(file)
    assert written.changed() == [file]


def test_reading_is_not_writing(written, tmp_path):
    (tmp_path / "old").read_text()
    assert written.changed() == []


def test_a_rename_is_followed(written, tmp_path_factory):
    there = tmp_path_factory.mktemp("elsewhere")
    (there / "a.tmp").write_text("x")
    (there / "a.tmp").replace(there / "a")
    assert written.changed() == [there / "a"]


def test_what_is_no_regular_file_is_passed_over(written, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/dev/zero")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("x")
    assert names(written.changed(tmp_path)) == ["old"]


def test_a_new_test_begins_with_nothing(written, tmp_path):
    (tmp_path / "a").write_text("x")
    written.begin()
    assert written.changed() == []


def test_after_close_nothing_is_noted(written, tmp_path_factory):
    written.close()
    (tmp_path_factory.mktemp("elsewhere") / "f").write_text("x")
    assert written.changed() == []


def test_a_working_directory_that_was_removed_is_no_error(written, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    written.begin()
    assert written.changed() == []
