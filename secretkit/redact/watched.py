"""Watched: the live values, in every spelling a log may show them in."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from secretkit.redact.spelling import MIN_LENGTH, all_spellings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from secretkit.core.secret import Secret

    Forms = Callable[[], tuple[str, ...]]
    _Index = dict[str, tuple[tuple[int, str], ...]]  # eight characters → offsets and spellings

__all__ = ["FAILED", "MIN_LENGTH", "REDACTED", "Watched", "forms_of", "masked"]

REDACTED: Final = "[redacted]"
"""What stands where a secret was."""

FAILED: Final = "[secretkit could not redact this text, so it is not shown]"
"""What stands for a text whose redaction failed."""

_FEW: Final = 256  # spellings up to which asking for each is faster than the index (measured)
_TRIES: Final = 64  # places in a spelling that are tried for one nobody else stands at


def forms_of(secrets: Iterable[Secret]) -> Forms:
    """Give a function that gives the spellings of ``secrets``, longest first.

    As it is, JSON-escaped, as Python prints it, URL-encoded, in hex, and base64 at all three
    alignments, so that ``Basic`` of ``user:secret`` is covered too. Values under ``MIN_LENGTH`` are
    left out. Of a secret in JSON the string fields count as values too, and of several lines each
    of 16 characters or more; up to 256 of either. A function and not a list: what walks or prints
    objects meets no value.
    """
    found: set[str] = set()
    for secret in secrets:
        found |= all_spellings(secret.reveal())
    ordered = tuple(sorted(found, key=lambda form: (-len(form), form)))
    return lambda: ordered


def masked(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """Give ``text`` with each span, or run of overlapping spans, replaced by ``[redacted]``."""
    kept, at = [], 0
    for start, end in sorted(spans):
        if end > at:
            kept += [text[at:start], REDACTED] if start >= at else []
            at = end
    return "".join((*kept, text[at:]))


class _Net(NamedTuple):
    put: Callable[[Iterable[str]], None]
    take: Callable[[Iterable[str]], None]
    clean: Callable[[str], str]


def _net() -> _Net:
    """Give an empty index of spellings: one writer at a time, any number of readers meanwhile.

    Each spelling stands under eight of its characters, where possible eight that no other stands
    under: all keys of one kind begin alike. So a text costs one look-up per character, however many
    spellings there are. Closures, so that no attribute holds a value.
    """
    places: dict[str, tuple[int, int]] = {}  # spelling → how often it was put, offset of its eight
    index: _Index = {}
    few: tuple[str, ...] | None = ()

    def put(forms: Iterable[str]) -> None:
        nonlocal few
        for form in forms:
            times, offset = places.get(form) or (0, _enter(form, index))
            places[form] = times + 1, offset
        few = tuple(places) if len(places) <= _FEW else None

    def take(forms: Iterable[str]) -> None:
        nonlocal few
        for form in forms:
            times, offset = places.pop(form)
            if times > 1:
                places[form] = times - 1, offset
            else:
                _leave(form, index, offset=offset)
        few = tuple(places) if len(places) <= _FEW else None

    def clean(text: str) -> str:
        asked = few
        if asked is not None and not any(form in text for form in asked):
            return text
        spans = _spans(text, index)
        return masked(text, spans) if spans else text

    return _Net(put, take, clean)


def _enter(form: str, index: _Index) -> int:
    offset = _rarest(form, index)
    eight = form[offset : offset + MIN_LENGTH]
    index[eight] = (*index.get(eight, ()), (offset, form))
    return offset


def _leave(form: str, index: _Index, *, offset: int) -> None:
    eight = form[offset : offset + MIN_LENGTH]
    left = tuple(entry for entry in index[eight] if entry[1] != form)
    if left:
        index[eight] = left
    else:
        del index[eight]


def _spans(text: str, index: _Index) -> list[tuple[int, int]]:
    spans = []
    last = len(text) - MIN_LENGTH
    for at in [at for at in range(last + 1) if text[at : at + MIN_LENGTH] in index]:
        for offset, form in index.get(text[at : at + MIN_LENGTH], ()):
            if at >= offset and text.startswith(form, at - offset):
                spans.append((at - offset, at - offset + len(form)))
    return spans


def _rarest(form: str, index: _Index) -> int:
    """Give where in ``form`` eight characters stand under which few others are."""
    least, found = len(index) + 1, 0
    for offset in range(min(_TRIES, len(form) - MIN_LENGTH + 1)):
        crowd = len(index.get(form[offset : offset + MIN_LENGTH], ()))
        if crowd < least:
            least, found = crowd, offset
        if not crowd:
            break
    return found


class Watched:
    """The set of live values, however many. Thread-safe and safe to fork; reading takes no lock.

    A value is looked for as long as somebody holds its Secret and it is not forgotten. One that
    died is dropped at the next :meth:`add` or :meth:`forget`. Either costs about 40 µs, whatever
    else is watched.
    """

    __slots__ = ("__weakref__", "_dead", "_entries", "_lock", "_net")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[int, tuple[weakref.ref[Secret], Forms]] = {}
        self._dead: deque[int] = deque()
        self._net = _net()
        _all.add(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self._entries)} values>"

    def add(self, secret: Secret) -> None:
        """Look for ``secret`` from now on, for as long as somebody holds it."""
        mark, dead = id(secret), self._dead
        # The callback only notes the death: it may run inside any allocation, even under the lock.
        entry = weakref.ref(secret, lambda _: dead.append(mark)), forms_of((secret,))
        with self._lock:
            self._bury()
            before = self._entries.get(mark)
            self._entries[mark] = entry
            self._net.put(entry[1]())  # before the other goes: readers miss it at no moment
            if before is not None:
                self._net.take(before[1]())

    def forget(self, secret: Secret) -> None:
        """Stop looking for this Secret; safe to repeat."""
        with self._lock:
            self._bury()
            self._drop(id(secret))

    def clean(self, text: str) -> str:
        """Give ``text`` with each watched value replaced by ``[redacted]``.

        Without a value in it, 200 characters cost about 1 µs for one secret and 20 µs for any
        number of them.
        """
        return self._net.clean(text)

    def after_fork_in_child(self) -> None:
        """Have a lock again that somebody can release, and an index that nobody left half done."""
        if self._lock.locked():  # by a thread that is not in this process
            self._lock = threading.Lock()
            net = _net()
            for _, forms in self._entries.values():
                net.put(forms())
            self._net = net

    def _bury(self) -> None:
        while self._dead:
            mark = self._dead.popleft()
            entry = self._entries.get(mark)
            if entry is not None and entry[0]() is None:  # the id may be in use again
                self._drop(mark)

    def _drop(self, mark: int) -> None:
        entry = self._entries.pop(mark, None)
        if entry is not None:
            self._net.take(entry[1]())


_all: Final[weakref.WeakSet[Watched]] = weakref.WeakSet()


def _in_child() -> None:
    for watched in tuple(_all):
        watched.after_fork_in_child()


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_in_child)
