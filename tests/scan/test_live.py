from __future__ import annotations

import hashlib

import pytest

from secretkit.scan.engine import open_engine
from secretkit.scan.finding import Live
from secretkit.scan.fingerprint import Fingerprinter
from secretkit.scan.live import KnownSecrets, with_live
from secretkit.scan.rule import built_in_rules
from secretkit.scan.scanner import Scanner
from secretkit.scan.seen import Seen

KEY = bytes(range(32))
VALUE = b"qZ7w" + b"-Lm3pX9" * 4
DOTTED = b"a1b2c3d4e5f6.G7h8:I9j0/K1l2+M3=="
LIVE, OTHER = Live(credential="claude", generation=3), Live(credential="db", generation=1)


def fingerprint(value: bytes) -> str:
    return hashlib.blake2b(value, key=KEY, digest_size=16).hexdigest()


KNOWN = KnownSecrets(
    {fingerprint(VALUE): LIVE, fingerprint(DOTTED): OTHER, fingerprint(b"hunter2x"): OTHER},
    fingerprint=fingerprint,
)


@pytest.mark.parametrize(
    "line",
    [
        "{}",
        "token = '{}'",
        'TOKEN="{}"',
        "Authorization: Bearer {}",
        "export KEY={};",
        "https://user:{}@example.org/path",
        "x?key={}&y=1",
        "<key>{}</key>",
        'key": "{}", "other": 1',
        "it is {}.",
        "[{}]",
        "f({}, 1)",
        "`{}`",
    ],
)
@pytest.mark.parametrize(("value", "live"), [(VALUE, LIVE), (DOTTED, OTHER)])
def test_a_secret_of_ours_is_found_wherever_it_stands(line, value, live):
    data = b"before 12345678901234567890\n" + line.encode().replace(b"{}", value) + b"\nafter"
    ((start, end, which),) = KNOWN.spans(data)
    assert (data[start:end], which) == (value, live)


def test_another_value_and_a_part_of_ours_are_not():
    assert KNOWN.spans(b"token = '" + VALUE[:-1] + b"'") == []
    assert KNOWN.spans(b"token = '" + VALUE + b"x'") == []
    assert KNOWN.spans(b"") == []


def test_every_place_is_given_in_order():
    data = b"a " + VALUE + b" b " + DOTTED + b" c " + VALUE
    assert [live for _, _, live in KNOWN.spans(data)] == [LIVE, OTHER, LIVE]


def test_ours_takes_the_place_of_what_a_rule_found_and_the_rest_stays():
    rules = built_in_rules()
    data = b"x = hunter2x\ny = " + VALUE + b"\nz = otherwise"
    found = [Seen(rules[0], "low", 4, 12), Seen(rules[1], "high", data.index(b"oth"), len(data))]
    merged = with_live(found, data, live=KNOWN)
    assert [(one.rule.id, one.live) for one in merged] == [
        ("live-credential", OTHER),
        ("live-credential", LIVE),
        (rules[1].id, None),
    ]


class Everything:
    def accepts(self, path, fingerprints):
        return fingerprints[0]


@pytest.fixture(scope="module")
def scanner():
    rules = built_in_rules()[:3]
    return Scanner(
        rules,
        engine=open_engine(rules, wanted="re"),
        fingerprints=Fingerprinter([KEY]),
        acceptance=Everything(),
        live=KNOWN,
    )


def test_a_scanner_says_which_credential_leaked_and_nobody_can_accept_it(scanner):
    data = b"x = '" + VALUE + b"'  # secretkit: allow it is fine\n"
    found = scanner.scan(data, path="a.py")
    (finding,) = found.findings
    assert found.accepted == ()
    assert (finding.rule, finding.severity, finding.live) == ("live-credential", "critical", LIVE)
    assert (finding.line, finding.column) == (1, 6)
    assert VALUE.decode() not in repr(found)


def test_a_mebibyte_of_the_worst_candidates_stays_within_two_seconds_each():
    import time

    for piece in (b"a1" * 2048 + b" ", b"a1:b2=c3,d4;e5@f6&g7?h8(" * 9 + b" ", b"1" * 17 + b"\n"):
        data = piece * ((1 << 20) // len(piece))
        before = time.process_time()
        assert KNOWN.spans(data) == []
        assert time.process_time() - before < 2
