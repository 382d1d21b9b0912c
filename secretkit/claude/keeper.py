"""ProfileKeeper: keeps a profile's token fresh for as long as it runs."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from secretkit.claude.profile import token_of
from secretkit.errors import SecretkitError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from secretkit.broker.blocking import Broker
    from secretkit.claude.profile import Profile
    from secretkit.core.credential import AccessToken
    from secretkit.ports import Change, Clock

__all__ = ["ProfileKeeper"]

# What the SDKs do with a profile (token-cache.mjs and user-oauth.mjs of @anthropic-ai/sdk 1.12,
# _cache.py of anthropic 2.12): within 120 s of the end that is written they read the file again at
# leisure, within 30 s at once, and the Node SDK refuses a token that ends within 30 s. So that end
# is never more than 100 s away, and never less than 40 s while a new token can be had.
_EVERY: Final = 60.0
_NEAR: Final = timedelta(seconds=100)
_LEAST: Final = timedelta(seconds=40)
_AGAIN: Final = 5.0  # seconds after a failure, and the least between two writes
_SLICE: Final = 0.5  # how soon stop() is seen where a signal meets another thread


class ProfileKeeper:
    """Writes the current token of ``name`` into a profile at least once a minute."""

    def __init__(
        self,
        name: str,
        *,
        broker: Broker,
        profile: Profile,
        clock: Clock,
        say: Callable[[str], None],
    ) -> None:
        self._name = name
        self._broker = broker
        self._profile = profile
        self._clock = clock
        self._say = say
        self._wake = threading.Event()
        self._changed = self._stopped = False

    def run(self) -> None:
        """Write until :meth:`stop`; a failure is said, and what was written is kept to its end.

        Raises:
            SecretkitError: where asking again will not help.
        """
        forget = self._broker.on_change(self._name, self._noticed)
        try:
            while not self._stopped:
                self._changed = False
                self._wait(self._written())
        finally:
            forget()

    def stop(self) -> None:
        """End :meth:`run` soon; may be called from a signal's handler and from any thread."""
        self._stopped = True
        self._wake.set()

    def _noticed(self, _change: Change) -> None:
        self._changed = True
        self._wake.set()

    def _written(self) -> float:
        """Write the token in hand; give the seconds until it is to be written again."""
        try:
            token, end = self._token()
        except SecretkitError as error:
            if not error.retryable:
                raise
            self._say(f"{self._profile.name} was not written: {error}")
            return _AGAIN
        now = self._clock.now()
        self._profile.write(token, expires_at=min(now + _NEAR, end))
        return min(_EVERY, max(_AGAIN, (end - _LEAST - now).total_seconds()))

    def _token(self) -> tuple[AccessToken, datetime]:
        """Give a token and its end; a new one if the one in hand ends too soon for a profile."""
        lease = self._broker.lease(self._name)
        token, end = token_of(lease)
        if end - _LEAST > self._clock.now():
            return token, end
        return token_of(self._broker.refresh(self._name, seen=lease.generation))

    def _wait(self, seconds: float) -> None:
        end = self._clock.monotonic() + seconds
        while (left := end - self._clock.monotonic()) > 0:
            self._wake = wake = threading.Event()
            if self._called():  # after the new event is in place, so that nothing is missed
                return
            self._clock.wait(wake, min(_SLICE, left))

    def _called(self) -> bool:
        return self._stopped or self._changed
