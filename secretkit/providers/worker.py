"""Worker: runs a call that may hang forever, and answers in time all the same."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretkit.ports import Clock

__all__ = ["Worker"]

T = TypeVar("T")
_NAME: Final = "secretkit-worker"


class Worker(Generic[T]):
    """Runs each job in a daemon thread of its own and abandons it at the deadline. Thread-safe.

    Python cannot stop a thread, so an abandoned one stays until its call returns; while there is
    one, ``stuck`` is true and callers had better not add another. A fork's child has none of its
    parent's threads, and is not stuck.
    """

    __slots__ = ("_abandoned", "_clock")

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._abandoned: list[threading.Thread] = []

    @property
    def stuck(self) -> bool:
        """Whether an abandoned job still runs."""
        self._abandoned = [thread for thread in self._abandoned if thread.is_alive()]
        return bool(self._abandoned)

    def run(self, job: Callable[[], T], *, seconds: float) -> T:
        """Give what ``job`` returns. A job returns its errors: one that raises is a defect.

        Raises:
            TimeoutError: if it did not return within ``seconds``.
            RuntimeError: if it raised; names the kind of error and nothing else.
        """
        done = threading.Event()
        returned: list[T] = []
        crashed: list[str] = []

        def work() -> None:
            try:
                returned.append(job())
            except BaseException as error:  # noqa: BLE001 - its text could hold the secret
                crashed.append(type(error).__name__)
            finally:
                done.set()

        thread = threading.Thread(target=work, name=_NAME, daemon=True)
        thread.start()
        self._clock.wait(done, seconds)
        if returned:
            return returned.pop()
        if crashed:
            raise RuntimeError(f"the job raised {crashed[0]}")
        self._abandoned = [*self._abandoned, thread]
        raise TimeoutError("the job is abandoned")
