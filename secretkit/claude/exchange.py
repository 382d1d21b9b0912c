"""ExchangeSource: a workload's identity for a short-lived Claude token (RFC 7523 jwt-bearer).

``POST /v1/oauth/token``, https://platform.claude.com/docs/en/manage-claude/wif-reference. The one
place of secretkit that tries again by itself, because the SDK does not: at most three times within
the deadline of one call, each time with an assertion of its own.
"""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from secretkit.claude.answer import read_token
from secretkit.claude.grant import AUDIENCE, PENDING, Grant, Said, read_grant, said
from secretkit.claude.refusal import refusal, unidentified, used_before
from secretkit.core.message import Request
from secretkit.core.record import record
from secretkit.errors import AccessDeniedError, ConfigError, ProviderError
from secretkit.ports import Acquired, Closable, Probe
from secretkit.providers.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from secretkit.core.credential import AccessToken
    from secretkit.core.secret import Secret
    from secretkit.errors import SecretkitError
    from secretkit.ports import (
        Assertion,
        Clock,
        IdentitySource,
        ProviderContext,
        Rng,
        Transport,
    )

__all__ = ["ExchangeSource", "open_source"]

_KNOWN: Final = (
    *("identity", "federation_rule_id", "organization_id"),
    *("service_account_id", "workspace_id", "base_url"),
)
_HEADERS: Final = {
    "anthropic-beta": "oauth-2025-04-20,oidc-federation-2026-04-01",
    "content-type": "application/json",
    "accept": "application/json",
}
_OK: Final = 200
_REDIRECT: Final = range(300, 400)
_ATTEMPTS: Final = 3
_PAUSE: Final = 0.25  # seconds, doubled each time; the wait is a random part of it
_LONGEST_PAUSE: Final = 2.0
_USUAL_LIFE: Final = 3_600  # what a rule says unless told otherwise
_LARGEST: Final = 16_384  # bytes of an assertion that the service takes
_SLACK: Final = 5


@record(kw_only=True)
class _Minted:
    """A token, from which assertion it came, and what is odd about its life."""

    token: AccessToken
    said: Said
    note: str = ""


@record(kw_only=True)
class _Trouble:
    """Why an attempt brought no token, and whether another one may."""

    error: SecretkitError
    passes: bool = False


def open_source(
    options: Mapping[str, object], *, ref: str, context: ProviderContext
) -> ExchangeSource:
    """Give the source that a ``kind = "anthropic-federation"`` table describes. No network.

    Raises:
        ConfigError: naming the key that cannot be used.
    """
    table = Options(options, type_name="anthropic-federation", known=_KNOWN, noun="credential")
    grant = read_grant(table)
    try:
        identity = context.identity(table.table("identity"), AUDIENCE)
    except ConfigError as error:
        place = f"identity.{error.key_path}".rstrip(".")
        raise ConfigError(error.args[0], hint=error.hint, key_path=place) from None
    return ExchangeSource(
        identity,
        grant=grant,
        transport=context.transport(),
        clock=context.clock,
        rng=context.rng,
        ref=ref,
    )


