"""The ledger's own failures, in the words an operator reads."""

from __future__ import annotations

from secretkit.errors import LedgerError

__all__ = ["lasting"]


def lasting(message: str, *, hint: str) -> LedgerError:
    """Give a LedgerError that trying again will not cure."""
    error = LedgerError(message, hint=hint)
    error.retryable = False
    return error
