"""Watched: the live values, in every spelling a log may show them in."""

from __future__ import annotations

import base64
import json
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from secretkit.core.secret import Secret

    Forms = Callable[[], tuple[str, ...]]

__all__ = ["FAILED", "MIN_LENGTH", "REDACTED", "Watched", "forms_of"]

REDACTED: Final = "[redacted]"
"""What stands where a secret was."""

FAILED: Final = "[secretkit could not redact this text, so it is not shown]"
"""What stands for a text whose redaction failed."""

MIN_LENGTH: Final = 8
"""Shorter values are not looked for: replacing every "1234" would ruin the log and hide little."""

_MOST: Final = 1024


def forms_of(secrets: Iterable[Secret]) -> Forms:
    """Give a function that gives the spellings of ``secrets``, longest first.

    As it is, JSON-escaped, as Python prints it, URL-encoded, and base64 at all three alignments,
    so that ``Basic`` of ``user:secret`` is covered too. Values under ``MIN_LENGTH`` are left out.
    A function and not a list: what walks or prints objects meets no value.
    """
    found: set[str] = set()
    for secret in secrets:
        found |= _spellings(secret.reveal())
    ordered = tuple(sorted(found, key=lambda form: (-len(form), form)))
    return lambda: ordered


def _spellings(value: str) -> set[str]:
    if len(value) < MIN_LENGTH:
        return set()
    raw = value.encode()
    plain = {
        value,
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        json.dumps(value)[1:-1].replace("/", "\\/"),
        repr(value)[1:-1],
        repr(raw)[2:-1],
        quote(value, safe=""),
        quote(value),
        quote_plus(value),
    }
    return {form for form in plain | _base64_forms(raw) if len(form) >= MIN_LENGTH}


def _base64_forms(raw: bytes) -> set[str]:
    """Give what ``raw`` looks like inside the base64 of any longer text.

    Up to two bytes before and after shift it by 0, 2 or 4 bits; the characters at either edge
    depend on the neighbours and are left out.
    """
    found: set[str] = set()
    for before in range(3):
        start = (before * 8 + 5) // 6
        end = (before + len(raw)) * 8 // 6
        text = base64.b64encode(b"\0" * before + raw).decode()[start:end]
        found |= {text, text.replace("+", "-").replace("/", "_")}
    return found


class Watched:
    """The set of live values. Thread-safe; reading takes no lock.

    A value is dropped when its Secret is no longer referenced by anyone, when it is forgotten, or,
    oldest first, when there are more than 1,024.
    """

    __slots__ = ("__weakref__", "_dead", "_entries", "_lock", "forms")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[int, tuple[weakref.ref[Secret], Forms]] = {}
        self._dead: deque[int] = deque()
        self.forms: Forms = tuple

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self._entries)} values>"

    def add(self, secret: Secret) -> None:
        """Look for ``secret`` from now on, for as long as somebody holds it."""
        mark, dead = id(secret), self._dead
        # The callback only notes the death: it may run inside any allocation, even under the lock.
        entry = weakref.ref(secret, lambda _: dead.append(mark)), forms_of((secret,))
        with self._lock:
            self._bury()
            self._entries.pop(mark, None)
            self._entries[mark] = entry
            while len(self._entries) > _MOST:
                del self._entries[next(iter(self._entries))]
            self._publish()

    def forget(self, secret: Secret) -> None:
        """Stop looking for this Secret; safe to repeat."""
        with self._lock:
            self._bury()
            self._entries.pop(id(secret), None)
            self._publish()

    def _bury(self) -> None:
        while self._dead:
            mark = self._dead.popleft()
            entry = self._entries.get(mark)
            if entry is not None and entry[0]() is None:  # the id may be in use again
                del self._entries[mark]

    def _publish(self) -> None:
        ordered = tuple(
            sorted({form for _, forms in self._entries.values() for form in forms()}, key=_longest)
        )
        self.forms = lambda: ordered


def _longest(form: str) -> tuple[int, str]:
    return -len(form), form
