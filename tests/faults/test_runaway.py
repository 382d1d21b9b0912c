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
# With it a mebibyte a rule instead of 8 KiB: half an hour.
FULL = "SECRETKIT_FULL" in os.environ  # noqa: TID251 - an option of the suite, not of ours
SIZE = 1 << (20 if FULL else 13)
SHARES = 8


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


@pytest.mark.parametrize("share", range(SHARES))
def test_a_near_miss_of_any_rule_repeated_on_one_line_takes_less_than_two_seconds(scanner, share):
    for rule_id in sorted(EXAMPLES)[share::SHARES]:
        for number, probe in enumerate(_probes(rule_id)):
            data = (probe * (SIZE // len(probe) + 1))[:SIZE]
            started = time.process_time()
            scan_text(data, path="x", scanner=scanner)
            assert time.process_time() - started < (2 if FULL else 1), (rule_id, number)
