"""No rule runs away: what nearly matches it, repeated on one line, costs linear time at most."""

from __future__ import annotations

import os
import time

import pytest

from secretkit.scan.content import scan_text
from secretkit.scan.engine import open_built_in
from secretkit.scan.example import built_in_examples
from secretkit.scan.fingerprint import Fingerprinter
from secretkit.scan.scanner import Scanner

EXAMPLES = built_in_examples()
# With it three probes a rule and not one, and the slowest at a mebibyte: ten minutes.
FULL = "SECRETKIT_FULL" in os.environ  # noqa: TID251 - an option of the suite, not of ours
SMALL, LARGE = 1 << (14 if FULL else 13), 1 << 20
WORST = 12  # of a share, that are slowest by the byte when they are small
SHARES = 8
pytestmark = pytest.mark.timeout(600 if FULL else 120)


@pytest.fixture(scope="module")
def scanner(tmp_path_factory):
    rules, engine = open_built_in(cache=str(tmp_path_factory.mktemp("cache") / "scan"))
    return Scanner(rules, engine=engine, fingerprints=Fingerprinter([b"k" * 32]))


def _probes(rule_id):
    """Give what nearly matches: an example without its end, and the start of one."""
    example = EXAMPLES[rule_id].matches[0].replace("\n", " ").encode()
    yield example[:-1] or example
    if FULL:
        yield example[: len(example) // 2] or example
        yield example[:-1] + b" "


def _seconds(scanner, probe, *, size):
    """Give the processor time that a scan of ``size`` bytes of it takes."""
    data = (probe * (size // len(probe) + 1))[:size]
    started = time.process_time()
    scan_text(data, path="x", scanner=scanner)
    return time.process_time() - started


@pytest.mark.parametrize("share", range(SHARES))
def test_a_near_miss_of_any_rule_repeated_on_one_line_takes_less_than_two_seconds(scanner, share):
    taken = [
        (_seconds(scanner, probe, size=SMALL), rule_id, probe)
        for rule_id in sorted(EXAMPLES)[share::SHARES]
        for probe in _probes(rule_id)
    ]
    taken.sort(reverse=True)
    assert taken[0][0] < 1, taken[0][1]
    for _, rule_id, probe in taken[:WORST] if FULL else ():
        assert _seconds(scanner, probe, size=LARGE) < 2, rule_id
