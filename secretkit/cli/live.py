"""Live: the secrets that the user's own ledger has handed out, for a scan to look for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from secretkit.core.secret import Secret
from secretkit.errors import LedgerError, SecretError
from secretkit.scan.finding import Live
from secretkit.scan.live import KnownSecrets

if TYPE_CHECKING:
    from secretkit.cli.session import Session

__all__ = ["known_secrets"]

_SQLITE: Final = "sqlite:///"


def known_secrets(session: Session) -> KnownSecrets | None:
    """Give the secrets of every configured credential, by the ledger's fingerprints, if any.

    Only a ledger in a file that is there is read: a scan makes none, and opens no connection, so
    one in PostgreSQL is not asked. One that cannot be read is said, and the scan goes on.
    """
    url = session.toolkit.config.ledger_url
    if not url.startswith(_SQLITE) or not Path("/" + unquote(url[len(_SQLITE) :])).exists():
        return None
    try:
        ledger = session.toolkit.ledger()
        known = {
            one.fingerprint: Live(credential=name, generation=one.generation)
            for name in session.toolkit.config.credentials
            for one in reversed(ledger.generations(name))
        }
    except LedgerError as error:
        session.say(f"the secrets handed out so far are not looked for: {error}")
        return None

    def fingerprint(value: bytes) -> str:
        try:
            return ledger.fingerprint(Secret(value.decode()))
        except (UnicodeDecodeError, SecretError):
            return ""  # no secret of ours is such bytes

    if not known:
        return None
    fingerprint(b"-")  # reads the ledger's key now: the processes that scan need not
    return KnownSecrets(known, fingerprint=fingerprint)
