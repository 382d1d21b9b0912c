from __future__ import annotations

import pytest

from secretkit.errors import ConfigError
from secretkit.scan.finder import Finder
from secretkit.scan.gitleaks import is_gitleaks, parse_gitleaks

CONFIG = r"""
title = "ours"
[extend]
useDefault = true
disabledRules = ["generic-api-key"]

[[rules]]
id = "acme-token"
description = "Acme token"
regex = '''(?i)\b(acme_[a-z0-9]{16})(?:['"\s;]|$)'''
entropy = 2
keywords = ["acme_"]
[[rules.allowlists]]
regexes = ["example"]

[[rules]]
id = "pair"
regex = '''(user|login)=\w+ pass=([0-9a-z]{12})'''
secretGroup = 2
keywords = ["pass="]

[[rules]]
id = "no-keywords"
regex = '''beta-key-[0-9]{12}'''

[[rules]]
id = "only-path"
path = '''\.pem$'''

[[rules]]
id = "unicode"
regex = '''\p{L}{20}'''
keywords = ["x"]

[[rules]]
id = "hopeless"
regex = '''[0-9]{12}|[a-f]{12}'''

[[allowlists]]
paths = ["vendor/"]
"""


@pytest.fixture(scope="module")
def imported():
    return parse_gitleaks(CONFIG, file="gitleaks.toml")


def test_it_is_told_from_a_rule_file_of_ours():
    assert is_gitleaks(CONFIG)
    assert not is_gitleaks('issuer = "acme"\n[[rule]]\nid = "a"\n')


def test_what_can_be_taken_over_is(imported):
    assert [rule.id for rule in imported.rules] == ["acme-token", "pair", "no-keywords"]


ACME = "ACME_" + "65d48a2eb70c13f9"[::-1]


@pytest.mark.parametrize(
    ("text", "rule", "secret"),
    [
        (f"k = '{ACME}'", "acme-token", ACME),
        ("user=joe pass=" + "x7k2m9q4w1z8", "pair", "x7k2m9q4w1z8"),
        ("beta-key-" + "493817265094", "no-keywords", "beta-key-" + "493817265094"),
    ],
)
def test_a_rule_finds_what_it_found(imported, text, rule, secret):
    (span,) = Finder(imported.rules).find(text)
    assert span.rule_id == rule
    assert text[span.start : span.end] == secret


def test_what_was_left_behind_is_said(imported):
    notes = "\n".join(imported.notes)
    for words in (
        "acme-token: what its allowlists",
        "only-path: left out: it has no regex",
        "unicode: left out: Unicode",
        "hopeless: left out: it needs keywords",
        "disabledRules",
        "allowlists: not taken over",
    ):
        assert words in notes


@pytest.mark.parametrize("broken", ["= 3", "rules = 3", "rules = [3]"])
def test_what_is_no_configuration_is_refused(broken):
    with pytest.raises(ConfigError):
        parse_gitleaks(broken, file="gitleaks.toml")
