"""Server: the asyncio side of the stand-in. Connections, bodies, streams, and being down.

A record is in the log before its client can act on the end of the answer, as far as
:meth:`Server.settled` is awaited; :class:`~secretkit.testing.claude.ClaudeStub` does so.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from dataclasses import dataclass
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

__all__ = ["Server", "Settings"]

_IDLE: Final = 300.0  # longer than any pause of a test: a kept connection must not race its closing
_LINGER: Final = 2.0
_DROP: Final = 64 * 1024
_CUT_HEAD: Final = b"(cut short)\r\n\r\n"  # never well-formed, whatever the client sent before
_PLAIN: Final = Step()
_OK: Final = 200
_REASONS: Final = {200: "OK", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


@dataclass(frozen=True, slots=True)
class Settings:
    """The port to listen on (0: any), the most bytes of a body, and the organisation's id."""

    port: int
    max_body: int
    organization_id: str


class _CutError(Exception):
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


class Server:
    """Listens on one loopback port. Everything but the constructor runs on its event loop."""

    def __init__(
        self,
        *,
        api: Api,
        script: Script,
        log: StubLog,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._api = api
        self._script = script
        self._log = log
        self._clock = clock
        self._settings = settings
        self._numbers = itertools.count(1)
        self._tasks: set[asyncio.Task[object]] = set()
        self._settling: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.faults: list[str] = []
        # Bound but never listening: it keeps the port ours while the server is down.
        self._place = _bind(settings.port)
        self.port: int = self._place.getsockname()[1]
        self._hosts = frozenset({f"127.0.0.1:{self.port}", f"localhost:{self.port}"})

    async def up(self) -> None:
        """Listen; nothing if it listens already."""
        if self._server is None:
            listening = _bind(self.port)
            self._server = await asyncio.start_server(
                self._connection, sock=listening, limit=MAX_HEAD, backlog=1024
            )

    async def down(self) -> None:
        """Refuse new connections and cut the open ones; safe to repeat."""
        if self._server is not None:
            self._server.close()
            self._server = None
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """Go down for good and give the port back."""
        await self.down()
        self._place.close()

    async def settled(self) -> None:
        """Wait until every answer that has left is in the log."""
        while any(  # noqa: ASYNC110 - a few turns of the loop at the most
            not writer.transport.get_write_buffer_size() for writer in self._settling
        ):
            await asyncio.sleep(0)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        # So that a drain means that the kernel has it all: `finished` in the log depends on it.
        writer.transport.set_write_buffer_limits(high=0)
        try:
            while await self._exchange(reader, writer):
                pass
            await _linger(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            pass
        except (_CutError, asyncio.CancelledError):
            writer.transport.abort()
        except Exception as error:  # noqa: BLE001 - reported when the stub stops
            self.faults.append(type(error).__name__)
            writer.transport.abort()
        finally:
            writer.close()
            if task is not None:
                self._tasks.discard(task)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; say whether the connection may be used again."""
        raw = await _read_head(reader)
        if raw == b"":
            return False
        number = next(self._numbers)
        run = _Running(number, self._clock.now(), f"req_{number:024d}")
        try:
            head = self._head(raw, run)
            body = await reader.readexactly(head.length)
        except RefusedError as refused:
            await self._refuse(writer, run, refused, close=True)
            return False
        except BaseException:
            self._log.append(run.record())
            raise
        try:
            await self._answer(writer, run, head, body)
        finally:
            if not run.finished:  # cut, cancelled, or the client went away
                self._log.append(run.record())
        return not head.close

    def _head(self, raw: bytes | None, run: _Running) -> Head:
        if raw is None:
            raise RefusedError(431, f"the head is longer than {MAX_HEAD} bytes")
        head = parse_head(raw, hosts=self._hosts)
        del raw
        run.method = head.method if head.method in {"GET", "POST"} else "(other)"
        run.path = route_of(head.path) or "(unknown)"
        run.spelling = head.presented.spelling
        if head.length > self._settings.max_body:
            raise RefusedError(413, f"the body is longer than {self._settings.max_body} bytes")
        return head

    async def _answer(
        self, writer: asyncio.StreamWriter, run: _Running, head: Head, body: bytes
    ) -> None:
        try:
            verdict = self._api.verdict(head)
            run.key = verdict.label if verdict is not None else ""
            route = self._api.check(head, verdict)
            answer = self._api.answer(route, head, body, request_id=run.request_id)
            run.stream = answer.events is not None
            step = self._script.take(route, is_stream=run.stream)
            run.scripted = step is not None
            step = step or _PLAIN
            await _pause(step.delay.total_seconds())
            if step.cut_after == 0:
                raise _CutError
            if step.is_error:
                refused = step.refusal()
                if refused.status == 429:  # noqa: PLR2004 - HTTP
                    refused.headers = self._api.meter_headers() | refused.headers
                await self._refuse(writer, run, refused, step=step, close=head.close)
                return
            if route == "/v1/messages":
                answer.headers.update(self._api.meter(answer))
        except RefusedError as refused:
            await self._refuse(writer, run, refused, close=head.close)
            return
        run.status = _OK
        answer.headers.update(step.headers)
        if answer.events is None:
            await self._send_json(writer, run, answer, step=step, close=head.close)
        else:
            await self._send_events(writer, run, answer, step=step, close=head.close)

    async def _refuse(
        self,
        writer: asyncio.StreamWriter,
        run: _Running,
        refused: RefusedError,
        *,
        close: bool,
        step: Step = _PLAIN,
    ) -> None:
        run.status, run.error = refused.status, step.error or refused.type
        body = error_body(refused, request_id=run.request_id, kind=step.error)
        answer = Answer(body if step.body is None else step.body, headers=refused.headers)
        await self._write(writer, run, self._plain(run, answer, close=close))

    async def _send_json(
        self,
        writer: asyncio.StreamWriter,
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
            writer.write(whole[: -max(1, len(answer.body) // 2)])
            await writer.drain()
            raise _CutError
        await self._write(writer, run, whole)

    async def _send_events(
        self,
        writer: asyncio.StreamWriter,
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
        writer.write(self._head_bytes(run, headers, close=close))
        events = list(answer.events or ())
        if step.error_after is not None:
            kind = step.error or "overloaded_error"
            run.error = kind
            refused = RefusedError(529, "scripted by the test")
            data = error_body(refused, request_id=run.request_id, kind=kind)
            events[step.error_after :] = [b"event: error\ndata: %s\n\n" % data]
        for index, event in enumerate(events):
            if index == step.cut_after:
                await writer.drain()
                raise _CutError
            await _pause(step.pace.total_seconds())
            run.events += 1
            if index < len(events) - 1:
                writer.write(b"%x\r\n%s\r\n" % (len(event), event))
                await writer.drain()
        # The last event and the end of the body in one write: a client may act on either.
        last = events[-1]
        await self._write(writer, run, b"%x\r\n%s\r\n0\r\n\r\n" % (len(last), last))

    async def _write(self, writer: asyncio.StreamWriter, run: _Running, data: bytes) -> None:
        """Write the end of an answer, and log the request once the kernel has all of it."""
        self._settling.add(writer)
        try:
            writer.write(data)
            await writer.drain()
            run.finished = True
            self._log.append(run.record())
        finally:
            self._settling.discard(writer)

    def _plain(self, run: _Running, answer: Answer, *, close: bool) -> bytes:
        headers = {
            "content-type": "application/json",
            "content-length": str(len(answer.body)),
        } | answer.headers
        return self._head_bytes(run, headers, close=close) + answer.body

    def _head_bytes(self, run: _Running, headers: dict[str, str], *, close: bool) -> bytes:
        everywhere = {
            "request-id": run.request_id,
            "anthropic-organization-id": self._settings.organization_id,
            "connection": "close" if close else "keep-alive",
        }
        lines = [f"HTTP/1.1 {run.status} {_REASONS.get(run.status, 'Refused')}"]
        lines += [f"{name}: {value}" for name, value in (headers | everywhere).items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _read_head(reader: asyncio.StreamReader) -> bytes | None:
    """Give a head with its empty line, empty bytes at a clean end, or None if it is too long."""
    try:
        async with asyncio.timeout(_IDLE):
            return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as cut:
        return cut.partial and _CUT_HEAD
    except asyncio.LimitOverrunError:
        return None


async def _linger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read on a little before closing: closing over unread bytes would reset the answer away."""
    if writer.can_write_eof():
        with contextlib.suppress(OSError):
            writer.write_eof()
    async with asyncio.timeout(_LINGER):
        while await reader.read(_DROP):
            pass


async def _pause(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)


def _bind(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(("127.0.0.1", port))
    except BaseException:
        bound.close()
        raise
    return bound
