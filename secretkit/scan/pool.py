"""Pool: spreads work over forked processes, and fails if one of them does."""

from __future__ import annotations

import json
import os
import selectors
import signal
import struct
import warnings
from typing import TYPE_CHECKING, Any, Final, TypeVar

from secretkit.errors import ScanError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["spread"]

T = TypeVar("T")

_MOST: Final = 8192  # numbers of 4 bytes that fit into a pipe of 64 KiB, with room to spare
_SILENCE: Final = 600.0  # seconds without a sign of life; a task has a deadline of its own
_NUMBER: Final = struct.Struct("<I")
_DONE: Final = "done"


def spread(tasks: Sequence[T], work: Callable[[T], Any], *, workers: int) -> Iterator[Any]:
    """Give what ``work`` makes of each task, which must be fit for JSON, in any order.

    ``work`` runs in ``workers`` processes forked from this one, each of which takes the next task
    when it is done with one; with one worker, or one task, it runs here.

    Raises:
        ScanError: if a process dies, or raises, before all is done; the others are ended then.
    """
    if workers <= 1 or len(tasks) <= 1:
        yield from map(work, tasks)
        return
    queue = _queue(len(tasks))
    children: dict[int, int] = {}
    try:
        for _ in range(min(workers, len(tasks))):
            reader, child = _start(tasks, work, queue)
            children[reader] = child
        yield from _collected(children)
    finally:
        os.close(queue)
        for reader, child in children.items():
            os.close(reader)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _queue(count: int) -> int:
    """Give a pipe that holds the first number of each share of the tasks, then ends."""
    reader, writer = os.pipe()
    try:
        share = _share(count)
        os.write(writer, b"".join(_NUMBER.pack(number) for number in range(0, count, share)))
    finally:
        os.close(writer)
    return reader


def _share(count: int) -> int:
    return -(-count // _MOST)


def _start(tasks: Sequence[T], work: Callable[[T], Any], queue: int) -> tuple[int, int]:
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        # From 3.12 on Python warns of a fork beside threads. The child runs no code of theirs.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        os.close(writer)
        return reader, child
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.close(reader)
        _serve(tasks, work, queue, writer)
        code = 0
    except BaseException as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
        _send(writer, {"failed": type(error).__name__})
    finally:
        os._exit(code)


def _serve(tasks: Sequence[T], work: Callable[[T], Any], queue: int, writer: int) -> None:
    share = _share(len(tasks))
    while number := os.read(queue, _NUMBER.size):
        first = _NUMBER.unpack(number)[0]
        for task in tasks[first : first + share]:
            _send(writer, {"result": work(task)})
    _send(writer, {_DONE: True})


def _send(writer: int, message: dict[str, Any]) -> None:
    line = json.dumps(message).encode() + b"\n"
    while line:
        line = line[os.write(writer, line) :]


def _collected(children: dict[int, int]) -> Iterator[Any]:
    """Give results as they come; forget a child that has ended well."""
    pending = dict.fromkeys(children, b"")
    with selectors.DefaultSelector() as selector:
        for reader in children:
            selector.register(reader, selectors.EVENT_READ)
        while children:
            ready = selector.select(_SILENCE)
            if not ready:
                raise ScanError("a scanning process hangs", hint="scan a smaller part of the tree")
            for key, _ in ready:
                chunk = os.read(key.fd, 1 << 16)
                *lines, pending[key.fd] = (pending[key.fd] + chunk).split(b"\n")
                messages = [json.loads(line) for line in lines]
                yield from (one["result"] for one in messages if "result" in one)
                if any(_DONE in one for one in messages):
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    os.waitpid(children.pop(key.fd), 0)
                elif not chunk or any("failed" in one for one in messages):
                    raise _died(messages)


def _died(messages: Sequence[dict[str, Any]]) -> ScanError:
    why = next((f" ({one['failed']})" for one in messages if "failed" in one), "")
    return ScanError(
        f"a scanning process ended early{why}",
        hint="nothing is known of what it did not scan; run it again, with more memory if short",
    )
