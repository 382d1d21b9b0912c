"""IdentityContract: what every kind of identity must do, as tests that its author inherits.

::

    class TestMyIdentity(IdentityContract):
        def make_identity(self, audience: str) -> IdentitySource:
            return open_identity({"type": "mine"}, audience=audience, context=...)

        def give(self, token: str) -> None:
            ...  # have the place that is asked answer with this token from now on

The tokens are made here; their signature is random, which nobody below the other side can tell.
"""
# ruff: noqa: S101 - these are tests, which pytest rewrites

from __future__ import annotations

import base64
import json
import pickle
import secrets
import threading
from contextlib import nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

import pytest

from secretkit.broker.clock import SystemClock
from secretkit.core.secret import Secret
from secretkit.errors import (
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    SecretkitError,
    SecretNotFoundError,
)
from secretkit.testing.contract_hooks import LIMIT, in_threads
from secretkit.testing.trace import assert_no_trace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from secretkit.ports import Assertion, IdentitySource

__all__ = ["AUDIENCE", "IdentityContract", "make_token"]

AUDIENCE: Final = "https://api.example.org"
_HEADER: Final = {"alg": "ES256", "kid": "k1", "typ": "JWT"}
_LIFE: Final = 300
_FLAWS: Final[Mapping[str, Mapping[str, Any]]] = {
    "without an end": {"exp": None},
    "without an audience": {"aud": None},
    "without a subject": {"sub": None},
    "with an end that is text": {"exp": "tomorrow"},
    "with an end that is true": {"exp": True},
    "with an end beyond all years": {"exp": 1e300},
    "with a begin that is true": {"iat": True},
    "with an audience that is a number": {"aud": 7},
    "with an audience that is an object": {"aud": {"a": AUDIENCE}},
    "with an issuer that is a list": {"iss": ["https://issuer.example.org"]},
    "with a subject of two lines": {"sub": "one\ntwo"},
    "that has begun in an hour": {"iat": 3600},
    "that must not be used for an hour": {"nbf": 3600},
    "that has ended": {"exp": -1},
    "that has ended long ago": {"iat": -7200, "exp": -3600},
}
_NONE: Final[tuple[Mapping[str, Any], ...]] = (
    {"alg": "none"},
    {"alg": "HS256"},
    {"alg": "NONE"},
    {"alg": 7},
    {},
)
_AUDIENCES: Final = ("https://api.example.com", "", f"{AUDIENCE}/", AUDIENCE.upper(), "*")


def make_token(
    *,
    header: Mapping[str, Any] | None = None,
    **claims: Any,  # noqa: ANN401
) -> str:
    """Give a token for AUDIENCE that ends in five minutes, with ``claims`` in place of its own.

    ``iat``, ``nbf`` and ``exp`` are seconds from now; a claim that is None is left out.
    """
    now = int(SystemClock().now().timestamp())
    said: dict[str, Any] = {
        "iss": "https://issuer.example.org",
        "sub": "spiffe://example.org/batch",
        "aud": AUDIENCE,
        "iat": 0,
        "exp": _LIFE,
        "jti": secrets.token_hex(8),
    } | claims
    for name in ("iat", "nbf", "exp"):
        if isinstance(said.get(name), int) and not isinstance(said[name], bool):
            said[name] += now
    kept = {name: value for name, value in said.items() if value is not None}
    parts = (_HEADER if header is None else header, kept)
    text = ".".join(_coded(json.dumps(part).encode()) for part in parts)
    return f"{text}.{secrets.token_urlsafe(64)}"


