"""Stream: masks secrets in bytes that arrive in pieces."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from secretkit.redact.watched import REDACTED, forms_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from secretkit.core.secret import Secret

__all__ = ["StreamMasker"]


class StreamMasker:
    """Masks known secrets in a stream, wherever it is cut. For one thread.

    What could be the beginning of a secret is held back until it is decided: at most one byte less
    than the longest spelling. The result does not depend on where the stream was cut. Values
    under 8 characters are not masked.
    """

    __slots__ = ("_held", "_partial", "_search")

    def __init__(self, secrets: Iterable[Secret]) -> None:
        self._search, self._partial = _matchers(secrets)
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """Give what can be shown now of all that was fed and not yet given."""
        data, at, shown = self._held + chunk, 0, []
        while True:
            found, partial = self._search(data, at), self._partial(data, at)
            if found is None or partial <= found[0]:
                break
            shown += [data[at : found[0]], REDACTED.encode()]
            at = found[1]
        shown.append(data[at:partial])
        self._held = data[partial:]
        return b"".join(shown)

    def flush(self) -> bytes:
        """Give what was held back, at the end of the stream."""
        data, at, shown = self._held, 0, []
        self._held = b""
        while (found := self._search(data, at)) is not None:
            shown += [data[at : found[0]], REDACTED.encode()]
            at = found[1]
        return b"".join((*shown, data[at:]))


def _matchers(
    secrets: Iterable[Secret],
) -> tuple[
    Callable[[bytes, int], tuple[int, int] | None],
    Callable[[bytes, int], int],
]:
    """Give two searches: for a whole spelling, and for where one may begin at the very end.

    Closures, so that no attribute holds a value; a compiled pattern prints its text.
    """
    forms = tuple(form.encode("utf-8", errors="surrogateescape") for form in forms_of(secrets)())
    longest = max(map(len, forms), default=1)
    pattern = re.compile(b"|".join(map(re.escape, forms)) or b"(?!)")
    first = re.compile(b"|".join({re.escape(form[:1]) for form in forms}) or b"(?!)")

    def search(data: bytes, at: int) -> tuple[int, int] | None:
        found = pattern.search(data, at)
        return None if found is None else found.span()

    def partial(data: bytes, at: int) -> int:
        for match in first.finditer(data, max(at, len(data) - longest + 1)):
            tail = data[match.start() :]
            if any(len(form) > len(tail) and form.startswith(tail) for form in forms):
                return match.start()
        return len(data)

    return search, partial
