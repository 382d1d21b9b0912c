"""Values that are judged by their name, their place and their strength."""

from __future__ import annotations

import pytest

from detection.noise import ALNUM, Noise
from scan.judge.candidate import candidate
from scan.judge.linear import expressions, seconds
from secretkit.scan.judge import generic, judge

VALUE = Noise("generic").text(ALNUM, 32)


def judged(before, value=VALUE, **given):
    given = {"issuer": "generic", "id": "generic-secret", "confidence": "medium"} | given
    return judge(candidate(before, value, '"', **given))


@pytest.mark.parametrize("name", ["db_password", "client_secret", "api_key"])
def test_a_random_value_of_a_telling_name_is_a_secret(name):
    assert judged(f'{name} = "') == "medium"


@pytest.mark.parametrize("name", ["cache_key", "password_hint", "colour"])
def test_a_random_value_of_another_name_is_none(name):
    assert judged(f'{name} = "') is None


@pytest.mark.parametrize("value", ["changeme", "${SECRET}", "self.secret", "api_key1", "naïve"])
def test_a_placeholder_code_and_its_own_name_are_none(value):
    assert judged('api_key = "', value) is None


def test_nothing_in_a_lock_file_is_a_secret_and_little_is_in_what_a_program_made():
    assert judged('api_key = "', path="yarn.lock") is None
    assert judged('api_key = "', path="a.min.js") == "low"


@pytest.mark.parametrize(
    ("before", "confidence"),
    [('acme_key = "', "high"), ("acme sha256: ", None), ("see acme ", "low")],
)
def test_a_value_near_its_issuers_name_is_judged_by_what_is_before_it(before, confidence):
    assert judge(candidate(before, VALUE, judged="value")) == confidence


@pytest.mark.parametrize("expression", expressions(generic))
def test_an_expression_takes_linear_time(expression):
    assert seconds(generic, expression, longest=240) < 1  # of a line, 240 bytes are read


@pytest.mark.parametrize("name", ["db_password", "cache_key", "token", "Authorization: Basic "])
@pytest.mark.parametrize("value", [VALUE, VALUE[:9], "NextToken", "changeme", "dXNlcjpzZWNyZXQ"])
@pytest.mark.parametrize("path", ["a.env", "docs/a.md", "tests/a.py"])
def test_who_asks_for_no_low_confidence_is_told_the_same_but_sooner(name, value, path):
    full = candidate(f'{name} = "', value, '"', path=path, issuer="generic", id="generic-secret")
    told = judge(full)
    for _ in range(2):  # the second time it may be remembered
        assert judge(full._replace(least="medium")) in {told if told != "low" else None, told}
