"""Checksums that issuers put into their tokens."""

from __future__ import annotations

import zlib

import pytest

from detection.noise import ALNUM, Noise
from secretkit.scan import checksum


def token(prefix):
    body = prefix + Noise(prefix).text(ALNUM, 30)
    return body + checksum.append("github-crc32", body)


@pytest.mark.parametrize("prefix", ["gh" + "p_", "gh" + "s_", ""])
def test_a_token_holds_what_was_put_behind_it(prefix):
    assert checksum.holds("github-crc32", token(prefix).encode())


def test_a_token_with_any_other_character_does_not_hold():
    whole = token("gh" + "p_")
    for at in range(4, len(whole)):
        other = "x" if whole[at] != "x" else "y"
        assert not checksum.holds("github-crc32", (whole[:at] + other + whole[at + 1 :]).encode())


def test_the_digits_are_the_crc_in_base_62_without_the_prefix():
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    digits = checksum.append("github-crc32", "gh" + "p_" + "a" * 30)
    number = 0
    for digit in digits:
        number = number * 62 + alphabet.index(digit)
    assert len(digits) == 6
    assert number == zlib.crc32(b"a" * 30)


def test_a_checksum_without_a_name_of_ours_is_an_error():
    assert set(checksum.NAMES) == {"github-crc32"}
    with pytest.raises(KeyError):
        checksum.holds("none", b"x")
