"""Sealed streams: a response's bytes, without a way back to the request that carried a credential.

httpcore's stream keeps the request it answers, headers and all, and an SDK error keeps the
response.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import httpx2

from secretkit.redact.redactor import default

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

__all__ = ["AsyncSealedStream", "SealedStream", "stripped"]

_Error = TypeVar("_Error", bound=BaseException)


class SealedStream(httpx2.SyncByteStream):
    """Passes bytes on, lets go of the connection when closed, and raises errors without frames."""

    def __init__(self, stream: httpx2.SyncByteStream) -> None:
        self._stream: httpx2.SyncByteStream | None = stream

    def __iter__(self) -> Iterator[bytes]:
        if self._stream is None:
            raise httpx2.StreamClosed
        try:
            yield from self._stream
        except Exception as error:  # noqa: BLE001 - every failure of the wire goes the same way
            raise stripped(error)  # noqa: B904 - the very error, without its past

    def close(self) -> None:
        """Close the connection or give it back to the pool; safe to repeat."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()


class AsyncSealedStream(httpx2.AsyncByteStream):
    """The same for asyncio."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream: httpx2.AsyncByteStream | None = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._stream is None:
            raise httpx2.StreamClosed
        try:
            async for chunk in self._stream:
                yield chunk
        except Exception as error:  # noqa: BLE001 - every failure of the wire goes the same way
            raise stripped(error)  # noqa: B904 - the very error, without its past

    async def aclose(self) -> None:
        """Close the connection or give it back to the pool; safe to repeat."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()


def stripped(error: _Error) -> _Error:
    """Give ``error`` without its cause and its frames, where h11 keeps headers in clear."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
    clean = default().value(list(error.args))
    # A list, or the one word FAILED.
    error.args = tuple(clean) if isinstance(clean, list) else (clean,)
    return error