class IdentityContract:
    """Inherit, fill in two methods, and say what the place cannot be made to do."""

    timeout: ClassVar[timedelta] = timedelta(seconds=15)
    """What each question is given."""

    def make_identity(self, audience: str) -> IdentitySource:
        """Give an identity for ``audience`` over this test's place; called once or more a test."""
        raise NotImplementedError

    def give(self, token: str) -> None:
        """Have the place answer with ``token`` from now on."""
        raise NotImplementedError

    def asked(self) -> int | None:
        """Give how often the place was asked, or None where it cannot tell."""
        return None

    def stalled(self) -> AbstractContextManager[object] | None:
        """Give a context in which the place does not answer, if that can be made."""
        return None

    def gone(self) -> AbstractContextManager[object] | None:
        """Give a context in which the place is not there, if that can be made."""
        return None

    def test_it_gives_the_token_with_what_it_says(self) -> None:
        """Unchanged, with its issuer, its subject and its end."""
        token = make_token()
        self.give(token)
        found = self._ask()
        assert found.secret == Secret(token)
        assert found.issuer == "https://issuer.example.org"
        assert found.subject == "spiffe://example.org/batch"
        left = found.expires_at - SystemClock().now()
        assert timedelta(seconds=_LIFE - 60) < left <= timedelta(seconds=_LIFE)

    def test_each_question_is_asked_anew(self) -> None:
        """An assertion is good for one use, so none is kept."""
        identity = self.make_identity(AUDIENCE)
        before = self.asked()
        tokens = [make_token() for _ in range(3)]
        for token in tokens:
            self.give(token)
            assert identity.assertion(timeout=self.timeout).secret == Secret(token)
        after = self.asked()
        if before is not None and after is not None:
            assert after - before == len(tokens)

    def test_an_audience_among_several_is_enough(self) -> None:
        """RFC 7519 §4.1.3: text, or a list of it."""
        self.give(make_token(aud=["https://other.example.org", AUDIENCE]))
        assert self._ask().subject

    @pytest.mark.parametrize("audience", _AUDIENCES)
    def test_a_token_for_somebody_else_stays_here(self, audience: str) -> None:
        """One clear error, which asking again would not change."""
        token = make_token(aud=audience)
        self.give(token)
        error = self._refused(token)
        if type(error) is ProviderError:  # a client library may have refused it first
            assert not error.retryable or AUDIENCE not in str(error)

    @pytest.mark.parametrize("flaw", _FLAWS)
    def test_a_token_is_refused(self, flaw: str) -> None:
        """Whatever is wrong is said, and never shown."""
        token = make_token(**_FLAWS[flaw])
        self.give(token)
        self._refused(token)

    @pytest.mark.parametrize("header", _NONE, ids=str)
    def test_a_token_that_nobody_could_verify_is_refused(self, header: Mapping[str, Any]) -> None:
        """No signature, or one by a shared key: scorecard B12."""
        token = make_token(header=header)
        self.give(token)
        self._refused(token)

    def test_what_is_no_token_is_refused(self) -> None:
        """Also a page, an encrypted token, one given twice, and one of 20 kB."""
        whole = make_token()
        head, claims, signature = whole.split(".")
        twice = _coded(_plain(claims).replace(b'"sub":', b'"sub": "a", "sub":'))
        wrong = (
            "secret-" + "word" * 4,
            f"{head}.{claims}",
            f"{head}.{claims}.",
            f"{whole}.{head}.{signature}",
            f"{head}.{twice}.{signature}",
            f"{head}.{_coded(b'[1]')}.{signature}",
            f"{head}.{_coded(b'{')}.{signature}",
            f"{claims}.{head}.{signature}",
            f"{whole} {whole}",
            make_token(more="x" * 16_384),
        )
        for token in wrong:
            self.give(token)
            self._refused(token)

    def test_many_threads_may_ask_at_once(self) -> None:
        """Twenty threads, one answer, no error."""
        self.give(make_token(sub="spiffe://example.org/many"))
        identity = self.make_identity(AUDIENCE)
        found = in_threads(lambda _: identity.assertion(timeout=self.timeout).subject)
        assert set(found) == {"spiffe://example.org/many"}

    def test_it_has_a_name_for_messages(self) -> None:
        """One line, without the token."""
        ref = self.make_identity(AUDIENCE).ref
        assert ref.isprintable()
        assert 0 < len(ref) <= 512  # noqa: PLR2004 - what the ledger takes

    def test_no_token_is_printed_or_pickled(self) -> None:
        """Neither the assertion nor the identity shows it."""
        token = make_token()
        self.give(token)
        identity = self.make_identity(AUDIENCE)
        found = identity.assertion(timeout=self.timeout)
        for thing in (found, identity):
            for part in token.split("."):
                assert part not in f"{thing!r} {thing}"
        with pytest.raises(TypeError):
            pickle.dumps(found)

    def test_a_place_that_is_gone_is_told_apart(self) -> None:
        """Nobody there, or nothing there: with a hint."""
        self.give(make_token())
        gone = self.gone()
        if gone is None:
            pytest.skip("this place cannot be made to go")
        with gone, pytest.raises((ProviderUnavailableError, SecretNotFoundError)) as caught:
            self._ask()
        assert caught.value.ref == self.make_identity(AUDIENCE).ref
        assert caught.value.hint

    def test_a_stalled_place_is_given_up_at_the_deadline(self) -> None:
        """It costs its deadline and no more."""
        self.give(make_token())
        stall = self.stalled()
        identity = self.make_identity(AUDIENCE)
        outcome: list[object] = []

        def ask() -> None:
            try:
                identity.assertion(timeout=timedelta(seconds=0.3))
                outcome.append("answered")
            except SecretkitError as error:
                outcome.append(type(error))

        with stall or nullcontext():
            asking = threading.Thread(target=ask, daemon=True)
            asking.start()
            asking.join(LIMIT)
            assert not asking.is_alive(), "the question outlived its deadline"
        answered: list[object] = ["answered"] if stall is None else []
        assert outcome in (answered or [ProviderTimeoutError], [ProviderUnavailableError])

    def _ask(self) -> Assertion:
        return self.make_identity(AUDIENCE).assertion(timeout=self.timeout)

    def _refused(self, token: str) -> SecretkitError:
        identity = self.make_identity(AUDIENCE)
        with pytest.raises(ProviderError) as caught:
            identity.assertion(timeout=self.timeout)
        error = caught.value
        assert error.ref == identity.ref, "the error does not carry the identity's ref"
        assert identity.ref in str(error)
        assert error.hint, f"no hint: {error}"
        for part in token.split("."):
            if len(part) >= 16:  # noqa: PLR2004 - shorter ones are words
                assert_no_trace(error, part)
        return error


def _coded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _plain(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "==")
