from __future__ import annotations

import base64
import gzip
import io
import zipfile

import pytest

from scan.acme import KEY, OTHER, RULES
from secretkit.scan.decode.hint import HINT_RULES
from secretkit.scan.engine import open_engine
from secretkit.scan.finding import Live
from secretkit.scan.fingerprint import Fingerprinter
from secretkit.scan.result import Window
from secretkit.scan.scanner import Scanner


def scanner(**options):
    rules = (*RULES, *HINT_RULES)
    return Scanner(
        rules, engine=open_engine(rules), fingerprints=Fingerprinter([b"k" * 16]), **options
    )


@pytest.fixture(scope="module")
def scan():
    made = scanner()
    return lambda data, path="f", **options: made.scan(data, path=path, **options)


def places(result):
    return [(one.path, one.rule, one.line, one.column) for one in result.findings]


def test_a_finding_says_where_and_what_and_not_the_value(scan):
    (finding,) = scan(b"one\n\xc3\xa9 = '" + KEY + b"'\n", path="a/b").findings
    assert (finding.path, finding.line, finding.column, finding.end_column) == ("a/b", 2, 6, 27)
    assert (finding.rule, finding.severity, finding.confidence) == ("acme-key", "high", "high")
    assert finding.advice == "at acme"
    assert KEY.decode()[4:] not in repr(finding)
    assert KEY.decode()[4:] not in finding.redacted


def test_a_rule_that_knows_the_format_comes_before_one_that_judges(scan):
    assert places(scan(b"key = '" + KEY + b"'\n")) == [("f", "acme-key", 1, 8)]


def test_two_secrets_on_one_line_are_two_findings_both_masked(scan):
    result = scan(KEY + b" " + OTHER + b"\n")
    assert [one.column for one in result.findings] == [1, 23]
    assert all(one.redacted.count("…") == 2 for one in result.findings)


def test_only_a_window_is_reported_with_its_own_line_numbers(scan):
    data = b"\n" + KEY + b"\n" + OTHER + b"\n"
    window = Window(start=10, stop=100, line=7)
    assert places(scan(data, window=window)) == [("f", "acme-key", 9, 1)]


def test_encoded_text_is_reported_where_it_stands(scan):
    encoded = base64.b64encode(b"password file\n" + KEY + b"\n")
    result = scan(b"a\nb\n  data: " + encoded + b"\n")
    (finding,) = result.findings
    assert (finding.line, finding.column) == (3, 9)
    assert finding.end_column == 9 + len(encoded)
    assert encoded.decode()[4:] not in finding.redacted


@pytest.mark.parametrize("engine", ["hyperscan", "re2", "re"])
@pytest.mark.parametrize(
    "encoded",
    [
        base64.b64encode(b"a password file: " + KEY),
        (b"a password file: " + KEY).hex().encode(),
        b"acme%2D" + KEY[5:],
        b"'acme-9f31c07b' + 'e2a84d56'",
        b"'acme-9f31c07b'\n    'e2a84d56'",
    ],
    ids=["base64", "hex", "percent", "joined", "adjacent"],
)
def test_every_engine_leads_to_text_encoded_deep_in_a_file(engine, encoded):
    rules = (*RULES, *HINT_RULES)
    made = Scanner(
        rules,
        engine=open_engine(rules, wanted=engine),
        fingerprints=Fingerprinter([b"k" * 16]),
    )
    data = b"some ordinary line\n" * 9000 + b"x = " + encoded + b"\n" + b"the end\n" * 50
    assert places(made.scan(data, path="f")) == [("f", "acme-key", 9001, 5)]


def test_text_encoded_twice_is_found(scan):
    encoded = base64.b64encode(base64.b64encode(b"a password file: " + KEY))
    assert places(scan(b"x " + encoded + b"\n")) == [("f", "acme-key", 1, 3)]


def test_a_member_of_an_archive_has_a_path_of_its_own(scan):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("conf/prod.env", b"\nK=" + KEY)
    packed = gzip.compress(out.getvalue())
    assert places(scan(packed, path="a.zip.gz")) == [
        ("a.zip.gz!a.zip!conf/prod.env", "acme-key", 2, 3)
    ]


def test_text_in_utf_16_keeps_its_path_and_lines(scan):
    text = "one\nk = " + KEY.decode() + "\n" + "more text\n" * 5
    for encoding in ("utf-16", "utf-16-be", "utf-16-le"):
        assert places(scan(text.encode(encoding))) == [("f", "acme-key", 2, 5)]


def test_a_value_in_pieces_is_found_and_not_twice(scan):
    data = b'x = "acme-9f31c07b" + "e2a84d56"\n'
    assert places(scan(data)) == [("f", "acme-key", 1, 5)]
    data = b'x = "' + KEY + b'" + "suffix"\n'
    assert places(scan(data)) == [("f", "acme-key", 1, 6)]


def test_depth_has_an_end(scan):
    data = b"a password file: " + KEY
    for _ in range(10):
        data = base64.b64encode(data)
    assert scan(data).findings == ()


def test_an_archive_that_is_too_deep_is_said(scan):
    data = b"x = 1\n"
    for _ in range(4):
        data = gzip.compress(data)
    assert scan(data).skipped == ()
    (skipped,) = scan(gzip.compress(data)).skipped
    assert "more than 4 times" in skipped.reason
    assert scan(b"k: " + base64.b64encode(gzip.compress(data)) + b"\n").skipped


class Baseline:
    def __init__(self, *fingerprints):
        self.fingerprints = fingerprints

    def accepts(self, path, fingerprints):
        return next((one for one in fingerprints if one in self.fingerprints), "")


def test_what_a_baseline_accepts_is_no_finding_but_counted(scan):
    (finding,) = scan(KEY).findings
    result = scanner(acceptance=Baseline(finding.fingerprint)).scan(KEY + b"\n" + OTHER, path="f")
    assert [one.line for one in result.findings] == [2]
    assert [one.accepted for one in result.accepted] == ["baseline"]


def test_an_allow_with_a_reason_accepts_its_line(scan):
    result = scan(KEY + b"  # secretkit: allow a dead key\n" + OTHER + b"\n")
    assert [one.line for one in result.findings] == [2]
    assert [one.accepted for one in result.accepted] == ["comment"]


def test_a_fingerprint_is_of_the_value_and_the_key_only(scan):
    one, two = scan(KEY + b"\n\n " + KEY).findings
    assert one.fingerprint == two.fingerprint
    other = Scanner(RULES, engine=open_engine(RULES), fingerprints=Fingerprinter([b"z" * 16]))
    assert other.scan(KEY, path="f").findings[0].fingerprint != one.fingerprint


def test_more_findings_than_anybody_reads_are_cut_and_said_so(scan):
    data = b"\n".join(
        b"acme-%016x" % (number * 0x9E3779B97F4A7C15 % 2**64) for number in range(700)
    )
    result = scan(data)
    assert len(result.findings) == 500
    assert "500" in result.skipped[0].reason


def test_what_is_in_use_is_named():
    class InUse:
        def spans(self, data):
            at = data.find(b"hunter-live-value")
            return [(at, at + 17, Live(credential="claude", generation=3))] if at >= 0 else []

    result = scanner(live=InUse()).scan(b"x: hunter-live-value\n", path="f")
    (finding,) = result.findings
    assert finding.live == Live(credential="claude", generation=3)
    assert finding.severity == "critical"
