"""Whether a name says that its value is a secret."""

from __future__ import annotations

import pytest

from scan.judge.linear import expressions, seconds
from secretkit.scan.judge import name


@pytest.mark.parametrize(
    ("text", "class_"),
    [
        ("password", name.PASSWORD),
        ("db_password", name.PASSWORD),
        ("dbPassword", name.PASSWORD),
        ("DB_PASSWD", name.PASSWORD),
        ("clientSecret", name.SECRET),
        ("client_secret", name.SECRET),
        ("API_KEY", name.TOKEN),
        ("apiKey", name.TOKEN),
        ("sessionToken", name.TOKEN),
        ("private_key", name.TOKEN),
        ("key", name.KEY),
    ],
)
def test_a_name_has_a_class_in_every_spelling(text, class_):
    assert name.class_of(text) == class_


@pytest.mark.parametrize(
    "text",
    [
        *("", "name", "cache_key", "primary_key", "public_key", "tokenizer", "next_page_token"),
        *("password_hint", "token_type", "passwordField"),
    ],
)
def test_a_name_of_something_else_is_no_name_of_a_secret(text):
    assert name.class_of(text) == name.OTHER


@pytest.mark.parametrize("expression", expressions(name))
def test_an_expression_takes_linear_time(expression):
    assert seconds(name, expression) < 1
