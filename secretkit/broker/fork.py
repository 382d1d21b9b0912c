"""Fork: a forked child gets working brokers, whatever other threads did at that moment.

``os.fork`` copies locks in whatever state they are in. Measured: botocore's and the SDK's caches
hang in a child forked during a refresh. Here every engine's lock is held across the fork, so its
state is whole, and the child starts with new locks, no flights and no threads.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol

__all__ = ["guard"]


class _Forkable(Protocol):
    def before_fork(self) -> None: ...
    def after_fork_in_parent(self) -> None: ...
    def after_fork_in_child(self) -> None: ...


_guarded: weakref.WeakSet[_Forkable] = weakref.WeakSet()
_held: list[_Forkable] = []
_lock = threading.Lock()


def guard(engine: _Forkable) -> None:
    """Have ``engine`` told before and after each fork, as long as it lives."""
    with _lock:
        _guarded.add(engine)


def _before() -> None:
    _lock.acquire()
    _held.extend(_guarded)
    for engine in _held:
        engine.before_fork()


def _in_parent() -> None:
    for engine in _held:
        engine.after_fork_in_parent()
    _held.clear()
    _lock.release()


def _in_child() -> None:
    for engine in _held:
        engine.after_fork_in_child()
    _held.clear()
    _lock.release()


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
