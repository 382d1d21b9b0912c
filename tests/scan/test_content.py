from __future__ import annotations

import os

import pytest

from secretkit.scan.content import LARGEST, scan_descriptor
from secretkit.scan.engine import open_engine
from secretkit.scan.fingerprint import Fingerprinter
from secretkit.scan.rule import parse_rules
from secretkit.scan.scanner import Scanner

RULES = parse_rules(
    """
issuer = "acme"
[[rule]]
id = "acme-key"
description = "Acme key"
pattern = 'acme-[0-9a-f]{16}'
keywords = ["acme-"]
severity = "high"
confidence = "high"
matches = []
misses = []
""",
    file="acme.toml",
)
KEY = b"acme-" + b"9f31c07be2a84d56"
MIB = 1 << 20


@pytest.fixture
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
