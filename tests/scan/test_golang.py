from __future__ import annotations

import re

import pytest

from secretkit.scan.golang import translated


@pytest.mark.parametrize(
    ("go", "matches", "not_matches"),
    [
        ("abc", ["abc"], ["ABC"]),
        ("(?i)abc", ["ABC", "abc"], []),
        ("a(?i)bc", ["aBC"], ["ABC"]),
        ("(a(?i)b)c", ["aBc"], ["aBC"]),
        ("(?i)a|b", ["A", "B"], []),
        ("(?i:a)b", ["Ab"], ["AB"]),
        ("(?i)a(?-i)b", ["Ab"], ["AB"]),
        ("[[:alnum:]_]{3}", ["a1_"], ["a-b"]),
        ("[^[:space:]]+x", ["aax"], [" x"]),
        (r"\Qa.b\E+", ["a.b"], ["axb"]),
        (r"\x{41}\x42", ["AB"], ["ab"]),
        (r"abc\z", ["abc"], ["abc\n"]),
        ("(?P<name>a)(?<other>b)", ["ab"], []),
        ("(?s)a.b", ["a\nb"], []),
        ("[]a]+", ["]a"], ["b"]),
        ("[a[]+", ["a["], ["b"]),
        (r"[\w.-]{2}", ["a."], ["a "]),
        ("(?:a|b){2}?c", ["abc"], []),
    ],
)
def test_an_expression_matches_what_it_did_in_go(go, matches, not_matches):
    pattern = re.compile(translated(go).encode())
    for text in matches:
        assert pattern.fullmatch(text.encode()), text
    for text in not_matches:
        assert not pattern.fullmatch(text.encode()), text


@pytest.mark.parametrize(
    "go",
    [r"\pL", r"[\p{Greek}]", "(?U)a+", "(a", "a)", "[a", "[[:what:]]", "é", "a\\", r"\C", "(?)"],
)
def test_what_has_no_counterpart_is_refused(go):
    with pytest.raises(ValueError, match=r"\w"):
        translated(go)