class ExchangeSource:
    """Implements :class:`secretkit.ports.CredentialSource` and ``Probing``. Thread-safe.

    Each call asks the identity anew and exchanges what it gives; nothing is kept but the mark of
    the last single-use assertion. A token cannot be given back: it ends by itself.

    Its end is ``expires_in`` after the moment of asking. The service lets it live at most as long
    as its rule says and **twice what is left of the assertion**, and at least 60 s: a token from a
    file that was written long ago is shorter than one from a fresh assertion.
    """

    def __init__(  # noqa: PLR0913 - the seams, by keyword
        self,
        identity: IdentitySource,
        *,
        grant: Grant,
        transport: Transport,
        clock: Clock,
        rng: Rng,
        ref: str,
    ) -> None:
        self._identity = identity
        self._grant = grant
        self._transport = transport
        self._clock = clock
        self._rng = rng
        self._ref = ref
        self._sent = ""
        self._is_taken_again = False  # the issuer has check_jti = false, as a success showed
        self._noted = ""

    def __repr__(self) -> str:
        return f"<ExchangeSource {self._ref} as {self._identity.ref}>"

    @property
    def ref(self) -> str:
        """What it is, for messages and for counting calls: ``anthropic-federation:NAME``."""
        return self._ref

    @property
    def grant(self) -> Grant:
        """The ids that it sends."""
        return self._grant

    def acquire(self, *, timeout: timedelta, refused: Callable[[Secret], bool]) -> Acquired:
        """Give a new token, counted as one call however often it is tried.

        Raises:
            AccessDeniedError: if Claude refuses; the hint has what was sent, and the rule.
            ConfigError: if Claude cannot read what the configuration makes us send.
            ProviderUnavailableError: if nobody was reached, or the identity gives nothing.
            ProviderTimeoutError: if no answer came in time.
            ProviderError: for any other answer, with ``retry_after`` where one was asked for.
        """
        del refused  # a token is never the same twice
        minted = self._minted(timeout)
        self._note(minted.note)
        return Acquired(credential=minted.token, ref=self._ref)

    def revoke(self, handle: str, *, timeout: timedelta) -> None:
        """Do nothing: the service has no way to take a token back."""

    def probe(self, *, timeout: timedelta) -> Probe:
        """Exchange once, and say as whom; the token is dropped. Raises like :meth:`acquire`."""
        minted = self._minted(timeout)
        account = self._grant.service_account_id or self._grant.federation_rule_id
        return Probe(
            reached=self._grant.base_url.partition("://")[2],
            identity=f"{account} for {minted.said.subject} of {minted.said.issuer}",
            expires_at=minted.token.expires_at,
            lacks=(minted.note,) if minted.note else (),
        )

    def close(self) -> None:
        """Close the identity, where it holds something open; safe to repeat."""
        if isinstance(self._identity, Closable):
            self._identity.close()

    def _minted(self, timeout: timedelta) -> _Minted:
        if PENDING in {self._grant.federation_rule_id, self._grant.service_account_id}:
            raise ConfigError(
                f"{self._ref}: its rule or service account is still to be made",
                hint=f"secretkit federation plan {self._ref.partition(':')[2]} says how",
            )
        end = self._clock.monotonic() + timeout.total_seconds()
        found = self._attempt(end, None)
        for attempt in range(1, _ATTEMPTS):
            if isinstance(found, _Minted) or not found.passes:
                break
            pause = self._pause(found.error, attempt)
            if self._clock.monotonic() + pause >= end:
                break
            if pause:
                self._clock.wait(threading.Event(), pause)
            found = self._attempt(end, found)
        if isinstance(found, _Trouble):
            raise found.error
        return found

    def _pause(self, error: SecretkitError, attempt: int) -> float:
        """Give the seconds to wait: a random part of what doubles, or what was asked for."""
        own = self._rng() * min(_LONGEST_PAUSE, _PAUSE * float(1 << attempt))
        asked = error.retry_after if isinstance(error, ProviderError) else None
        return own if asked is None else max(own, asked.total_seconds())

    def _attempt(self, end: float, before: _Trouble | None) -> _Minted | _Trouble:
        """Ask the identity and exchange what it gives; errors are given back."""
        try:
            assertion = self._identity.assertion(timeout=self._left(end))
            facts = self._checked(assertion)
        except ProviderError as error:
            passes = error.retryable and type(error) is ProviderError
            failed = unidentified(error, ref=self._ref, identity=self._identity.ref)
            return _Trouble(error=failed, passes=passes)
        repeated, self._sent = bool(facts.mark) and facts.mark == self._sent, facts.mark
        spent = repeated and not self._is_taken_again
        if spent and before is not None:
            return _Trouble(error=before.error)  # it may be spent, and is sent only once
        found = self._exchanged(assertion, facts, end)
        self._is_taken_again |= repeated and isinstance(found, _Minted)
        denied = found.error if isinstance(found, _Trouble) else None
        if spent and isinstance(denied, AccessDeniedError):
            return _Trouble(error=used_before(denied, ref=self._ref, grant=self._grant))
        return found

    def _exchanged(self, assertion: Assertion, facts: Said, end: float) -> _Minted | _Trouble:
        asked_at, left = self._clock.now(), self._left(end)
        try:
            reply = self._transport.send(self._request(assertion), ref=self._ref, timeout=left)
        except ProviderError as error:
            return _Trouble(error=error.fresh(), passes=True)
        if reply.status != _OK:
            refused = refusal(reply, ref=self._ref, grant=self._grant, said=facts, now=asked_at)
            passes = refused.retryable and reply.status not in _REDIRECT
            return _Trouble(error=refused, passes=passes)
        token = read_token(reply, asked_at=asked_at, ref=self._ref)
        if isinstance(token, ProviderError):
            return _Trouble(error=token)
        left_of_it = (assertion.expires_at - asked_at).total_seconds()
        return _Minted(token=token, said=facts, note=_cut_short(token, asked_at, left_of_it))

    def _checked(self, assertion: Assertion) -> Said:
        """Read what is about to be sent; what the service takes from nobody is not sent."""
        facts = said(assertion.secret) if _size(assertion.secret) <= _LARGEST else None
        if facts is None or facts.missing:
            lacks = " and ".join(facts.missing) if facts else ""
            raise self._unfit(f"its token has no {lacks}" if lacks else "its token is no JWT")
        return facts

    def _unfit(self, why: str) -> ProviderError:
        error = ProviderError(
            f"{self._identity.ref}: {why}, which Claude's token endpoint takes from nobody",
            ref=self._identity.ref,
            hint="it wants a JWT of at most 16 KiB with iss and iat; SPIRE sets iss by jwt_issuer",
        )
        error.retryable = False
        return error

    def _request(self, assertion: Assertion) -> Request:
        return Request(
            method="POST",
            url=f"{self._grant.base_url}/v1/oauth/token",
            headers=_HEADERS,
            body=self._grant.body(assertion.secret),
        )

    def _note(self, note: str) -> None:
        """Log once why a token's life is shorter than usual."""
        if note and not self._noted:
            import logging  # noqa: PLC0415 - 4 ms of the 60 that a token may take

            self._noted = note
            logging.getLogger(__name__).info("%s: a token can not %s", self._ref, note)

    def _left(self, end: float) -> timedelta:
        return timedelta(seconds=max(0.001, end - self._clock.monotonic()))


def _size(secret: Secret) -> int:
    return len(secret.reveal().encode())


def _cut_short(token: AccessToken, asked_at: datetime, left: float) -> str:
    """Say that the assertion's end bounds the token's life, where it does."""
    if token.expires_at is None:
        return ""
    life = (token.expires_at - asked_at).total_seconds()
    bound = max(60.0, 2 * left)
    if life >= _USUAL_LIFE or abs(life - bound) > _SLACK:
        return ""
    return f"live longer than {life:.0f} s: twice what was left of the identity's own token"
