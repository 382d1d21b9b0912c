import pytest

from secretkit.cli.ruleset import own_rules
from secretkit.errors import ConfigError

RULE = """
issuer = "acme"
[[rule]]
id = "{name}"
description = "ACME key"
pattern = 'acme_[a-z0-9]{{16}}'
keywords = ["acme_"]
severity = "high"
confidence = "high"
matches = []
misses = []
"""


def test_rules_of_several_files_are_given_in_order(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).write_text(RULE.format(name=name))
    rules = own_rules([tmp_path / "one", tmp_path / "two"], say=print)
    assert [rule.id for rule in rules] == ["one", "two"]


@pytest.mark.parametrize("name", ["anthropic-api-key", "twice"])
def test_a_rule_that_is_there_already_is_refused(tmp_path, name):
    (tmp_path / "one").write_text(RULE.format(name=name))
    files = [tmp_path / "one"] * (2 if name == "twice" else 1)
    with pytest.raises(ConfigError, match=name):
        own_rules(files, say=print)


def test_a_rule_of_gitleaks_of_a_known_name_gets_another(tmp_path):
    told: list[str] = []
    (tmp_path / "g.toml").write_text(
        "[[rules]]\nid = 'anthropic-api-key'\nregex = 'acme_[a-z0-9]{16}'\nkeywords = ['acme_']\n"
    )
    (rule,) = own_rules([tmp_path / "g.toml"], say=told.append)
    assert rule.id == "gitleaks-anthropic-api-key"
    assert told == [f"{tmp_path}/g.toml: 1 rules of gitleaks are in use"]


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match="none"):
        own_rules([tmp_path / "none"], say=print)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        own_rules([tmp_path / "binary"], say=print)


def test_no_file_is_no_rule():
    assert own_rules([], say=print) == []
