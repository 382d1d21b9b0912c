from __future__ import annotations

import base64
import gzip
import secrets
import time

import pytest

from secretkit.scan.nesting import is_sign, likely, parts


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


def test_text_far_in_a_long_run_is_a_sign_where_it_is():
    noise, text = b"0" * 30_000, base64.b64encode(b"some text, and some more of it")
    run = noise + text + noise
    signs = [(at, "base64") for at in (40, *range(4097, len(run), 4096))]
    kept = [at for at, _ in likely(run, signs)]
    assert any(at - 40 <= len(noise) and len(noise + text) <= at + 8192 - 40 for at in kept)
    assert kept == [at for at, _ in signs if is_sign(run, "base64", at)]


def test_a_sign_every_few_bytes_of_a_run_takes_linear_time():
    data = (b"0" * 45 + b"_") * 6000
    signs = [(at, "base64") for at in range(40, len(data), 46)]
    started = time.process_time()
    assert likely(data, signs) == []
    assert time.process_time() - started < 0.5  # 2 s a MiB at most; this is a quarter of one


def test_a_file_that_names_many_secrets_is_decoded_once():
    data = b"kind: Secret\n" * 100
    (part,) = parts(data, [(at, "kubernetes") for at in range(12, len(data), 13)])
    assert (part.start, part.stop) == (0, len(data))
