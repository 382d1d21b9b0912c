"""Conversation: one connection of the stand-in, request after request."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Iterator  # noqa: TC003 - dataclass fields are read at run time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from secretkit.testing.stub.api import Answer, route_of
from secretkit.testing.stub.head import MAX_HEAD, Head, parse_head
from secretkit.testing.stub.log import LogRecord
from secretkit.testing.stub.refused import RefusedError, error_body
from secretkit.testing.stub.script import Step

if TYPE_CHECKING:
    from datetime import datetime

    from secretkit.ports import Clock
    from secretkit.testing.stub.api import Api
    from secretkit.testing.stub.log import StubLog
    from secretkit.testing.stub.script import Script

__all__ = ["Conversation", "CutError", "Door"]

_IDLE: Final = 300.0  # longer than any pause of a test: a kept connection must not race its closing
_LINGER: Final = 2.0
_DROP: Final = 64 * 1024
_CUT_HEAD: Final = b"(cut short)\r\n\r\n"  # never well-formed, whatever the client sent before
_PLAIN: Final = Step()
_OK: Final = 200
_REASONS: Final = {200: "OK", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


@dataclass(slots=True, kw_only=True)
class Door:
    """What all connections share. ``settling``: those whose last bytes are on their way out."""

    api: Api
    script: Script
    log: StubLog
    clock: Clock
    hosts: frozenset[str]
    max_body: int
    organization_id: str
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    settling: set[asyncio.StreamWriter] = field(default_factory=set)


class CutError(Exception):
    """The connection ends here, on purpose."""


@dataclass(slots=True)
class _Running:
    """What is known so far of one request; becomes its log record."""

    number: int
    at: datetime
    request_id: str
    method: str = ""
    path: str = ""
    status: int = 0
    stream: bool = False
    key: str = ""
    spelling: str = ""
    events: int = 0
    finished: bool = False
    error: str = ""
    scripted: bool = False

    def record(self) -> LogRecord:
        """Freeze it."""
        return LogRecord(**{name: getattr(self, name) for name in self.__slots__})


class Conversation:
    """One connection: reads a request, answers it, logs it."""

    def __init__(
        self, door: Door, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._door = door
        self._reader = reader
        self._writer = writer

    async def turn(self) -> bool:
        """Answer one request; say whether the connection may be used again."""
        raw = await _read_head(self._reader)
        if raw == b"":
            return False
        number = next(self._door.numbers)
        run = _Running(number, self._door.clock.now(), f"req_{number:024d}")
        try:
            head = self._head(raw, run)
            body = await self._reader.readexactly(head.length)
        except RefusedError as refused:
            await self._refuse(run, refused, close=True)
            return False
        except BaseException:
            self._door.log.append(run.record())
            raise
        try:
            await self._answer(run, head, body)
        finally:
            if not run.finished:  # cut, cancelled, or the client went away
                self._door.log.append(run.record())
        return not head.close

    def _head(self, raw: bytes | None, run: _Running) -> Head:
        if raw is None:
            raise RefusedError(431, f"the head is longer than {MAX_HEAD} bytes")
        head = parse_head(raw, hosts=self._door.hosts)
        del raw
        run.method = head.method if head.method in {"GET", "POST"} else "(other)"
        run.path = route_of(head.path) or "(unknown)"
        run.spelling = head.presented.spelling
        if head.length > self._door.max_body:
            raise RefusedError(413, f"the body is longer than {self._door.max_body} bytes")
        return head

    async def _answer(self, run: _Running, head: Head, body: bytes) -> None:
        try:
            verdict = self._door.api.verdict(head)
            run.key = verdict.label if verdict is not None else ""
            route = self._door.api.check(head, verdict)
            answer = self._door.api.answer(route, head, body, request_id=run.request_id)
            run.stream = answer.events is not None
            step = self._door.script.take(route, is_stream=run.stream)
            run.scripted = step is not None
            step = step or _PLAIN
            await _pause(step.delay.total_seconds())
            if step.cut_after == 0:
                raise CutError
            if step.is_error:
                refused = step.refusal()
                if refused.status == 429:  # noqa: PLR2004 - HTTP
                    refused.headers = self._door.api.meter_headers() | refused.headers
                await self._refuse(run, refused, step=step, close=head.close)
                return
            if route == "/v1/messages":
                answer.headers.update(self._door.api.meter(answer))
        except RefusedError as refused:
            await self._refuse(run, refused, close=head.close)
            return
        run.status = _OK
        answer.headers.update(step.headers)
        if answer.events is None:
            await self._send_json(run, answer, step=step, close=head.close)
        else:
            await self._send_events(run, answer, step=step, close=head.close)

    async def _refuse(
        self,
        run: _Running,
        refused: RefusedError,
        *,
        close: bool,
        step: Step = _PLAIN,
    ) -> None:
        run.status, run.error = refused.status, step.error or refused.type
        body = error_body(refused, request_id=run.request_id, kind=step.error)
        answer = Answer(body if step.body is None else step.body, headers=refused.headers)
        await self._write(run, self._plain(run, answer, close=close))

    async def _send_json(
        self,
        run: _Running,
        answer: Answer,
        *,
        step: Step,
        close: bool,
    ) -> None:
        if step.body is not None:
            answer.body = step.body
        whole = self._plain(run, answer, close=close)
        if step.cut_after is not None:
            self._writer.write(whole[: -max(1, len(answer.body) // 2)])
            await self._writer.drain()
            raise CutError
        await self._write(run, whole)

    async def _send_events(
        self,
        run: _Running,
        answer: Answer,
        *,
        step: Step,
        close: bool,
    ) -> None:
        headers = {
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-cache",
            "transfer-encoding": "chunked",
        } | answer.headers
        self._writer.write(self._head_bytes(run, headers, close=close))
        events = list(answer.events or ())
        if step.error_after is not None:
            kind = step.error or "overloaded_error"
            run.error = kind
            refused = RefusedError(529, "scripted by the test")
            data = error_body(refused, request_id=run.request_id, kind=kind)
            events[step.error_after :] = [b"event: error\ndata: %s\n\n" % data]
        for index, event in enumerate(events):
            if index == step.cut_after:
                await self._writer.drain()
                raise CutError
            await _pause(step.pace.total_seconds())
            run.events += 1
            if index < len(events) - 1:
                self._writer.write(b"%x\r\n%s\r\n" % (len(event), event))
                await self._writer.drain()
        # The last event and the end of the body in one write: a client may act on either.
        last = events[-1]
        await self._write(run, b"%x\r\n%s\r\n0\r\n\r\n" % (len(last), last))

    async def _write(self, run: _Running, data: bytes) -> None:
        """Write the end of an answer, and log the request once the kernel has all of it."""
        self._door.settling.add(self._writer)
        try:
            self._writer.write(data)
            await self._writer.drain()
            run.finished = True
            self._door.log.append(run.record())
        finally:
            self._door.settling.discard(self._writer)

    def _plain(self, run: _Running, answer: Answer, *, close: bool) -> bytes:
        headers = {
            "content-type": "application/json",
            "content-length": str(len(answer.body)),
        } | answer.headers
        return self._head_bytes(run, headers, close=close) + answer.body

    def _head_bytes(self, run: _Running, headers: dict[str, str], *, close: bool) -> bytes:
        everywhere = {
            "request-id": run.request_id,
            "anthropic-organization-id": self._door.organization_id,
            "connection": "close" if close else "keep-alive",
        }
        lines = [f"HTTP/1.1 {run.status} {_REASONS.get(run.status, 'Refused')}"]
        lines += [f"{name}: {value}" for name, value in (headers | everywhere).items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    async def linger(self) -> None:
        """Read on a little before closing: closing over unread bytes resets the answer away."""
        if self._writer.can_write_eof():
            with contextlib.suppress(OSError):
                self._writer.write_eof()
        async with asyncio.timeout(_LINGER):
            while await self._reader.read(_DROP):
                pass


async def _read_head(reader: asyncio.StreamReader) -> bytes | None:
    """Give a head with its empty line, empty bytes at a clean end, or None if it is too long."""
    try:
        async with asyncio.timeout(_IDLE):
            return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as cut:
        return cut.partial and _CUT_HEAD
    except asyncio.LimitOverrunError:
        return None


async def _pause(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)
