from __future__ import annotations

import hashlib
import os
import sys

import pytest

from drawn import drawn
from secretkit.errors import ScanError
from secretkit.scan.confirm import CORE, Confirmer
from secretkit.scan.deadline import DeadlineError
from secretkit.scan.decode.hint import HINT_RULES
from secretkit.scan.engine import NAMES, open_built_in, open_engine
from secretkit.scan.example import built_in_examples
from secretkit.scan.rule import built_in_rules

RULES = built_in_rules()
EXAMPLES = [text.encode() for one in built_in_examples().values() for text in one.matches]
MISSES = [text.encode() for one in built_in_examples().values() for text in one.misses]
KEY = b"sk-ant" + b"-api03-" + drawn("engine", length=95).encode()


@pytest.fixture(scope="module")
def engines():
    return [open_engine(RULES, wanted=name) for name in NAMES]


@pytest.fixture(scope="module")
def confirmer():
    return Confirmer(RULES)


def found_by_all(engines, confirmer, data):
    """Give what every engine leads to, and fail if two differ."""
    first, *others = (confirmer.confirm(data, engine.nominate(data)) for engine in engines)
    for engine, other in zip(engines[1:], others, strict=True):
        assert other == first, engine.name
    return first


def _noise(seed, limit):
    digest = hashlib.blake2b(repr(seed).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % limit


def _mutated(text, seed):
    way = _noise((seed, "way"), 9)
    at = _noise((seed, "at"), len(text) or 1)
    changes = (
        text.upper(),
        text.lower(),
        text.swapcase(),
        text[:at] + b"\0" + text[at:],
        text[:at] + b"\xff\xfe\xe2\x82" + text[at:],
        text[:at] + b"\r\n" + text[at:],
        text.replace(b"\n", b"\r\n"),
        text + text[:at],
        text[at:] + text,
    )
    return changes[way]


def _batches(texts):
    """Give some texts at a time: all on one line would be a search for each rule in each core."""
    return (texts[at : at + 16] for at in range(0, len(texts), 16))


def test_an_example_of_each_rule_leads_every_engine_to_the_same_findings(engines, confirmer):
    seen = set()
    for batch in _batches(EXAMPLES):
        data = b"\n".join(b'key = "%s"' % text for text in batch)
        seen |= {match.rule for match in found_by_all(engines, confirmer, data)}
    assert seen == set(range(len(RULES)))


def test_near_misses_and_mutations_lead_every_engine_to_the_same_findings(engines, confirmer):
    for number, batch in enumerate(_batches(EXAMPLES + MISSES)):
        between = (b"\n", b"\r\n", b" ", b"\0", b"\xc3", b"")[number % 6]
        texts = [_mutated(text, (number, at)) for at, text in enumerate(batch)]
        found_by_all(engines, confirmer, between.join(texts))


@pytest.mark.parametrize("edge", [CORE, 2 * CORE, 1 << 16])
@pytest.mark.parametrize("filler", [b" ", b"\n", b"=", b"0", b"\xe9"])
def test_values_at_an_edge_lead_every_engine_to_the_same_findings(engines, confirmer, edge, filler):
    found = 0
    for number, text in enumerate(EXAMPLES):
        if _noise((number, edge, filler), 200) == 0:
            for back in (len(text) // 2, 1):
                data = filler * (edge - back) + text + b" " + filler * 300
                found += len(found_by_all(engines, confirmer, data))
    assert found or filler == b"0"


def test_a_window_of_the_data_leads_every_engine_to_the_same_findings(engines, confirmer):
    data = b" ".join(EXAMPLES)
    found = [
        found_by_all(engines, confirmer, data[start + 7 : start + 3_007])
        for start in range(0, len(data), len(data) // 8)
    ]
    assert any(found)


def test_a_match_goes_on_into_the_next_line_only_with_a_reach(engines, confirmer):
    text = b"x" * (CORE - 30) + b" aws_secret_access_key =\n " + b"aB3/x+Z9" * 5
    for shift in range(40):
        found = found_by_all(engines, confirmer, b"y" * shift + text)
        assert not any(RULES[one.rule].id == "aws-secret-access-key" for one in found)


@pytest.mark.parametrize("name", NAMES)
def test_an_engine_takes_any_bytes_and_finds_nothing_in_nothing(name):
    rules = [rule for rule in RULES if rule.issuer == "anthropic"]
    engine = open_engine(rules, wanted=name)
    assert engine.name == name
    data = b"key: " + KEY + b"\n"
    expected = sorted(set(engine.nominate(data)))
    assert expected
    for same in (bytearray(data), memoryview(data), memoryview(bytearray(b"--" + data))[2:]):
        assert sorted(set(engine.nominate(same))) == expected
    assert engine.nominate(b"") == []
    assert open_engine([], wanted=name).nominate(KEY) == []


@pytest.mark.parametrize("name", NAMES)
def test_an_engine_works_in_a_child_and_after_it(name):
    rules = [rule for rule in RULES if rule.issuer == "anthropic"]
    engine = open_engine(rules, wanted=name)
    expected = engine.nominate(KEY)
    child = os.fork()
    if child == 0:
        os._exit(0 if engine.nominate(KEY) == expected else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert engine.nominate(KEY) == expected


def test_the_fastest_engine_is_taken_and_an_unknown_one_refused():
    rules = RULES[:3]
    assert open_engine(rules).name == "hyperscan"
    with pytest.raises(ScanError, match="not known") as caught:
        open_engine(rules, wanted="pcre")
    assert "hyperscan" in caught.value.hint


def test_the_built_in_rules_come_from_the_cache_the_second_time(tmp_path):
    folder, told = str(tmp_path / "cache" / "scan"), []
    rules, engine = open_built_in(cache=folder, progress=told.append)
    again, same = open_built_in(cache=folder, progress=told.append)
    assert len(told) == 1
    assert str(len(rules)) in told[0]
    assert list(again) == list(rules)
    assert list(rules[: len(RULES)]) == list(RULES)
    assert again[-1] == rules[-1]
    assert list(again[2:4]) == list(RULES[2:4])
    assert sorted(same.nominate(KEY)) == sorted(engine.nominate(KEY)) != []


def test_other_rules_have_a_cache_entry_of_their_own(tmp_path):
    folder, told = str(tmp_path / "scan"), []
    for rules in (RULES[:5], RULES[:6], RULES[:5]):
        open_engine(rules, cache=folder, progress=told.append)
    assert len(told) == 2


def test_opening_an_engine_without_hyperscan_loads_no_hyperscan():
    before = sys.modules.pop("hyperscan._hs_ext", None)
    try:
        open_engine(RULES[:3], wanted="re")
        assert "hyperscan._hs_ext" not in sys.modules
    finally:
        if before is not None:
            sys.modules["hyperscan._hs_ext"] = before


def test_more_places_than_memory_should_hold_are_an_error():
    engine = open_engine(HINT_RULES, wanted="hyperscan")
    piece = b'ab"+"'
    assert len(engine.nominate(piece * 500_000)) > 499_000
    with pytest.raises(DeadlineError, match="too many places"):
        engine.nominate(piece * 700_000)
    assert engine.nominate(b"") == []
