"""Lease: a credential, who has it, and until when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from secretkit.core.record import record

if TYPE_CHECKING:
    from datetime import datetime
    from types import TracebackType

    from secretkit.core.credential import Credential

__all__ = ["Lease"]


@record()
class Lease:
    """A credential in one holder's hands until ``expires_at``.

    One object serves every caller of a broker until it is renewed: it is immutable, so it may be
    shared between threads and loops. ``with`` only marks the span in which it is used; ask the
    broker again for each unit of work instead of keeping it.
    """

    id: str
    name: str
    credential: Credential
    generation: int
    holder: str
    ref: str
    granted_at: datetime
    expires_at: datetime

    def __enter__(self) -> Self:
        """Give the lease itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing to give back: the lease belongs to the broker, which ends it."""

    async def __aenter__(self) -> Self:
        """Give the lease itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing to give back: the lease belongs to the broker, which ends it."""
