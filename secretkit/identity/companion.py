"""Companions: the programs beside us that ask SPIFFE Workload APIs, see agent.py.

Each has one end of a pair of sockets and ends when ours is closed, so none outlives this process,
also one that is killed. Our end is close-on-exec, and a forked child closes its copies first thing.
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from secretkit.identity.frame import receive, send

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretkit.providers.deadline import Deadline

__all__ = ["Companions"]

_MOST: Final = 4  # 54 MB each
_PATIENCE: Final = 0.5  # what a start takes on a busy machine: who waits less starts none
_START: Final = 30.0  # who is not ready then never will be
_REAP: Final = 1.0  # a killed process is gone in microseconds, unless the kernel holds it
_EARLY: Final = 0.1  # gRPC ends its call so long before the deadline, and the companion lives on
_LATE: Final = {"code": "DEADLINE_EXCEEDED"}


class Companions:
    """At most four programs, one for each question that is being asked. Thread-safe.

    One more is started where none is free for half a second. A forked child has its own.
    """

    def __init__(self) -> None:
        self._forget()
        if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
            os.register_at_fork(
                before=self._hold,
                after_in_parent=self._let_go,
                after_in_child=self._in_child,
            )
        atexit.register(self.close)

    def _forget(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[object] = []  # who came first is served first
        self._taken: set[_Companion] = set()
        # The last one is taken first, and given back there: those that run are the last ones.
        self._free = [_Companion(self._changed) for _ in range(_MOST)]

    def _hold(self) -> None:
        self._changed.acquire()  # no fork while a line is made, closed or handed on

    def _let_go(self) -> None:
        self._changed.release()

    def _in_child(self) -> None:
        for companion in (*self._free, *self._taken):
            companion.leave()
        self._forget()

    def ask(self, question: Mapping[str, Any], *, deadline: Deadline) -> dict[str, Any]:
        """Give what :meth:`secretkit.identity.agent.Agent.answer` gives, or one more ``code``.

        NOT_INSTALLED, FAILED where no program answers, or DEADLINE_EXCEEDED. A program that
        overruns the deadline is killed. Raises nothing, since what it reads holds a token.
        """
        companion = self._take(deadline)
        if companion is None:
            return _LATE
        try:
            return companion.ask(question, deadline=deadline)
        finally:
            self._give_back(companion)

    def close(self) -> None:
        """End those that nobody waits for. Safe to repeat, and to ask again after it."""
        with self._changed:
            idle, self._free = self._free, []
            self._taken.update(idle)
        for companion in idle:
            companion.end()
            self._give_back(companion)

    def _take(self, deadline: Deadline) -> _Companion | None:
        turn = object()
        with self._changed:
            self._waiting.append(turn)
            try:
                self._changed.wait_for(
                    lambda: self._waiting[0] is turn and self._is_one_idle(),
                    min(_PATIENCE, deadline.seconds),
                )
                if not self._changed.wait_for(
                    lambda: self._waiting[0] is turn and bool(self._free), deadline.seconds
                ):
                    return None
                companion = self._free.pop()
                self._taken.add(companion)
                return companion
            finally:
                self._waiting.remove(turn)
                self._changed.notify_all()

    def _is_one_idle(self) -> bool:
        """Say whether one that runs is free, or none runs at all."""
        return not self._taken or bool(self._free and self._free[-1].runs)

    def _give_back(self, companion: _Companion) -> None:
        with self._changed:
            if companion in self._taken:
                self._taken.remove(companion)
                self._free.insert(len(self._free) if companion.runs else 0, companion)
                self._changed.notify_all()
                return
        companion.end()  # a signal's handler forked amid a question, and this is the child


class _Companion:
    """One program, which is started when it is asked and does not run. One thread at a time."""

    def __init__(self, guard: threading.Condition) -> None:
        self._guard = guard  # held while a process forks
        self._ends: tuple[socket.socket, ...] = ()
        self._program: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._started = 0.0

    @property
    def runs(self) -> bool:
        """Whether it was started, as far as is known."""
        return self._program is not None

    def ask(self, question: Mapping[str, Any], *, deadline: Deadline) -> dict[str, Any]:
        """Give its answer, or a code. Where it has ended meanwhile, a fresh one is asked, once."""
        for _ in range(2 if self.runs else 1):
            try:
                return self._asked(question, deadline)
            except TimeoutError:
                self.end()
                return _LATE
            except (OSError, ValueError):
                self.end()
            except BaseException:
                self.end()  # its answer would be taken for that to the next question
                raise
        return {"code": "FAILED"}

    def _asked(self, question: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        if not self.runs:
            self._start()
        line = self._ends[0]
        if not self._ready:
            try:
                said = receive(line, left=lambda: deadline.seconds)
            except TimeoutError:
                if time.monotonic() - self._started > _START:
                    raise
                return _LATE  # it goes on starting, for the next question
            if said:
                self.end()
                return said
            self._ready = True
        left = deadline.seconds
        send(line, {**question, "seconds": max(left - min(_EARLY, left / 5), 0.001)})
        return receive(line, left=lambda: deadline.seconds)

    def _start(self) -> None:
        self._started = time.monotonic()
        with self._guard:
            ours, theirs = self._ends = socket.socketpair()
        self._program = subprocess.Popen(
            [sys.executable, "-P", "-m", "secretkit.identity.agent"],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,  # Ctrl-C is for us
        )
        with self._guard:
            theirs.close()
            self._ends = (ours,)

    def end(self) -> None:
        """Kill it, by its number, and close its line; safe to repeat."""
        program, self._program = self._program, None
        self._close()
        if program is not None:
            program.kill()
            with suppress(subprocess.TimeoutExpired):
                program.wait(_REAP)

    def leave(self) -> None:
        """Close a forked child's copies: the program is its parent's, and goes on."""
        program, self._program = self._program, None
        self._close()
        if program is not None:
            program.returncode = 0  # so that nobody waits for it here, or warns that it runs

    def _close(self) -> None:
        self._ready = False
        with self._guard:
            for end in self._ends:
                end.close()
            self._ends = ()
