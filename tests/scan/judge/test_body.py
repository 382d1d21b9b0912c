"""Formats that can be read: PEM, JSON Web Tokens, URLs with a password."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode

import pytest

from detection.noise import ALNUM, BASE64, BASE64URL, Noise
from scan.judge.candidate import candidate
from scan.judge.linear import expressions, seconds
from secretkit.scan.judge import body, judge

NOISE = Noise("body")
CLAIMS = {"sub": "u-" + NOISE.text(ALNUM, 9), "iss": "acme", "exp": 1893456000}
PASSWORD = NOISE.text(ALNUM, 20)
SIGNATURE = NOISE.text(BASE64URL, 43)


def pem(text, kind="RSA PRIVATE KEY"):
    return judge(candidate("", f"-----BEGIN {kind}-----\n{text}", issuer="pem"))


def part(value):
    return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def jwt(header, claims=CLAIMS, signature=SIGNATURE):
    return judge(candidate("", f"{part(header)}.{part(claims)}.{signature}", issuer="jwt"))


def test_a_private_key_is_a_secret_if_it_begins_as_der_does():
    text = NOISE.text(BASE64, 200)
    assert pem("MII" + text) == "high"
    assert pem("x" + text) == "low"


@pytest.mark.parametrize("text", ["", "MIIE", "MIIE" + "ab" * 60, "MIIE..." + "abc" * 60])
def test_a_short_a_repeated_or_a_cut_key_is_none(text):
    assert pem(text) is None


def test_a_signed_token_is_a_secret_an_unsigned_or_a_made_up_one_is_not():
    assert jwt({"alg": "HS256"}) == "high"
    assert jwt({"alg": "none"}) is None
    assert jwt({"typ": "JWT"}) is None
    assert jwt({"alg": "HS256"}, signature="ab" * 20) is None
    assert jwt({"alg": "HS256"}, {"sub": "1234567890", "name": "John Doe"}) == "low"


@pytest.mark.parametrize(
    ("user", "password", "confidence"),
    [
        ("app", PASSWORD, "high"),
        ("app", "${PASSWORD}", None),
        ("app", "changeme", None),
        ("app", "app", None),
        (PASSWORD, PASSWORD, None),
    ],
)
def test_a_password_in_a_url_is_a_secret_unless_it_is_made_up(user, password, confidence):
    before = f"postgres://{user}:"
    found = judge(candidate(before, password, "@db.acme.io:5432/app", issuer="url"))
    assert found == confidence


def test_a_seed_of_few_words_said_again_and_again_is_none():
    words = "apple bread chair dance eagle flame grape house igloo joker knife lemon"
    assert judge(candidate("", words, issuer="seed-phrase")) == "high"
    assert judge(candidate("", "apple bread " * 6, issuer="seed-phrase")) is None


@pytest.mark.parametrize("expression", expressions(body))
def test_an_expression_takes_linear_time(expression):
    assert seconds(body, expression, longest=4096) < 1  # no more of a value is read
