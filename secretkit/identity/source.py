"""CheckedIdentity: asks one kind of identity, and looks at the token before anybody gets it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from secretkit.identity.claims import read_claims
from secretkit.ports import Assertion, Closable

if TYPE_CHECKING:
    from datetime import timedelta

    from secretkit.core.secret import Secret
    from secretkit.ports import Clock

__all__ = ["CheckedIdentity", "Issuing"]


class Issuing(Protocol):
    """What each kind gives: a name for messages, and a fresh token."""

    @property
    def ref(self) -> str:
        """What it is, as :attr:`secretkit.ports.IdentitySource.ref`."""
        ...

    def token(self, *, timeout: timedelta) -> Secret:
        """Ask once; raises like :meth:`secretkit.ports.Provider.fetch`, with its own ``ref``."""
        ...


class CheckedIdentity:
    """Implements :class:`secretkit.ports.IdentitySource`. Thread-safe; keeps nothing."""

    def __init__(self, issuing: Issuing, *, audience: str, clock: Clock) -> None:
        self._issuing = issuing
        self._clock = clock
        self.audience = audience

    def __repr__(self) -> str:
        return f"<identity {self.ref} for {self.audience}>"

    @property
    def ref(self) -> str:
        """What it is: ``spiffe``, ``github``, ``file:/run/id.jwt``."""
        return self._issuing.ref

    def assertion(self, *, timeout: timedelta) -> Assertion:
        """Give a fresh assertion; what is over, or for another audience, is an error here.

        Raises:
            ProviderError: naming this identity, never the token; and as the kind does.
        """
        token = self._issuing.token(timeout=timeout)
        claims = read_claims(token, ref=self.ref, audience=self.audience, now=self._clock.now())
        return Assertion(
            secret=token,
            expires_at=claims.expires_at,
            issuer=claims.issuer,
            subject=claims.subject,
        )

    def close(self) -> None:
        """Close what its kind holds open; safe to repeat, and to ask again after it."""
        if isinstance(self._issuing, Closable):
            self._issuing.close()
