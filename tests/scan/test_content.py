from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile

import pytest

from scan.acme import KEY, OTHER, RULES
from secretkit.scan.content import LARGEST, scan_descriptor
from secretkit.scan.engine import open_engine
from secretkit.scan.fingerprint import Fingerprinter
from secretkit.scan.scanner import Scanner

MIB = 1 << 20


@pytest.fixture(scope="module")
def scanner():
    return Scanner(
        RULES, engine=open_engine(RULES), fingerprints=Fingerprinter([b"a key of sixteen"])
    )


@pytest.fixture
def scan(tmp_path, scanner):
    def run(*pieces):
        path = tmp_path / "file"
        with path.open("wb") as file:
            for piece in pieces:
                file.write(piece)
        return scan_descriptor(os.open(path, os.O_RDONLY), path="file", scanner=scanner)

    return run


def test_a_small_file_is_scanned(scan):
    summary = scan(b"one\nk = ", KEY, b"\n")
    (finding,) = summary.findings
    assert (finding.line, finding.column, finding.end_column) == (2, 5, 26)
    assert (summary.files, summary.size) == (1, 30)


@pytest.mark.parametrize("shift", [-30, -21, -10, -1, 0, 1, 4096, 32768, 2 * MIB])
@pytest.mark.parametrize("edge", [4 * MIB, 8 * MIB])
def test_a_key_at_any_edge_of_a_window_is_found_once_and_in_its_place(scan, edge, shift):
    line = b"0123456789abcde\n"
    at = edge + shift
    before = line * (at // len(line)) + b"\n" * (at % len(line))
    (finding,) = scan(before, KEY, b"\n", line * (MIB // len(line))).findings
    assert finding.line == before.count(b"\n") + 1
    assert finding.column == 1


def test_columns_count_on_in_a_line_longer_than_a_window(scan):
    (finding,) = scan(b"x" * 100 + b" " * (9 * MIB), KEY).findings
    assert (finding.line, finding.column) == (1, 9 * MIB + 101)


def test_two_keys_in_two_windows_are_two_findings(scan):
    summary = scan(KEY, b"\n" * (5 * MIB), KEY, b"\n" * (5 * MIB), KEY)
    assert [one.line for one in summary.findings] == [1, 5 * MIB + 1, 10 * MIB + 1]
    assert summary.size == 10 * MIB + 3 * len(KEY)


def test_more_than_is_allowed_is_said_to_be_left_out(tmp_path, scanner):
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.write(KEY)
        file.truncate(LARGEST + MIB)
    summary = scan_descriptor(os.open(path, os.O_RDONLY), path="sparse", scanner=scanner)
    assert len(summary.findings) == 1
    assert "256 MiB" in summary.skipped[0].reason
    assert summary.size == LARGEST


def test_a_file_of_exactly_the_limit_is_whole(tmp_path, scanner):
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(LARGEST)
    summary = scan_descriptor(os.open(path, os.O_RDONLY), path="sparse", scanner=scanner)
    assert summary.skipped == ()


def test_a_directory_gives_nothing_and_is_closed(tmp_path, scanner):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    assert scan_descriptor(descriptor, path=".", scanner=scanner).files == 0
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def tarred(*members):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def stored(*members):
    made = io.BytesIO()
    with zipfile.ZipFile(made, mode="w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return made.getvalue()


def test_a_tar_larger_than_a_window_is_unpacked(scan):
    large = ("large", b"some line\n" * MIB)
    archive = tarred(("first", b"\n" + KEY), large, ("last.gz", gzip.compress(b"\n\n" + OTHER)))
    summary = scan(archive)
    assert [(one.path, one.line) for one in summary.findings] == [
        ("file!first", 2),
        ("file!last.gz!last", 3),
    ]
    assert summary.skipped == ()
    assert summary.size == len(archive)


@pytest.mark.parametrize("pack", [tarred, stored])
def test_an_archive_too_large_to_unpack_is_said_once_and_read_as_it_is(scan, pack):
    archive = pack(("zeros", bytes(33 * MIB)), ("last", KEY))
    summary = scan(archive)
    assert [one.path for one in summary.findings] == ["file"]
    (skipped,) = summary.skipped
    assert "larger than 32 MiB: not unpacked" in skipped.reason


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_lines_count_on_in_text_of_wide_characters_larger_than_a_window(scan, encoding):
    line = "0123456789abcdé\n"
    text = line * (5 * MIB // 16) + "k = " + KEY.decode() + "\n" + line * (5 * MIB // 16)
    summary = scan(text.encode(encoding))
    (finding,) = summary.findings
    assert (finding.line, finding.column) == (5 * MIB // 16 + 1, 5)
    assert summary.skipped == ()
    assert summary.size == len(text.encode(encoding))


@pytest.mark.parametrize("shift", [-60, -42, -40, -2, 0, 2, 32768])
def test_a_key_of_wide_characters_at_the_edge_of_a_window_is_found_once(scan, shift):
    before = "\n" * (4 * MIB + shift >> 1)
    (finding,) = scan((before + KEY.decode() + "\n" * MIB).encode("utf-16-le")).findings
    assert (finding.line, finding.column) == (len(before) + 1, 1)


def test_bytes_behind_the_start_of_wide_text_are_scanned_as_they_are(scan):
    (finding,) = scan("a line\n".encode("utf-16-le") * 80, b"\n" * (5 * MIB), KEY).findings
    assert finding.line == 80 + 5 * MIB + 1
