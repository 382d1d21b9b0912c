"""Every error secretkit raises, in one tree.

::

    SecretkitError             .hint (what to do next)  .retryable
    ├── ConfigError            file, key path, what was expected, nearest name
    ├── RefError               a reference that cannot be read
    ├── SecretError            a value that cannot be a secret of its kind
    ├── ProviderError          .ref  .retry_after
    │   ├── ProviderUnavailableError   did not ask (extra missing, no login)  → a chain goes on
    │   ├── SecretNotFoundError        asked; not there                       → a chain stops
    │   ├── AccessDeniedError          asked; may not       → a chain stops, cached value dropped
    │   └── ProviderTimeoutError       no answer in time; retryable
    ├── LeaseExpiredError      nothing fresh enough; when it ended and why renewal failed
    ├── GrantError             which grant or budget refused, and what would be allowed
    ├── RotationError          the state it stopped in; running again resumes
    ├── LedgerError            integrity, lock, space
    │   └── IntegrityError     stored bytes are not what was written
    └── ScanError              not fully scanned; what was skipped

A message names the reference and the reason, never the value. A foreign error is translated in the
room that met it, ``from None`` when its text or its objects could hold a key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Self

if TYPE_CHECKING:
    from datetime import datetime, timedelta

__all__ = [
    "AccessDeniedError",
    "ConfigError",
    "GrantError",
    "IntegrityError",
    "LeaseExpiredError",
    "LedgerError",
    "ProviderError",
    "ProviderTimeoutError",
    "ProviderUnavailableError",
    "RefError",
    "RotationError",
    "ScanError",
    "SecretError",
    "SecretNotFoundError",
    "SecretkitError",
]

_EXAMPLE: Final = "timedelta(seconds=5)"


class SecretkitError(Exception):
    """The root: catch it to catch everything secretkit raises on purpose."""

    retryable: bool = False
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint or self.default_hint

    def fresh(self) -> Self:
        """Give an equal error without traceback, cause or notes, for one more waiter to raise.

        One exception object raised in many threads gathers all their tracebacks.
        """
        twin = type(self).__new__(type(self), *self.args)
        twin.args = self.args
        twin.__dict__.update({k: v for k, v in self.__dict__.items() if k != "__notes__"})
        return twin


class ConfigError(SecretkitError):
    """The configuration cannot be used as it stands."""

    def __init__(
        self, message: str = "", *, hint: str = "", file: str = "", key_path: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.file = file
        self.key_path = key_path

    def __str__(self) -> str:
        """Put file and key path before the message."""
        where = ": ".join(part for part in (self.file, self.key_path) if part)
        text = super().__str__()
        return f"{where}: {text}" if where else text


class RefError(SecretkitError):
    """A reference that cannot be read."""

    default_hint = "write it as provider:path[#field][@version], for example vault:secret/app#key"


class SecretError(SecretkitError):
    """A value that cannot be a secret of its kind; the value is not in the message."""


def _wait(given: object) -> timedelta | None:
    if given is None:
        return None
    from datetime import timedelta  # noqa: PLC0415 - 1 ms, which the git hook spares

    if isinstance(given, timedelta):
        return given
    kind = type(given).__name__
    raise TypeError(f"retry_after is a timedelta or None, for example {_EXAMPLE}, not {kind}")


class ProviderError(SecretkitError):
    """A store did not give what was asked for.

    ``ref`` is the reference as text; ``retry_after`` is how long the store asked us to wait, a
    timedelta: anything else is a TypeError here, and not later where it is counted with.
    """

    retryable = True

    def __init__(
        self,
        message: str = "",
        *,
        ref: str = "",
        hint: str = "",
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.ref = ref
        self.retry_after = _wait(retry_after)


class ProviderUnavailableError(ProviderError):
    """The store was not asked: an extra is missing, there is no login, nothing answers.

    In a chain the next provider is tried.
    """


class SecretNotFoundError(ProviderError):
    """The store was asked and does not have it. A chain stops here."""

    retryable = False


class AccessDeniedError(ProviderError):
    """The store was asked and refuses. A chain stops here, a cached value is dropped."""

    retryable = False


class ProviderTimeoutError(ProviderError):
    """The store did not answer before the deadline."""


class LeaseExpiredError(SecretkitError):
    """Nothing fresh enough can be served."""

    retryable = True

    def __init__(
        self, message: str = "", *, hint: str = "", ended_at: datetime | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.ended_at = ended_at


class GrantError(SecretkitError):
    """A grant or a budget refused; the message says which, and what would be allowed."""

    def __init__(
        self, message: str = "", *, hint: str = "", retry_after: timedelta | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = _wait(retry_after)


class RotationError(SecretkitError):
    """A rotation stopped before its end; running it again resumes."""

    def __init__(self, message: str = "", *, hint: str = "", state: str = "") -> None:
        super().__init__(message, hint=hint)
        self.state = state


class LedgerError(SecretkitError):
    """The ledger or the local store cannot be read or written now."""

    retryable = True


class IntegrityError(LedgerError):
    """Stored bytes are not what was written; nothing of them was used."""

    retryable = False


class ScanError(SecretkitError):
    """The scan is not complete; the message says what was skipped."""
