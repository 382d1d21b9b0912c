"""What PostgreSQL's SQLSTATEs (its manual, appendix A) and libpq's failures mean to an operator."""

from __future__ import annotations

from typing import Final

from secretkit.errors import ConfigError, IntegrityError, LedgerError

__all__ = ["TRY_AGAIN", "explain", "unreachable"]

TRY_AGAIN: Final = "try again; if it stays so, look at the PostgreSQL server's log"
# By the words of libpq, whose text itself may hold parts of the URL and is never shown.
_PHRASES: Final = (
    ("authentication failed", "refuses this user or password", "check the password file or URL"),
    ("no password supplied", "wants a password", "put it into ~/.pgpass, mode 0600"),
    ("does not exist", "does not know this user or database", "createdb, createuser"),
    ("Connection refused", "is not listening", "start it, or correct host and port"),
    ("No such file or directory", "is not listening", "start it, or correct the socket directory"),
    ("translate host name", "has a host name that nobody knows", "correct the host"),
    ("timeout", "did not answer in time", "check host, port and firewall; then try again"),
    ("certificate", "showed a certificate that is not trusted", "set sslrootcert in the URL"),
    ("SSL", "does not agree on TLS", "set sslmode in the URL as the server wants it"),
)


def unreachable(error: Exception) -> LedgerError | ConfigError:
    """Say why no connection was made, without any of libpq's own text."""
    if type(error).__name__ != "OperationalError" and not getattr(error, "sqlstate", None):
        return ConfigError(
            "libpq cannot read the PostgreSQL URL (it is not shown: it may hold a password)",
            key_path="ledger.url",
            hint="write postgresql://USER@HOST/DATABASE, percent-encoding what is special",
        )
    text = str(error)
    for phrase, what, hint in _PHRASES:
        if phrase in text:
            return LedgerError(f"the PostgreSQL server of ledger.url {what}", hint=hint)
    return LedgerError("the PostgreSQL server of ledger.url cannot be reached", hint=TRY_AGAIN)


_DAMAGED: Final = ("XX001", "XX002", "23", "42P01", "42703", "22")
_STATES: Final = (
    ("55P03", "is locked by another process", "try again; pg_locks says who holds it"),
    ("57014", "took too long", "try again; pg_stat_activity says what keeps it busy"),
    ("53", "has no room left (disk, memory or connections)", "free some, and try again"),
    ("25006", "takes no writes: it is read-only, perhaps a standby", "connect to the primary"),
    ("40", "lost a race with another process", "try again"),
    ("42501", "does not allow this user that", "GRANT USAGE, CREATE ON SCHEMA public TO the user"),
    ("57P", "is shutting down or starting", "try again"),
)


def explain(state: str) -> LedgerError:
    """Say what a SQLSTATE means, and what to do."""
    if state.startswith(_DAMAGED):
        return IntegrityError(
            f"the PostgreSQL ledger does not hold what was written (SQLSTATE {state})",
            hint="keep a copy: pg_dump; then restore it from a backup",
        )
    for prefix, what, hint in _STATES:
        if state.startswith(prefix):
            return LedgerError(f"the PostgreSQL ledger {what} (SQLSTATE {state})", hint=hint)
    return LedgerError(f"the PostgreSQL ledger failed (SQLSTATE {state or '-'})", hint=TRY_AGAIN)
