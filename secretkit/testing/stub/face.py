"""ClaudeStub itself: the thread, the script and the log, around the server."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Self, Unpack

from secretkit.broker.clock import SystemClock
from secretkit.errors import SecretkitError
from secretkit.testing.stub.api import Api
from secretkit.testing.stub.keys import KeyRing
from secretkit.testing.stub.limits import Meter, RateLimits
from secretkit.testing.stub.log import LogRecord, StubLog, select, summarise
from secretkit.testing.stub.oauth import Exchange
from secretkit.testing.stub.organization import Organization
from secretkit.testing.stub.script import Script, Step
from secretkit.testing.stub.server import Server, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path
    from types import TracebackType

    from secretkit.core.secret import Secret
    from secretkit.ports import Clock
    from secretkit.testing.stub.script import StepOptions

__all__ = ["ClaudeStub"]

_ORGANIZATION: Final = "5ec2e7a1-0000-4000-8000-000000000001"
_PATIENCE: Final = 10.0


class ClaudeStub:
    """The stand-in in a thread of its own; use it with ``with``. All methods are thread-safe.

    ::

        with ClaudeStub() as stub:
            stub.keys.accept(key, label="a")
            client = anthropic.Anthropic(api_key=key.reveal(), base_url=stub.url)

    No key is accepted until :attr:`keys` is told so, and no workload's token until
    :attr:`organization` trusts its issuer (``organization.federate(issuer, …)``). Overlaps, token
    ends and rate-limit windows follow ``clock``; delays and paces are real seconds. ``log_file``
    gets one JSON line a request.
    """

    def __init__(  # noqa: PLR0913 - each a knob of the double, by keyword, with a default
        self,
        *,
        clock: Clock | None = None,
        reply: str = "Hello from the stand-in. Nothing here has met a model.",
        token_ttl: timedelta = timedelta(days=1),
        limits: RateLimits | None = None,
        log_file: Path | None = None,
        port: int = 0,
        max_body: int = 32 * 1024 * 1024,
        organization_id: str = _ORGANIZATION,
        on_mint: Callable[[Secret], None] | None = None,
    ) -> None:
        self._clock: Clock = clock or SystemClock()
        self.keys = KeyRing(self._clock)
        self.organization = Organization(organization_id, clock=self._clock)
        self.tokens = Exchange(
            self.keys, organization=self.organization, clock=self._clock, ttl=token_ttl
        )
        self.tokens.on_mint = on_mint
        self._script = Script()
        self._log_file = log_file
        meter = Meter(limits or RateLimits(), clock=self._clock)
        self._api = Api(
            keys=self.keys,
            meter=meter,
            exchange=self.tokens,
            organization=self.organization,
            reply=reply,
        )
        self._settings = Settings(port, max_body, organization_id)
        self._log = StubLog()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"<ClaudeStub {self.url if self._server else 'not started'}>"

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it; a fault of the stand-in itself is raised unless an error is under way."""
        faults = self.stop()
        if faults and kind is None:
            raise SecretkitError(
                f"the stand-in itself failed: {', '.join(faults)}", hint="report this as a defect"
            )

    def start(self) -> Self:
        """Listen on loopback; once only.

        Raises:
            SecretkitError: if it was started before.
            OSError: if the port is taken.
        """
        if self._server is not None:
            raise SecretkitError("this stand-in was started before", hint="make a new ClaudeStub")
        self._log = StubLog(self._log_file)
        self._server = Server(
            api=self._api,
            script=self._script,
            log=self._log,
            clock=self._clock,
            settings=self._settings,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="secretkit-claude-stub", daemon=True
        )
        self._thread.start()
        self._call(self._server.up())
        return self

    def stop(self) -> list[str]:
        """Close everything and give the faults of the stand-in itself; safe to repeat."""
        if self._loop is None or self._server is None or self._thread is None:
            return []
        self._call(self._server.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        self._loop.close()
        self._loop = None
        self._log.close()
        return list(self._server.faults)

    @property
    def url(self) -> str:
        """The base URL for clients."""
        if self._server is None:
            raise SecretkitError("this stand-in was not started", hint="use it with `with`")
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def reply(self) -> str:
        """The text of every message; set it at any time."""
        return self._api.reply

    @reply.setter
    def reply(self, text: str) -> None:
        """Let every later message say ``text``."""
        self._api.reply = text

    def down(self) -> None:
        """Refuse connections and cut the open ones, until :meth:`up`. The port stays ours."""
        if self._server is not None:
            self._call(self._server.down())

    def up(self) -> None:
        """Listen again on the same port."""
        if self._server is not None:
            self._call(self._server.up())

    def script(self, *steps: Step) -> None:
        """Queue how the next answers differ from a success; see :class:`Step`."""
        self._script.add(*steps)

    def next(self, **step: Unpack[StepOptions]) -> None:
        """Queue one :class:`Step`: ``stub.next(status=429, retry_after=1)``."""
        self.script(Step(**step))

    @property
    def pending(self) -> int:
        """How many scripted answers were not given yet."""
        return len(self._script)

    def clear(self) -> None:
        """Forget the scripted answers that were not given yet."""
        self._script.clear()

    @property
    def log(self) -> tuple[LogRecord, ...]:
        """Every request so far, in the order they ended. One whose answer has arrived is in it."""
        if self._server is not None and self._loop is not None:
            self._call(self._server.settled())
        return self._log.records()

    def count(self, **facts: object) -> int:
        """Count the requests whose log fields equal ``facts``: ``stub.count(status=401)``.

        Raises:
            ConfigError: for a field that no record has.
        """
        return len(select(self.log, **facts))

    def summary(self) -> dict[str, object]:
        """Give the figures of the run, computed from the log."""
        return summarise(self.log)

    def _call(self, work: Coroutine[object, object, None]) -> None:
        if self._loop is None:
            work.close()
            raise SecretkitError("this stand-in is stopped", hint="make a new ClaudeStub")
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE)
