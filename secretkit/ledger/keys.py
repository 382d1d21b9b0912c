"""Keys: the two random keys of one ledger, for fingerprints and for the audit chain.

A SQLite ledger has them in ``<path>.key``, so a copied or stolen database alone neither confirms a
guessed secret nor lets its audit be rewritten. In PostgreSQL they are rows beside the tables, so
that all machines share them: there, whoever can write the tables can also forge the chain.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from typing import TYPE_CHECKING, Final, NoReturn

from secretkit.errors import IntegrityError
from secretkit.ledger import chain

if TYPE_CHECKING:
    from secretkit.core.secret import Secret
    from secretkit.ledger.chain import Head
    from secretkit.ports import AuditEvent

__all__ = ["Keys"]

_BYTES: Final = 32
_TITLE: Final = "secretkit-ledger-key-1"
_SHAPE: Final = re.compile(f"{_TITLE}\n([0-9a-f]{{{4 * _BYTES}}})\n")


class Keys:
    """Fingerprints secrets and seals the audit. Immutable, does not print or pickle."""

    __slots__ = ("_audit", "_fingerprint")

    def __init__(self, material: bytes) -> None:
        """Take 64 random bytes: the fingerprint key, then the audit key."""
        self._fingerprint = material[:_BYTES]
        self._audit = material[_BYTES:]

    @classmethod
    def new(cls) -> Keys:
        """Make random ones."""
        return cls(os.urandom(2 * _BYTES))

    @classmethod
    def read(cls, text: str, *, where: str) -> Keys:
        """Read what :meth:`text` wrote.

        Raises:
            IntegrityError: if it is anything else; the text is not shown.
        """
        match = _SHAPE.fullmatch(text)
        del text
        if match is None:
            raise IntegrityError(
                f"{where} does not hold the ledger's keys as they were written",
                hint=f"restore {where} from the backup that belongs to this ledger",
            )
        return cls(bytes.fromhex(match[1]))

    def text(self) -> str:
        """Give both keys as text, for the key file only."""
        return f"{_TITLE}\n{(self._fingerprint + self._audit).hex()}\n"

    @property
    def id(self) -> str:
        """A public name of these keys, which the ledger stores to know them again."""
        return hmac.digest(self._audit, b"secretkit ledger key id 1", "sha256").hex()[:32]

    def fingerprint(self, secret: Secret) -> str:
        """Give the keyed BLAKE2b-128 digest (RFC 7693) of a secret: 32 hex digits."""
        return hashlib.blake2b(
            secret.reveal().encode(), key=self._fingerprint, digest_size=16
        ).hexdigest()

    def digest(self, *, previous: str, number: int, event: AuditEvent) -> str:
        """Give the audit digest of an entry; see :func:`chain.digest`."""
        return chain.digest(self._audit, previous=previous, number=number, event=event)

    def write_head(self, head: Head) -> str:
        """Give the audit's head as sealed text."""
        return chain.write_head(self._audit, head)

    def read_head(self, text: object) -> Head:
        """Read a sealed head; raises IntegrityError."""
        return chain.read_head(self._audit, text)

    def __repr__(self) -> str:
        return "Keys('***')"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("the ledger's keys cannot be pickled")
