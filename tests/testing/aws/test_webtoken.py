"""Tokens against joserfc, and the forgeries of RFC 8725."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from secretkit.testing.aws.webtoken import SigningKey, TokenError, issuer_of, read_token

CLAIMS = {"iss": "https://id.example.org", "sub": "a"}


def coded(value):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", ["RS256", "ES384"])
def test_a_token_is_what_joserfc_verifies(algorithm):
    key = SigningKey(algorithm)
    keys = KeySet.import_key_set({"keys": [key.jwk()]})
    assert jwt.decode(key.sign(CLAIMS), keys, algorithms=[algorithm]).claims == CLAIMS
    assert read_token(key.sign(CLAIMS), {"keys": [key.jwk()]}) == CLAIMS


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("RS256", RSAKey.generate_key(2048, {"kid": "k"}, private=True)),
        ("ES256", ECKey.generate_key("P-256", {"kid": "k"}, private=True)),
        ("ES384", ECKey.generate_key("P-384", {"kid": "k"}, private=True)),
    ],
    ids=["RS256", "ES256", "ES384"],
)
def test_a_token_of_joserfc_is_read(algorithm, key):
    token = jwt.encode({"alg": algorithm, "kid": "k"}, CLAIMS, key, algorithms=[algorithm])
    assert read_token(token, {"keys": [key.as_dict(private=False)]}) == CLAIMS
    assert issuer_of(token) == CLAIMS["iss"]


def forgeries(key):
    head = {"alg": "RS256", "kid": key.key_id}
    _, claims, signature = key.sign(CLAIMS).split(".")
    public = json.dumps(key.jwk()).encode()
    confused = f"{coded(head | {'alg': 'HS256'})}.{claims}"
    mac = hmac.new(public, confused.encode(), hashlib.sha256).digest()
    own = SigningKey("RS256")
    own_head, own_rest = coded(head | {"jwk": own.jwk()}), own.sign(CLAIMS).split(".", 1)[1]
    return {
        "none": f"{coded(head | {'alg': 'none'})}.{claims}.",
        "hmac by the public key": f"{confused}.{coded(mac)}",
        "a key of its own": f"{own_head}.{own_rest}",
        "another key id": own.sign(CLAIMS),
        "critical": f"{coded(head | {'crit': ['exp']})}.{claims}.{signature}",
        "other claims": f"{coded(head)}.{coded({'iss': 'x'})}.{signature}",
        "two parts": f"{coded(head)}.{claims}",
        "no JSON": f"{coded(b'x')}.{claims}.{signature}",
        "no base64": f"!.{claims}.{signature}",
        "a list": f"{coded([1])}.{claims}.{signature}",
    }


def test_a_forged_token_is_refused_whatever_its_form():
    key = SigningKey("RS256")
    made = forgeries(key)
    for name, token in made.items():
        with pytest.raises(TokenError):
            print(name, read_token(token, {"keys": [key.jwk()]}))


def test_the_signature_alone_decides():
    """The forgeries above differ from a good token in one thing each."""
    key = SigningKey("RS256")
    assert read_token(key.sign(CLAIMS), {"keys": [key.jwk()]}) == CLAIMS
    with pytest.raises(TokenError):
        issuer_of("x")
