"""Memory: what a broker holds, under one short lock, and the face of it that readers see."""

from __future__ import annotations

import difflib
import threading
from typing import TYPE_CHECKING

from secretkit.broker.state import State
from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretkit.core.freshness import LeasePolicy
    from secretkit.core.lease import Lease
    from secretkit.ports import CredentialSource

__all__ = ["Memory"]


class Memory:
    """The states of all credentials. ``lock`` is never held over a call to anything outside.

    ``fresh`` maps a name to ``(attend_at, lease)``: until that moment the lease may be served
    without asking anybody. Faces read it without the lock; it is written with it.
    """

    def __init__(
        self, sources: Mapping[str, CredentialSource], *, policies: Mapping[str, LeasePolicy]
    ) -> None:
        self.lock = threading.Lock()
        self.fresh: dict[str, tuple[float, Lease]] = {}
        self.closed = False
        self.states = {
            name: State(name=name, source=source, policy=policies[name])
            for name, source in sources.items()
        }

    def state(self, name: str) -> State:
        """Give the state of one credential.

        Raises:
            ConfigError: if there is none of that name, with the nearest.
        """
        try:
            return self.states[name]
        except KeyError:
            pass
        near = difflib.get_close_matches(str(name), self.states, n=1)
        known = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(self.states)}"
        raise ConfigError(f"there is no credential {name!r}", hint=known)

    def publish(self, state: State, *, until: float) -> None:
        """Let faces serve what is held without asking, until the next thing is to be done."""
        held = state.held
        if held is None:
            self.fresh.pop(state.name, None)
        else:
            self.fresh[state.name] = (min(until, held.window.serve_until), held.lease)
