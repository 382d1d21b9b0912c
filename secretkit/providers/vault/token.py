"""Token: the one token that all threads of a provider share, kept alive without storms.

It is asked for on first need, renewed when it is used after two thirds of its life, and replaced
ahead of its end where it cannot be renewed. One thread does so and the others go on with what there
is; after a failure nobody tries again before a pause is over, which doubles up to 30 seconds. No
thread of its own: what nobody uses is not renewed.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final, Protocol

from secretkit.core.record import record, replace
from secretkit.errors import ProviderError, ProviderTimeoutError, SecretkitError
from secretkit.providers.vault.reason import AwayError, inner, is_denial, reason

if TYPE_CHECKING:
    from secretkit.core.secret import Secret
    from secretkit.ports import Clock, Rng
    from secretkit.providers.deadline import Deadline
    from secretkit.providers.vault.client import Client

__all__ = ["Grant", "Login", "Token", "TokenKeeper"]

_RENEW_AT: Final = 2 / 3  # of the life: what Vault's own agent does
_WORTH: Final = 0.5  # of the first life; a shorter one means that max_ttl is near
_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
_REMEMBERED: Final = 16  # ends of earlier tokens, for the leases that hang on them
_LONGEST: Final = 10 * 365 * 86_400  # seconds; more than any token lives, and dates can hold it
_REFUSED: Final = frozenset({400, 403, 500})  # 500: OpenBao's "past the max TTL, cannot renew"


@record(kw_only=True)
class Grant:
    """What a login gave. ``seconds`` is the life, 0 for a token without an end.

    ``own``: made for us by this login, so ours to revoke. ``blind``: may not look itself up.
    """

    secret: Secret
    seconds: int = 0
    renewable: bool = False
    own: bool = True
    blind: bool = False


class Login(Protocol):
    """A way to a token."""

    def grant(self, client: Client, *, ref: str, deadline: Deadline) -> Grant:
        """Log in once.

        Raises:
            AccessDeniedError: if Vault, or the identity it would be shown, refuses.
            ProviderError: for anything else; with ``ref``.
        """
        ...


@record(kw_only=True)
class Token:
    """A token in hand; moments are of the monotonic clock, ``ends_at`` None for no end."""

    grant: Grant
    number: int
    since: float
    renew_at: float | None
    ends_at: float | None

    @property
    def secret(self) -> Secret:
        """The token itself."""
        return self.grant.secret


class TokenKeeper:
    """Gives the token. Thread-safe; a forked child logs in for itself."""

    def __init__(self, login: Login, client: Client, *, clock: Clock, rng: Rng) -> None:
        self._login = login
        self._client = client
        self._clock = clock
        self._rng = rng
        self._reset(0)

    def _reset(self, number: int) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()  # a login may read from here: refused, not a wait
        self._held: Token | None = None
        self._number = number
        self._ends: dict[int, float | None] = {}
        self._failure: SecretkitError | None = None
        self._failures = 0
        self._not_before = 0.0
        self._is_blind = False

    def token(self, *, ref: str, deadline: Deadline) -> Token:
        """Give a token that has not ended, logging in or renewing if it is time.

        Raises like :meth:`Login.grant`, also the failure of a moment ago while its pause lasts.
        """
        if self._pid != os.getpid():
            self._reset(self._number + 1)
        held = self._held
        now = self._clock.monotonic()
        if held is not None and _is_alive(held, now):
            if held.renew_at is None or now < held.renew_at or now < self._not_before:
                return held
            if not self._lock.acquire(blocking=False):
                return held  # another thread is on it, and this one is good still
            try:
                return self._prolonged(ref, deadline)
            finally:
                self._lock.release()
        self._enter(ref, deadline)
        try:
            held = self._held
            if held is not None and _is_alive(held, self._clock.monotonic()):
                return held
            return self._logged_in(ref, deadline)
        finally:
            self._lock.release()

    def is_dead(self, token: Token, *, ref: str, deadline: Deadline) -> bool:
        """Say whether a 403 came because the token is gone; then it is given no more.

        A policy that refuses answers the same, so the token is asked for itself.
        """
        self._enter(ref, deadline)
        try:
            held = self._held
            if held is None or held.number != token.number:
                return True
            if token.grant.blind or self._is_blind:
                is_old = self._clock.monotonic() >= held.since + _LONGEST_PAUSE
                if is_old or not token.grant.own:
                    self._held = None  # one login each half minute, or its reference read again
                return is_old and token.grant.own
            if not self._is_unknown(token, ref, deadline):
                return False
            self._held = None
            return True
        finally:
            self._lock.release()

    def still_denied(self, token: Token, *, ref: str, deadline: Deadline) -> None:
        """Note that a token just made was refused, too: it may be one that cannot see itself.

        Without this, each refusal would be taken for a dead token and cost a login.
        """
        self._is_blind = self._is_blind or self._is_unknown(token, ref, deadline)

    def knows(self, number: int) -> bool:
        """Say whether the token ``number`` was got in this process, not in the one it forked of."""
        return number in self._ends

    def seconds_left(self, number: int) -> float | None:
        """Give the life left of the token ``number``: None for no end, 0 if it is not known."""
        if number not in self._ends:
            return 0.0
        end = self._ends[number]
        return None if end is None else max(0.0, end - self._clock.monotonic())

    def revoke(self, *, ref: str, deadline: Deadline) -> None:
        """End the token if a login made it here, and with it every lease that hangs on it."""
        held, self._held = self._held, None
        if held is not None and held.grant.own and self._pid == os.getpid():
            self._client.ask(
                lambda hvac: hvac.auth.token.revoke_self(),
                ref=ref,
                deadline=deadline,
                token=held.secret,
            )

    def _enter(self, ref: str, deadline: Deadline) -> None:
        if not self._lock.acquire(timeout=deadline.seconds):
            raise ProviderTimeoutError(
                f"{ref}: the login to Vault took too long", ref=ref, hint="allow more time"
            )

    def _is_unknown(self, token: Token, ref: str, deadline: Deadline) -> bool:
        reply = self._client.ask(
            lambda hvac: hvac.auth.token.lookup_self(),
            ref=ref,
            deadline=deadline,
            token=token.secret,
        )
        return is_denial(reply)

    def _logged_in(self, ref: str, deadline: Deadline) -> Token:
        now = self._clock.monotonic()
        if self._failure is not None and now < self._not_before:
            raise _for(self._failure, ref)
        try:
            grant = self._login.grant(self._client, ref=ref, deadline=deadline)
        except AwayError:
            failure: SecretkitError = self._client.unwell(
                ref=ref, deadline=deadline, now=self._clock.now()
            )
        except SecretkitError as error:
            failure = error
        else:
            self._number += 1
            return self._take(grant, self._number, asked_at=now, first=grant.seconds)
        self._note(failure)
        raise failure

    def _take(self, grant: Grant, number: int, *, asked_at: float, first: int) -> Token:
        """Keep a grant; its life counts from before it was asked for."""
        self._failure, self._failures, self._not_before = None, 0, 0.0
        life = min(grant.seconds, _LONGEST)
        token = Token(
            grant=replace(grant, seconds=first),
            number=number,
            since=asked_at,
            renew_at=asked_at + life * _RENEW_AT if life else None,
            ends_at=asked_at + life if life else None,
        )
        self._ends[number] = token.ends_at
        for old in list(self._ends)[:-_REMEMBERED]:
            del self._ends[old]
        self._held = token
        return token

    def _note(self, error: SecretkitError) -> None:
        self._failures += 1
        pause = min(_PAUSE * 2 ** min(self._failures - 1, 8), _LONGEST_PAUSE)
        asked = error.retry_after if isinstance(error, ProviderError) else None
        if asked is not None:
            pause = max(pause, min(asked.total_seconds(), _LONGEST_PAUSE))
        self._not_before = self._clock.monotonic() + pause * (1 + self._rng()) / 2
        self._failure = error.fresh()

    def _prolonged(self, ref: str, deadline: Deadline) -> Token:
        """Renew the token, or log in anew ahead of its end; keep it if neither works now."""
        held = self._held
        if held is None or held.renew_at is None or self._clock.monotonic() < held.renew_at:
            return held or self._logged_in(ref, deadline)
        first = held.grant.seconds
        try:
            renewed = self._renewed(held, ref, deadline) if held.grant.renewable else None
        except SecretkitError:
            self._held = held = _later(held, self._clock.monotonic())
            return held
        if renewed is not None and _life(renewed) >= first * _WORTH:
            return renewed
        try:
            return self._logged_in(ref, deadline)
        except SecretkitError:  # noted; what there is lasts a while
            return renewed or held

    def _renewed(self, held: Token, ref: str, deadline: Deadline) -> Token | None:
        now = self._clock.monotonic()
        reply = self._client.ask(
            lambda hvac: hvac.auth.token.renew_self(),
            ref=ref,
            deadline=deadline,
            token=held.secret,
        )
        if reply.status in _REFUSED:
            return None
        failure = reason(reply, ref=ref, now=self._clock.now())
        if failure is not None:
            raise failure
        life = inner(reply, "auth", ref=ref).get("lease_duration")
        if not isinstance(life, int) or life <= 0:
            return None
        grant = replace(held.grant, seconds=life)
        return self._take(grant, held.number, asked_at=now, first=held.grant.seconds)


def _later(token: Token, now: float) -> Token:
    """Put a renewal that failed off, by a third of what is left."""
    left = 0.0 if token.ends_at is None else token.ends_at - now
    return replace(token, renew_at=now + max(_PAUSE, left / 3))


def _life(token: Token) -> float:
    if token.renew_at is None or token.ends_at is None:
        return float(_LONGEST)
    return (token.ends_at - token.renew_at) / (1 - _RENEW_AT)


def _is_alive(token: Token, now: float) -> bool:
    return token.ends_at is None or now < token.ends_at


def _for(failure: SecretkitError, ref: str) -> SecretkitError:
    """Give a failure of a moment ago as that of ``ref``."""
    twin = failure.fresh()
    if isinstance(twin, ProviderError) and twin.ref != ref:
        text = str(twin)
        twin.args = (text.replace(f"{twin.ref}: ", f"{ref}: ", 1),)
        twin.ref = ref
    return twin
