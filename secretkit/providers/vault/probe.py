"""Probe: as whom Vault knows us, until when, and what we may not do there."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from secretkit.ports import Probe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from secretkit.providers.deadline import Deadline
    from secretkit.providers.vault.session import Session

__all__ = ["probed"]

_ASKED: Final = {
    "auth/token/renew-self": "renew its token",
    "sys/leases/renew": "renew leases",
    "sys/leases/revoke": "give leases back",
}
_MAY: Final = {"update", "root", "sudo"}


def probed(
    session: Session, parameters: Mapping[str, Mapping[str, object]], *, deadline: Deadline
) -> Probe:
    """Look up our own token and its capabilities. Nothing is leased.

    Raises like :meth:`secretkit.ports.Provider.fetch`.
    """
    ref = urlsplit(session.client.address).netloc
    now = session.clock.now()
    data = session.read(lambda hvac: hvac.auth.token.lookup_self(), ref=ref, deadline=deadline)
    seconds = data.get("ttl")
    ends = isinstance(seconds, int) and 0 < seconds < timedelta.max.days
    return Probe(
        reached=ref
        + (f" namespace {session.client.namespace}" if session.client.namespace else ""),
        identity=_identity(data),
        expires_at=now + timedelta(seconds=seconds) if ends and isinstance(seconds, int) else None,
        lacks=_lacks(session, parameters, ref, deadline),
    )


def _identity(data: Mapping[str, Any]) -> str:
    policies = [*_texts(data.get("policies")), *_texts(data.get("identity_policies"))]
    name = data.get("display_name")
    return f"{name if isinstance(name, str) else 'unnamed'} (policies: {', '.join(policies)})"


def _texts(found: object) -> list[str]:
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _lacks(
    session: Session, parameters: Iterable[str], ref: str, deadline: Deadline
) -> tuple[str, ...]:
    asked = {**_ASKED, **{path: f"ask {path}" for path in parameters}}
    data = session.read(
        lambda hvac: hvac.sys.get_capabilities(list(asked)), ref=ref, deadline=deadline
    )
    return tuple(phrase for path, phrase in asked.items() if not _MAY & set(_texts(data.get(path))))
