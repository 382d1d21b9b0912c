"""KeyRing: which keys the stand-in accepts, and until when. It keeps keyed digests only."""

from __future__ import annotations

import hmac
import secrets
import threading
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from secretkit.core.secret import Secret
from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from datetime import timedelta

    from secretkit.ports import Clock

__all__ = ["KeyRing", "KeyState", "Verdict"]

KeyState = Literal["accepted", "refused", "expired", "unknown"]

_TOKEN_PREFIX: Final = "sk-ant-oat"  # noqa: S105 - the public prefix of access tokens
_MAX_ENDED: Final = 1_000


class Verdict(NamedTuple):
    """What the ring knows of a presented credential; ``label`` is empty for an unknown one."""

    label: str
    state: KeyState
    is_token: bool


@dataclass(slots=True)
class _Entry:
    label: str
    is_token: bool
    minted: bool
    ends_at: float | None = None
    then: KeyState = "refused"


class KeyRing:
    """The keys that are accepted now, by label. Thread-safe; times are the given clock's.

    A key whose text starts like an access token is treated as one: it needs the OAuth beta header.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._pepper = secrets.token_bytes(32)
        self._entries: dict[bytes, _Entry] = {}
        self._minted = 0

    def __repr__(self) -> str:
        return f"<KeyRing of {len(self._entries)}>"

    def accept(self, secret: Secret | str, *, label: str) -> None:
        """Accept this key from now on; a key refused earlier is accepted again.

        Raises:
            ConfigError: if the label already stands for another key.
        """
        wrapped = secret if isinstance(secret, Secret) else Secret(secret)
        del secret
        digest, is_token = self._digest(wrapped), _is_token(wrapped)
        with self._lock:
            other = self._find(label)
            if not label or (other is not None and other[0] != digest):
                raise ConfigError(
                    f"the label {label!r} is empty or stands for another key",
                    hint="give each key a label of its own",
                )
            self._entries[digest] = _Entry(label, is_token, minted=False)

    def refuse(self, label: str) -> None:
        """Answer 401 to this key from now on."""
        self._end(label, after=0.0, then="refused")

    def refuse_after(self, label: str, overlap: timedelta) -> None:
        """Answer 401 to this key once ``overlap`` has passed on the clock."""
        self._end(label, after=overlap.total_seconds(), then="refused")

    def expire(self, label: str) -> None:
        """Answer 401 to this key from now on, saying that it has expired."""
        self._end(label, after=0.0, then="expired")

    def mint(self, *, life: timedelta) -> tuple[Secret, str]:
        """Make an access token that is accepted for ``life``; give it and its label."""
        token = Secret(f"{_TOKEN_PREFIX}01-{secrets.token_urlsafe(64)}")
        digest = self._digest(token)
        ends_at = self._clock.monotonic() + life.total_seconds()
        with self._lock:
            self._forget_ended()
            self._minted += 1
            label = f"token-{self._minted}"
            self._entries[digest] = _Entry(label, True, True, ends_at, "expired")  # noqa: FBT003 - private record
        return token, label

    def judge(self, secret: Secret) -> Verdict:
        """Say whether this credential is accepted now. Its timing tells nothing of the text.

        The lookup is by a digest under a random key, which nobody outside can steer.
        """
        digest = self._digest(secret)
        with self._lock:
            for known in (digest,) if digest in self._entries else ():
                entry = self._entries[known]
                if hmac.compare_digest(known, digest):
                    return Verdict(entry.label, self._state(entry), entry.is_token)
        return Verdict("", "unknown", is_token=False)

    def states(self) -> dict[str, KeyState]:
        """Give every label with what the ring does with its key now."""
        with self._lock:
            return {entry.label: self._state(entry) for entry in self._entries.values()}

    def _digest(self, secret: Secret) -> bytes:
        return blake2b(secret.reveal().encode(), key=self._pepper, digest_size=32).digest()

    def _find(self, label: str) -> tuple[bytes, _Entry] | None:
        found = ((d, e) for d, e in self._entries.items() if e.label == label)
        return next(found, None)

    def _end(self, label: str, *, after: float, then: KeyState) -> None:
        with self._lock:
            found = self._find(label)
            if found is None:
                known = ", ".join(sorted(entry.label for entry in self._entries.values()))
                raise ConfigError(
                    f"no key has the label {label!r}", hint=f"accepted so far: {known or 'none'}"
                )
            found[1].ends_at = self._clock.monotonic() + after
            found[1].then = then

    def _state(self, entry: _Entry) -> KeyState:
        ended = entry.ends_at is not None and self._clock.monotonic() >= entry.ends_at
        return entry.then if ended else "accepted"

    def _forget_ended(self) -> None:
        """Keep memory bounded in a long run with short tokens: ended ones become unknown."""
        ended = [d for d, e in self._entries.items() if e.minted and self._state(e) != "accepted"]
        for digest in ended[:-_MAX_ENDED]:
            del self._entries[digest]


def _is_token(secret: Secret) -> bool:
    return secret.reveal().startswith(_TOKEN_PREFIX)
