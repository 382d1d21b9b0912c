"""Sealed transports: the last step before the wire, where nothing above can add or follow anything.

A redirect that the SDK was told to follow comes through here like any request, so another origin
is refused before a byte of key or body goes out.
"""

from __future__ import annotations

import _thread
import asyncio
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Final

import httpx2

from secretkit.claude.stream import stripped

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretkit.claude.sealing import SealingAuth

__all__ = ["AsyncSealedTransport", "SealedTransport"]

_DRAIN: Final = 64 * 1024


class SealedTransport(httpx2.BaseTransport):
    """Runs a :class:`RotatingAuth` or a :class:`SigningAuth` around ``inner``. Thread-safe.

    It stands below the client: event hooks, logs, the SDK's errors and their tracebacks see the
    request as the SDK made it; of its extensions only ``timeout`` goes further, so a ``trace`` is
    not called. ``inner`` gets the credential. ``on_close`` is called once, after ``inner`` is
    closed.
    """

    def __init__(
        self,
        inner: httpx2.BaseTransport,
        *,
        auth: SealingAuth,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self._inner = inner
        self._auth = auth
        self._on_close = on_close

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send ``request`` with the current credential; once more if that one is over."""
        with closing(self._auth.sync_auth_flow(request)) as flow:
            sealed = next(flow)
            while True:
                response = self._send(sealed)
                try:
                    sealed = flow.send(response)
                except StopIteration:
                    return response
                except BaseException:
                    response.close()
                    raise
                _drain(response)

    def _send(self, sealed: httpx2.Request) -> httpx2.Response:
        try:
            return self._inner.handle_request(sealed)
        except BaseException as error:  # noqa: BLE001 - a cancellation has the same frames
            raise stripped(error)  # noqa: B904 - the very error, without its past

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()

    def abandon(self) -> None:
        """Close the connections without waiting for ``on_close``: for ``__del__``."""
        on_close, self._on_close = self._on_close, None
        _apart(on_close)
        self._inner.close()


class AsyncSealedTransport(httpx2.AsyncBaseTransport):
    """The same for asyncio; ``on_close`` is called in a thread, as it may block."""

    def __init__(
        self,
        inner: httpx2.AsyncBaseTransport,
        *,
        auth: SealingAuth,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self._inner = inner
        self._auth = auth
        self._on_close = on_close

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send ``request`` with the current credential; once more if that one is over."""
        async with aclosing(self._auth.async_auth_flow(request)) as flow:
            sealed = await anext(flow)
            while True:
                response = await self._send(sealed)
                try:
                    sealed = await flow.asend(response)  # codespell:ignore asend
                except StopAsyncIteration:
                    return response
                except BaseException:
                    await response.aclose()
                    raise
                await _adrain(response)

    async def _send(self, sealed: httpx2.Request) -> httpx2.Response:
        try:
            return await self._inner.handle_async_request(sealed)
        except BaseException as error:  # noqa: BLE001 - a cancellation has the same frames
            raise stripped(error)  # noqa: B904 - the very error, without its past

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            await asyncio.to_thread(on_close)

    def abandon(self) -> None:
        """Call ``on_close`` without waiting, where no loop is left to close the connections."""
        on_close, self._on_close = self._on_close, None
        _apart(on_close)


def _apart(on_close: Callable[[], None] | None) -> None:
    # Not threading.Thread: the collector may interrupt a thread that holds its lock.
    if on_close is not None:
        _thread.start_new_thread(on_close, ())


def _drain(response: httpx2.Response) -> None:
    """Read a short refusal to its end, so that its connection can be used again; then close."""
    if response.is_closed:  # it was read to judge it
        return
    try:
        left = _DRAIN
        for chunk in response.iter_raw():
            left -= len(chunk)
            if left < 0:
                break
    except httpx2.HTTPError:
        pass  # the refusal was cut short, and nobody was to read it
    finally:
        response.close()


async def _adrain(response: httpx2.Response) -> None:
    if response.is_closed:
        return
    try:
        left = _DRAIN
        async for chunk in response.aiter_raw():
            left -= len(chunk)
            if left < 0:
                break
    except httpx2.HTTPError:
        pass
    finally:
        await response.aclose()
