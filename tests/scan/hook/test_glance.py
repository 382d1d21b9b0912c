"""What the short way knows of a rule by its place in the record is what the rule says."""

from __future__ import annotations

from secretkit.scan.hook import glance
from secretkit.scan.rule import built_in_rules, to_record


def test_a_rule_s_pattern_reach_and_purpose_are_read_from_its_record():
    seen = set()
    for rule in built_in_rules():
        fields = to_record(rule).split(b"\0")
        assert fields[glance._PATTERN].decode() == rule.pattern
        assert int(fields[glance._REACH]) == rule.reach
        assert fields[glance._JUDGED].decode() == rule.judged
        seen.add((rule.reach > 0, rule.judged))
    assert len(seen) > 2, "there are rules of more than one kind"
