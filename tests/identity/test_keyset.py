"""The issuer's keys rotate so that a verifier with a copy of the public ones never misses."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet as Jwks

from secretkit.core.secret import Secret
from secretkit.errors import SecretError
from secretkit.identity.keyset import KeySet, Rotation, read_keys, written_keys
from secretkit.testing.trace import assert_no_trace

START = datetime(2030, 1, 1, tzinfo=UTC)
DAY = Rotation(every=timedelta(days=1), ahead=timedelta(hours=1), life=timedelta(minutes=5))
STEP = timedelta(minutes=4)


def verifies(token, jwks):
    try:
        jwt.decode(token.reveal(), Jwks.import_key_set(jwks), algorithms=["ES256"])
    except (JoseError, ValueError):
        return False
    return True


def test_four_rotations_with_a_verifier_that_keeps_the_keys_for_an_hour():
    """It keeps a copy as long as it may, and asks no sooner, also for an unknown key."""
    keys, now, copied, cached, seen = KeySet(), START, START - timedelta(days=1), {}, set()
    last = None
    while now < START + timedelta(days=4, hours=2):
        keys = keys.advanced(now, rotation=DAY)
        if now - copied >= DAY.ahead - STEP:
            copied, cached = now, keys.jwks()
        key = keys.signing(now)
        token = key.sign({"at": str(now)})
        assert verifies(token, cached), f"a new token is not taken at {now}"
        if last is not None:  # it is one step old, which is within its life
            assert verifies(last, keys.jwks()), f"a token in use lost its key at {now}"
        last = token
        seen.add(key.key_id)
        assert 1 <= len(keys.keys) <= 2
        now += STEP
    assert len(seen) == 5


def test_nothing_changes_while_nothing_is_due():
    keys = KeySet().advanced(START, rotation=DAY)
    assert keys.advanced(START + timedelta(hours=22), rotation=DAY) is keys


def test_an_issuer_that_slept_signs_with_the_old_key_until_the_new_one_is_known():
    keys = KeySet().advanced(START, rotation=DAY)
    old = keys.signing(START)
    late = START + timedelta(days=30)
    keys = keys.advanced(late, rotation=DAY)
    assert keys.signing(late) == old
    assert keys.signing(late + DAY.ahead - timedelta(seconds=1)) == old
    assert keys.signing(late + DAY.ahead) != old


def test_an_old_key_leaves_when_its_last_token_has_ended():
    keys = KeySet().advanced(START, rotation=DAY)
    keys = keys.advanced(START + timedelta(hours=23), rotation=DAY)
    change = keys.keys[1].starts_at
    before = keys.advanced(change + timedelta(minutes=5, seconds=59), rotation=DAY)
    after = keys.advanced(change + timedelta(minutes=6), rotation=DAY)
    assert len(before.keys) == 2
    assert after.keys == keys.keys[1:]


def test_a_clock_that_went_back_signs_with_a_key_that_has_started():
    keys = KeySet().advanced(START, rotation=DAY)
    assert keys.signing(START - timedelta(seconds=1)) is None
    assert keys.advanced(START - timedelta(days=9), rotation=DAY) is keys


def test_no_public_document_has_a_private_number():
    keys = KeySet().advanced(START, rotation=DAY)
    (public,) = keys.jwks()["keys"]
    assert public.keys() == {"alg", "crv", "kid", "kty", "use", "x", "y"}
    assert json.loads(keys.keys[0].private.reveal())["d"] not in f"{keys} {keys.jwks()}"


def test_what_is_written_is_read_again():
    keys = KeySet().advanced(START, rotation=DAY).advanced(START + DAY.every, rotation=DAY)
    assert read_keys(written_keys(keys)) == keys


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "[]",
        "{}",
        '{"format": 2, "keys": []}',
        '{"format": 1, "keys": 7}',
        '{"format": 1, "keys": [{"key_id": "a"}]}',
        '{"format": 1, "keys": [{"key_id": "a", "starts_at": 1e99, "public": {}, "private": ""}]}',
        "[" * 100_000,
    ],
    ids=range(8),
)
def test_what_is_no_key_set_is_refused_and_not_shown(text):
    with pytest.raises(SecretError) as caught:
        read_keys(Secret(text))
    assert caught.value.hint
    if len(text) > 4:
        assert_no_trace(caught.value, text)
