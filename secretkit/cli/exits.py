"""The one table from error to exit code, and the words for it.

0 done · 1 findings, or a check failed · 2 usage or configuration · 3 denied; for a scan: not
everything was scanned · 4 a store cannot be reached · 5 not found · 6 grant or budget · 7 rotation
incomplete · 70 our own defect · 130 Ctrl-C.
``run`` passes its child's code through, 128+n for signal n, and uses 125 to 127 for its own
failures to start, as env(1) and docker do.
"""

from __future__ import annotations

from typing import Final

from secretkit import errors

__all__ = [
    "BROKEN_PIPE",
    "CHECK_FAILED",
    "DEFECT",
    "INCOMPLETE",
    "INTERRUPTED",
    "NOT_EXECUTABLE",
    "NOT_FOUND",
    "NOT_STARTED",
    "OK",
    "USAGE",
    "exit_code",
    "verdict",
]

OK: Final = 0
CHECK_FAILED: Final = 1
USAGE: Final = 2
INCOMPLETE: Final = 3
DEFECT: Final = 70
NOT_STARTED: Final = 125
NOT_EXECUTABLE: Final = 126
NOT_FOUND: Final = 127
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141  # 128 + SIGPIPE, what a shell reports for any other tool

# The first class that fits counts, so a subclass stands above its parent.
_TABLE: Final[tuple[tuple[type[errors.SecretkitError], int, str], ...]] = (
    (errors.ConfigError, USAGE, "the configuration cannot be used"),
    (errors.RefError, USAGE, "this reference cannot be read"),
    (errors.SecretError, USAGE, "this value cannot be used"),
    (errors.ProviderUnavailableError, 4, "the store could not be asked"),
    (errors.SecretNotFoundError, 5, "not found"),
    (errors.AccessDeniedError, 3, "access denied"),
    (errors.ProviderTimeoutError, 4, "the store did not answer in time"),
    (errors.ProviderError, 4, "the store failed"),
    (errors.LeaseExpiredError, 4, "nothing fresh enough can be given"),
    (errors.GrantError, 6, "a grant or a budget refuses"),
    (errors.RotationError, 7, "the rotation is not complete"),
    (errors.IntegrityError, CHECK_FAILED, "stored bytes are damaged"),
    (errors.LedgerError, 4, "the ledger or the store cannot be used now"),
    (errors.ScanError, INCOMPLETE, "not everything was scanned"),
)


def exit_code(error: errors.SecretkitError) -> int:
    """Give the exit code that stands for ``error``."""
    return next((code for kind, code, _ in _TABLE if isinstance(error, kind)), DEFECT)


def verdict(error: errors.SecretkitError) -> str:
    """Say in a few words what failed."""
    return next((words for kind, _, words in _TABLE if isinstance(error, kind)), "failed")
