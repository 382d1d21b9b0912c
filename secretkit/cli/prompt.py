"""Prompt: asks a person for a secret, without showing it."""

from __future__ import annotations

import getpass
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from secretkit.core.secret import Secret
from secretkit.errors import SecretError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ended_by_signals", "typed"]


def typed(prompt: str) -> Secret:
    """Give what is typed at a hidden prompt.

    Raises:
        SecretError: if it cannot be a secret; the text is not in it.
    """
    found = _ask(prompt)
    if isinstance(found, SecretError):
        raise found
    return found


def _ask(prompt: str) -> Secret | SecretError:
    """Give what is typed, or the error: the one of the decoder would hold the bytes."""
    try:
        return Secret(getpass.getpass(prompt))
    except UnicodeDecodeError:
        return SecretError(
            "what was typed is not UTF-8 text; nothing was stored",
            hint="set the terminal to UTF-8, or pipe the value in: … | secretkit set NAME -",
        )
    except SecretError as error:
        return error.fresh()


class _SignalError(BaseException):
    """Carries a signal past the prompt, which then turns the terminal's echo on again."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end us as they always do, but with the terminal as it was."""

    def caught(number: int, _frame: object) -> None:
        raise _SignalError(number)

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {n: signal.signal(n, caught) for n in numbers if signal.getsignal(n) == signal.SIG_DFL}
    try:
        yield
    except _SignalError as ended:
        signal.signal(ended.number, signal.SIG_DFL)
        signal.raise_signal(ended.number)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
