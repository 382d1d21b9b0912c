"""Notices: tells whoever asked that a credential has a new generation."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretkit.ports import Change

__all__ = ["Notices"]

_log = logging.getLogger(__name__)


class Notices:
    """Callbacks by credential. Thread-safe; a callback that raises harms nobody."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: dict[str, list[Callable[[Change], None]]] = {}

    def subscribe(self, name: str, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Have ``callback`` called after each new generation; gives the function that stops it."""
        with self._lock:
            callbacks = self._callbacks.setdefault(name, [])
            callbacks.append(callback)

        def stop() -> None:
            with self._lock:
                if callback in callbacks:
                    callbacks.remove(callback)

        return stop

    def tell(self, change: Change) -> None:
        """Call everybody who asked about ``change.name``, in this thread."""
        with self._lock:
            callbacks = tuple(self._callbacks.get(change.name, ()))
        for callback in callbacks:
            try:
                callback(change)
            except Exception as error:  # noqa: BLE001 - a user's code; its text could hold anything
                failure = type(error).__name__
                # Not .exception: a traceback would show the user's locals.
                _log.error("an on_change callback of %r raised %s", change.name, failure)

    def after_fork(self) -> None:
        """Take a new lock in a forked child; the parent's may be held."""
        self._lock = threading.Lock()
