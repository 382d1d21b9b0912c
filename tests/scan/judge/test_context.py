"""What stands around a value."""

from __future__ import annotations

import pytest

from scan.judge.candidate import candidate
from scan.judge.linear import expressions, seconds
from secretkit.scan.judge import context


def test_the_context_is_the_line_around_the_value_its_name_and_its_quote():
    before = 'first\nmy.api_key = "'
    around = context.read(candidate(before, "value", '"; x\nlast', start=before.index("api")))
    assert around.before == 'my.api_key = "'
    assert around.after == '"; x'
    assert around.name == "my.api_key"
    assert around.quote == '"'


def test_of_a_long_line_only_what_is_near_is_read():
    around = context.read(candidate("b" * 5000 + "=", "value", "a" * 5000, start=5000))
    assert (len(around.before), len(around.after), around.quote) == (240, 80, "")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("go.sum", "lock"),
        ("web/package-lock.json", "lock"),
        ("yarn.lock", "lock"),
        ("a.min.js", "made"),
        ("locales/de.json", "made"),
        ("src/a.py", ""),
        ("block.py", ""),
    ],
)
def test_a_path_says_what_a_file_is(path, kind):
    assert context.kind(path) == kind


@pytest.mark.parametrize(
    ("path", "tried", "source"),
    [
        ("tests/a.py", True, True),
        ("docs/a.md", True, True),
        ("src/a.py", False, True),
        ("a.env", False, False),
        ("contest.env", False, False),
    ],
)
def test_a_path_says_whether_a_file_is_a_test_or_program_text(path, tried, source):
    assert (context.tried(path), context.source(path)) == (tried, source)


@pytest.mark.parametrize("expression", expressions(context))
def test_an_expression_takes_linear_time(expression):
    assert seconds(context, expression) < 1
