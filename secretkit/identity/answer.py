"""Answer: asks a token endpoint once, and takes the token out of its reply."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from secretkit.core.secret import Secret
from secretkit.errors import ProviderError, SecretError
from secretkit.wire import failure, json_object

if TYPE_CHECKING:
    from datetime import timedelta

    from secretkit.core.message import Reply, Request
    from secretkit.ports import ProviderContext

__all__ = ["asked", "text_of"]


class _Named(Protocol):
    @property
    def ref(self) -> str: ...


def asked(
    request: Request, who: _Named, *, context: ProviderContext, what: str, timeout: timedelta
) -> Reply:
    """Give the reply if its status is 200.

    Raises:
        ProviderError: or one of its kinds, as :func:`secretkit.wire.failure` tells them apart.
    """
    reply = context.transport().send(request, ref=who.ref, timeout=timeout)
    if reply.status != 200:  # noqa: PLR2004 - HTTP's OK
        raise failure(reply, ref=who.ref, now=context.clock.now(), what=what)
    return reply


def text_of(reply: Reply, key: str, *, ref: str) -> Secret:
    """Give the token that stands under ``key`` in a JSON object.

    Raises:
        ProviderError: if the reply is anything else.
    """
    found = _taken(reply, key, ref)
    if isinstance(found, Secret):
        return found
    raise found


def _taken(reply: Reply, key: str, ref: str) -> Secret | ProviderError:
    """Return errors: this frame sees the token."""
    try:
        document = json_object(reply, ref=ref)
    except ProviderError as error:
        return error.fresh()
    with suppress(SecretError):
        if isinstance(document.get(key), str):
            return Secret(document[key])
    return ProviderError(
        f"{ref}: the answer has no {key!r} with a token in it",
        ref=ref,
        hint="look whether the address names the token endpoint itself",
    )
