from __future__ import annotations

import tomllib

import pytest

from secretkit.scan import rulefile
from secretkit.scan.engine.pack import decode, encode
from secretkit.scan.rule import built_in_rules, lazy_rules, parse_rules, shape_rules, to_record

FILES = rulefile.files()


def test_every_shipped_file_reads_as_toml_does():
    for name, text in FILES:
        whole = tomllib.loads(text)
        for rule in whole["rule"]:
            del rule["matches"], rule["misses"]
        read = rulefile.read(text)
        for rule in read["rule"]:
            rule.pop("matches", None)
            rule.pop("misses", None)
        assert read == whole, name


def test_the_built_in_rules_are_what_the_strict_reader_gives():
    strict = [rule for name, text in FILES for rule in parse_rules(text, file=name)]
    assert list(built_in_rules()) == strict
    assert list(shape_rules()) == [rule for rule in strict if rule.judged == "shape"]


@pytest.mark.parametrize(
    "text",
    [
        "issuer = 'a' # why\n[[rule]]\nid = \"x\"\n",
        'issuer = "tab\\there"\n[[rule]]\nid = "x"\n',
        'issuer = "a"\n[[rule]]\nkeywords = ["a", # one\n"b"]\n',
        'issuer = "a"\n[[rule]]\npattern = """\nabc"""\n',
        'issuer = "a"\n[[rule]]\nkeywords = [\'a\', "b\\"c", \'d\\\']\nentropy = 3.5\nreach = 12\n',
        'issuer = "a"\n[[rule]]\nkeywords = [\n  "a",\n  "b",\n]\n',
    ],
)
def test_what_is_not_plain_reads_as_toml_does(text):
    assert rulefile.read(text) == tomllib.loads(text)


def test_what_is_not_toml_is_refused():
    with pytest.raises(tomllib.TOMLDecodeError):
        rulefile.read('issuer = "a"\nissuer = "b"\n[[rule]]\nid = "x"\n')


def test_a_rule_comes_back_from_its_record():
    rules = built_in_rules()
    pack = decode(encode(b"", [to_record(rule) for rule in rules]))
    assert pack is not None
    lazy = lazy_rules(pack)
    assert len(lazy) == len(rules)
    assert list(lazy) == list(rules)
    assert lazy[-1] is lazy[len(rules) - 1]
    with pytest.raises(IndexError):
        lazy[len(rules)]
