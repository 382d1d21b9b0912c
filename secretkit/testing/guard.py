"""LeakGuard: knows the live secrets of a test and says where one was seen, never what it is."""

from __future__ import annotations

import pickle
import threading
import traceback
from typing import TYPE_CHECKING, Final, Literal, NoReturn

from secretkit.testing.leaks import Shapes, search

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from secretkit.core.secret import Secret

__all__ = ["LeakGuard"]

_CHUNK: Final = 4 * 1024 * 1024
_OVERLAP: Final = 256 * 1024
WITHHELD: Final = "(withheld by the leak guard: a live secret is in it)"


class LeakGuard:
    """Watches for live secrets in text, logs, exceptions and files. Thread-safe.

    The pytest plugin feeds it; outside pytest call ``check``, ``check_error`` and ``check_file``
    and look at ``leaks``. It holds secrets in closures only and cannot be printed or pickled.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._session: list[Shapes] = []
        self._test: list[Shapes] = []
        self._allowed: set[Path] = set()
        self._leaks: list[str] = []
        self._told: list[str] = []

    def __repr__(self) -> str:
        return f"<LeakGuard of {len(self._session) + len(self._test)}>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a LeakGuard cannot be pickled: it knows live secrets")

    @property
    def live(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self._session or self._test)

    def watch(self, secret: Secret, *, until: Literal["test", "session"] = "test") -> None:
        """Look for this secret until the running test, or the whole session, ends.

        Raises:
            SecretError: if it is too short to be told from ordinary text.
        """
        shapes = Shapes(secret)
        with self._lock:
            (self._session if until == "session" else self._test).append(shapes)

    def allow(self, path: Path) -> None:
        """Let live secrets be in this file, or below this directory, until the test ends."""
        with self._lock:
            self._allowed.add(path.resolve())

    def check(self, seen: str | bytes, *, where: str) -> bool:
        """Look into what was ``seen``; note and say whether a live secret is in it."""
        with self._lock:
            shapes = [*self._session, *self._test]
        if not seen or not shapes:
            return False
        blob = seen.encode("utf-8", "surrogatepass") if isinstance(seen, str) else seen
        found = search(blob, shapes)
        for leak in found:
            self._note(where, f"live secret {leak.secret + 1} ({leak})")
        return bool(found)

    def check_file(self, path: Path) -> bool:
        """Look into a regular file, unless it is allowed; a file that cannot be read is passed."""
        if self.is_allowed(path):
            return False
        tail = b""
        try:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    if self.check(tail + chunk, where=f"file {path}"):
                        return True
                    tail = chunk[-_OVERLAP:]
        except OSError:
            return False
        return False

    def is_allowed(self, path: Path) -> bool:
        """Say whether live secrets may be in this file."""
        if not self._allowed:
            return False
        whole = path.resolve()
        return any(whole == place or place in whole.parents for place in self._allowed)

    def check_error(
        self, error: BaseException, *, where: str = "exception", own: Collection[str] = ()
    ) -> bool:
        """Look into an exception and all it is linked to; note and say whether one is in it.

        Text, arguments, attributes, notes, the locals of every frame, and its pickle. ``own`` are
        source files, such as the test's, whose frames may hold clear values.
        """
        found = False
        for part in _linked(error):
            name = f"{where} {type(part).__name__}"
            for what, seen in _parts(part):
                found |= self.check(seen, where=f"{what} of {name}")
            for frame, line in traceback.walk_tb(part.__traceback__):
                code = frame.f_code
                if code.co_filename in own:
                    continue
                for local, value in list(frame.f_locals.items()):
                    place = f"local {local!r} of {code.co_qualname} ({code.co_filename}:{line})"
                    found |= self.check(_repr(value), where=f"{place} under {name}")
        return found

    def mask(self, text: str) -> str:
        """Give the text, or where a live secret is in it, a notice in its place."""
        with self._lock:
            shapes = [*self._session, *self._test]
        blob = text.encode("utf-8", "surrogatepass")
        if not search(blob, shapes):
            return text
        lines = [
            WITHHELD if search(line.encode("utf-8", "surrogatepass"), shapes) else line
            for line in text.splitlines()
        ]
        masked = "\n".join(lines)
        # A secret that is broken over lines is in none of them.
        return WITHHELD if search(masked.encode("utf-8", "surrogatepass"), shapes) else masked

    @property
    def leaks(self) -> list[str]:
        """What was seen since the test began, one sentence each."""
        with self._lock:
            return [*self._told, *self._leaks]

    def take(self) -> list[str]:
        """Give what was seen and not taken before."""
        with self._lock:
            fresh, self._leaks = self._leaks, []
            self._told += fresh
            return fresh

    def end_test(self) -> None:
        """Forget the test's secrets, allowances and leaks."""
        with self._lock:
            self._test.clear()
            self._allowed.clear()
            self._leaks.clear()
            self._told.clear()

    def _note(self, where: str, what: str) -> None:
        sentence = f"{where}: {what}"
        with self._lock:
            if sentence not in self._told and sentence not in self._leaks:
                self._leaks.append(sentence)


def _linked(error: BaseException) -> Iterator[BaseException]:
    """Give an exception with its causes, contexts and group members, each once."""
    todo: list[BaseException | None] = [error]
    seen: set[int] = set()
    while todo:
        part = todo.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        todo += [part.__cause__, part.__context__]
        if isinstance(part, BaseExceptionGroup):
            todo += part.exceptions
        yield part


def _parts(error: BaseException) -> Iterator[tuple[str, str | bytes]]:
    yield "text", _str(error)
    yield "arguments", _repr(error.args)
    for name, value in list(vars(error).items()):
        yield f"attribute {name!r}", _repr(value)
    try:
        yield "pickle", pickle.dumps(error)
    except Exception:  # noqa: BLE001 - most exceptions with objects in them do not pickle
        return


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - a broken repr shows nothing, so leaks nothing
        return f"(repr failed: {type(error).__name__})"


def _str(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001 - as above
        return f"(str failed: {type(broken).__name__})"
