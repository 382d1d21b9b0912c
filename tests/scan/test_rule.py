from __future__ import annotations

import re

import pytest

from secretkit.errors import ConfigError
from secretkit.scan.example import built_in_examples, parse_examples
from secretkit.scan.finder import Finder
from secretkit.scan.rule import built_in_rules, parse_rules

RULES = built_in_rules()
FINDER = Finder(RULES)
EXAMPLES = built_in_examples()
GOOD = """
issuer = "acme"
[[rule]]
id = "acme-key"
description = "Acme key"
pattern = 'acme-[a-z]{8}'
keywords = ["acme-"]
severity = "high"
confidence = "high"
matches = [["ac", "me-", { of = "ab", length = 8 }]]
misses = [["acme-x"]]
"""


def test_every_issuer_asked_for_has_rules():
    issuers = {rule.issuer for rule in RULES}
    assert issuers >= {
        "anthropic",
        "aws",
        "vault",
        "github",
        "gitlab",
        "slack",
        "google",
        "openai",
        "stripe",
        "npm",
        "jwt",
        "pem",
        "url",
    }


def test_ids_are_unique():
    assert len({rule.id for rule in RULES}) == len(RULES)


def test_a_rule_finds_its_own_examples_and_passes_over_its_misses():
    for rule in RULES:
        examples = EXAMPLES[rule.id]
        assert examples.matches, rule.id
        assert examples.misses, rule.id
        finder = Finder([rule])
        for number, example in enumerate(examples.matches):
            assert finder.find(f'key = "{example}"\n'), (rule.id, number)
        for number, example in enumerate(examples.misses):
            assert not finder.find(f'key = "{example}"\n'), (rule.id, number)


def test_every_match_holds_one_of_the_keywords():
    for rule in RULES:
        for number, example in enumerate(EXAMPLES[rule.id].matches):
            found = re.search(rule.pattern, example)
            assert found is not None, (rule.id, number)
            held = found.group().lower()
            assert any(keyword in held for keyword in rule.keywords), (rule.id, number)


def test_an_example_is_joined_from_its_pieces():
    assert parse_examples(GOOD, file="acme.toml")["acme-key"].matches == ("acme-abababab",)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("issuer", "isuer", "issuer"),
        ("[[rule]]", "[rule]", "issuer"),
        ("keywords", "keyword", "keyword"),
        ('"high"', '"huge"', "severity"),
        ('["acme-"]', "[]", "keyword"),
        ('["acme-"]', '[""]', "keyword"),
        ("{8}'", "{8'", "TOML|pattern"),
        ("acme-[a-z]", "acme-[a-z", "pattern"),
        ("issuer = ", "issuer ", "TOML"),
    ],
)
def test_a_rule_file_that_is_wrong_is_refused_with_its_name(old, new, says):
    if "{8'" in new:
        new = "{8}('"
    with pytest.raises(ConfigError, match=says) as caught:
        parse_rules(GOOD.replace(old, new), file="acme.toml")
    assert caught.value.file == "acme.toml"
