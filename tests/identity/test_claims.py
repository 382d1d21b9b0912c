"""What is looked at before a token is used; most of it stands in the contract."""

from datetime import timedelta

import pytest

from secretkit.broker.clock import SystemClock
from secretkit.core.secret import Secret
from secretkit.errors import ProviderError
from secretkit.identity import read_claims
from secretkit.testing.contract_identity import AUDIENCE, make_token


def read(token, **given):
    return read_claims(
        Secret(token), **{"ref": "x", "audience": AUDIENCE, "now": SystemClock().now()} | given
    )


def test_the_claims_have_their_types():
    claims = read(make_token(aud=[AUDIENCE, "other"]))
    assert claims.audience == (AUDIENCE, "other")
    assert claims.issuer == "https://issuer.example.org"
    assert claims.issued_at is not None
    assert claims.expires_at - claims.issued_at == timedelta(seconds=300)


def test_a_begin_may_be_a_minute_ahead_and_no_more():
    assert read(make_token(iat=50, nbf=50))
    for claim in ("iat", "nbf"):
        with pytest.raises(ProviderError, match="still to come") as caught:
            read(make_token(**{claim: 70}))
        assert caught.value.retryable
        assert "clock" in caught.value.hint


def test_an_end_has_no_leeway():
    token = make_token(exp=30)
    assert read(token)
    with pytest.raises(ProviderError, match="ended at 20") as caught:
        read(token, now=SystemClock().now() + timedelta(seconds=31))
    assert caught.value.retryable


def test_a_wrong_audience_is_named_and_not_asked_for_again():
    with pytest.raises(ProviderError, match="is meant for a, b, c…, not for") as caught:
        read(make_token(aud=["a", "b", "c", "d"]))
    assert not caught.value.retryable
    with pytest.raises(ProviderError, match="is meant for nobody"):
        read(make_token(aud=[]))


@pytest.mark.parametrize("claim", ["iss", "iat"])
def test_what_the_other_side_needs_must_be_there(claim):
    token = make_token(**{claim: None})
    assert read(token)
    with pytest.raises(ProviderError, match=f"no claim '{claim}'"):
        read(token, needs=("iss", "iat"))


def test_a_token_at_the_limit_is_read_and_one_beyond_is_not():
    room = 16_384 - len(make_token(pad=""))
    token = make_token(pad="x" * (room * 3 // 4 - 3))
    assert 16_000 < len(token) <= 16_384
    assert read(token)
    with pytest.raises(ProviderError, match="no signed JWT"):
        read(make_token(pad="x" * room))
