"""Session: asks as the one we are logged in as, and says what is wrong when it does not work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from secretkit.providers.vault.reason import AwayError, document, is_denial, reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretkit.core.message import Reply
    from secretkit.ports import Clock
    from secretkit.providers.deadline import Deadline
    from secretkit.providers.vault.client import Client
    from secretkit.providers.vault.token import Token, TokenKeeper

__all__ = ["Session"]


class Session:
    """A client with a token. Thread-safe."""

    def __init__(self, client: Client, keeper: TokenKeeper, *, clock: Clock) -> None:
        self.client = client
        self.keeper = keeper
        self.clock = clock

    def send(
        self,
        call: Callable[[Any], Any],
        *,
        ref: str,
        deadline: Deadline,
    ) -> tuple[Reply, Token]:
        """Give the reply, whatever its status, and the token it was asked with.

        A request that was refused because the token has died is sent once more with a new one.
        """
        token = self.keeper.token(ref=ref, deadline=deadline)
        reply = self.client.ask(call, ref=ref, deadline=deadline, token=token.secret)
        if not is_denial(reply) or not self.keeper.is_dead(token, ref=ref, deadline=deadline):
            return reply, token
        token = self.keeper.token(ref=ref, deadline=deadline)
        reply = self.client.ask(call, ref=ref, deadline=deadline, token=token.secret)
        if is_denial(reply):
            self.keeper.still_denied(token, ref=ref, deadline=deadline)
        return reply, token

    def good(self, call: Callable[[Any], Any], *, ref: str, deadline: Deadline) -> Reply:
        """Give a reply that is a success.

        Raises:
            AccessDeniedError, SecretNotFoundError, ProviderError: as the status means.
        """
        reply, _ = self.send(call, ref=ref, deadline=deadline)
        self.check(reply, ref=ref, deadline=deadline)
        return reply

    def check(self, reply: Reply, *, ref: str, deadline: Deadline) -> None:
        """Raise the error that a reply means, if it is one."""
        failure = reason(reply, ref=ref, now=self.clock.now())
        if isinstance(failure, AwayError):
            failure = self.client.unwell(ref=ref, deadline=deadline, now=self.clock.now())
        if failure is not None:
            raise failure

    def read(self, call: Callable[[Any], Any], *, ref: str, deadline: Deadline) -> dict[str, Any]:
        """Give the ``data`` of a successful answer that holds no secret."""
        data = document(self.good(call, ref=ref, deadline=deadline), ref=ref).get("data")
        return data if isinstance(data, dict) else {}
