"""A fingerprint is an HMAC as the standard library gives it, and costs a guesser dearly."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from secretkit.scan.fingerprint import Fingerprinter

LONG, SHORT = b"v" * 40, b"hunter2 hunter2"


@pytest.mark.parametrize("size", [1, 32, 64, 65, 200])
def test_a_long_value_gives_the_hmac_of_its_digest(size):
    key = bytes(range(size))
    expected = hmac.digest(key, hashlib.sha256(LONG).digest(), "sha256").hex()[:32]
    assert Fingerprinter([key]).of(LONG) == (expected,)


def test_a_short_value_goes_through_scrypt_first():
    key = b"k" * 32
    slow = hashlib.scrypt(hashlib.sha256(SHORT).digest(), salt=key, n=1 << 10, r=8, p=1, dklen=32)
    assert Fingerprinter([key]).of(SHORT) == (hmac.digest(key, slow, "sha256").hex()[:32],)


def test_each_key_gives_one_and_none_gives_an_error():
    assert len(set(Fingerprinter([b"a", b"b"]).of(LONG))) == 2
    with pytest.raises(ValueError, match="a key"):
        Fingerprinter([])
