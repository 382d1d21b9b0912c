"""Server: the stand-in's listening socket, and its being up or down.

A record is in the log before its client can act on the end of the answer, as far as
:meth:`Server.settled` is awaited; :class:`~secretkit.testing.ClaudeStub` does so.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from secretkit.testing.stub.conversation import Conversation, CutError, Door
from secretkit.testing.stub.head import MAX_HEAD

if TYPE_CHECKING:
    from secretkit.ports import Clock
    from secretkit.testing.stub.api import Api
    from secretkit.testing.stub.log import StubLog
    from secretkit.testing.stub.script import Script

__all__ = ["Server", "Settings"]

_ACCEPTING: Final = 8  # turns of the loop; asyncio takes four from a connection to its task


@dataclass(frozen=True, slots=True)
class Settings:
    """The port to listen on (0: any), the most bytes of a body, and the organisation's id."""

    port: int
    max_body: int
    organization_id: str


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
        self._tasks: set[asyncio.Task[object]] = set()
        self._server: asyncio.Server | None = None
        self.faults: list[str] = []
        # Bound but never listening: it keeps the port ours while the server is down.
        self._place = _bind(settings.port)
        self.port: int = self._place.getsockname()[1]
        self._door = Door(
            api=api,
            script=script,
            log=log,
            clock=clock,
            hosts=frozenset({f"127.0.0.1:{self.port}", f"localhost:{self.port}"}),
            max_body=settings.max_body,
            organization_id=settings.organization_id,
        )

    async def up(self) -> None:
        """Listen; nothing if it listens already."""
        if self._server is None:
            listening = _bind(self.port)
            self._server = await asyncio.start_server(
                self._connection, sock=listening, limit=MAX_HEAD, backlog=1024
            )

    async def down(self) -> None:
        """Refuse new connections and cut the open ones; safe to repeat."""
        server, self._server = self._server, None
        if server is not None:
            # A connection that asyncio has accepted, and not given to a task yet, would be left
            # open by close(): so nothing more is accepted first.
            for listening in server.sockets:
                asyncio.get_running_loop().remove_reader(listening.fileno())
            for _ in range(_ACCEPTING):
                await asyncio.sleep(0)
            server.close()
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
            not writer.transport.get_write_buffer_size() for writer in self._door.settling
        ):
            await asyncio.sleep(0)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        # So that a drain means that the kernel has it all: `finished` in the log depends on it.
        writer.transport.set_write_buffer_limits(high=0)
        talk = Conversation(self._door, reader, writer)
        try:
            while await talk.turn():
                pass
            await talk.linger()
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            pass
        except (CutError, asyncio.CancelledError):
            writer.transport.abort()
        except Exception as error:  # noqa: BLE001 - reported when the stub stops
            self.faults.append(type(error).__name__)
            writer.transport.abort()
        finally:
            writer.close()
            if task is not None:
                self._tasks.discard(task)


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
