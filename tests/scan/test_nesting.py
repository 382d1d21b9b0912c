from __future__ import annotations

import base64
import gzip
import secrets

import pytest

from secretkit.scan.nesting import is_sign


def text_with_noise(chance, *, size):
    """Give text of which as many bytes cannot be printed as the decoder bears."""
    content = bytearray(chance.choices(range(0x20, 0x7F), k=size))
    for at in chance.sample(range(size), k=size // 20):
        content[at] = chance.randrange(0x80, 0x100)
    return bytes(content)


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("size", [30, 40, 60, 200, 3000])
def test_base64_of_text_that_the_decoder_takes_is_a_sign(encode, size):
    chance = secrets.SystemRandom()
    for _ in range(200):
        run = encode(text_with_noise(chance, size=size)).rstrip(b"=")
        assert is_sign(b"x = '" + run + b"'", "base64", 5 + 40)


def test_base64_of_gzip_is_a_sign():
    run = base64.b64encode(gzip.compress(secrets.token_bytes(60)))
    assert is_sign(run, "base64", 40)


def test_hexadecimal_text_is_a_sign_from_66_digits_on():
    chance = secrets.SystemRandom()
    for size in (33, 40, 100):
        run = text_with_noise(chance, size=size).hex().encode()
        assert is_sign(run, "hex", 66)
    assert not is_sign(b"61" * 32, "hex", 64)


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (b"com/example/service/internal/handler/ServiceHandlerFactory", "base64"),
        (b"f" * 128, "hex"),
        (b"print(', ' + \", \")", "literals"),
    ],
)
def test_what_only_looks_encoded_to_an_engine_is_no_sign(data, hint):
    assert not is_sign(data, hint, min(40, len(data)))


def test_pieces_that_are_joined_are_a_sign():
    data = b"key = 'abcd' + 'efgh'"
    assert is_sign(data, "literals", data.index(b"+"))
