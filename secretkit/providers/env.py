"""env: a variable of the process environment. ``env:NAME``, or ``env:NAME#field`` for JSON.

The weakest store: children inherit it, and ``/proc/PID/environ`` keeps it. Good for a start.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Self

from secretkit.core.secret import Secret
from secretkit.errors import RefError, SecretError, SecretNotFoundError
from secretkit.ports import Fetched
from secretkit.providers.contents import field_of, no_version
from secretkit.providers.options import Options, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from secretkit.core.ref import SecretRef
    from secretkit.ports import ProviderContext

__all__ = ["EnvProvider"]

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_SECRET_LIKE: Final = re.compile(
    r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|PWD|CREDENTIAL|AUTH", re.IGNORECASE
)
# Measured: `os.getenv("CLAUDE_API_KEY")` is the commonest wrong spelling (research/claude.md §3).
_SAME_VENDOR: Final = ("CLAUDE", "ANTHROPIC")


class EnvProvider:
    """Reads variables from a live mapping. Stateless, thread-safe, never blocks."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    @classmethod
    def open(cls, options: Mapping[str, object], context: ProviderContext) -> Self:
        """Build it over ``context.environ``; it takes no options.

        Raises:
            ConfigError: if an option is given.
        """
        Options(options, type_name="env", known=())
        return cls(context.environ)

    def fetch(self, ref: SecretRef, *, timeout: timedelta) -> Fetched:
        """Give the variable's value as it is; ``timeout`` is not needed.

        Raises:
            RefError: if the path cannot be a variable's name, or a version is asked for.
            SecretError: if the variable is set but empty, or is not text.
            SecretNotFoundError: if it is not set; the hint names near misses, never values.
        """
        del timeout
        no_version(ref)
        if "=" in ref.path:
            raise RefError(f"{ref}: a variable's name holds no '='", hint="write env:NAME")
        try:
            secret = Secret(self._environ[ref.path])
        except KeyError:
            raise self._missing(ref) from None
        except SecretError as error:
            raise self._unusable(ref, str(error)) from None
        return Fetched(secret=field_of(secret, ref=ref))

    def _unusable(self, ref: SecretRef, problem: str) -> SecretError:
        if problem == "the value is empty":
            return SecretError(
                f"{ref}: the variable is set, but empty",
                hint=f"give it a value, or remove it: unset {ref.path}",
            )
        return SecretError(f"{ref}: {problem}", hint=f"set {ref.path} again")

    def _missing(self, ref: SecretRef) -> SecretNotFoundError:
        near = self._near(ref.path)
        return SecretNotFoundError(
            f"{ref}: the variable is not set",
            ref=str(ref),
            hint=f"did you mean {' or '.join(near)}, which is set?"
            if near
            else f"set it: export {ref.path}=...",
        )

    def _near(self, name: str) -> list[str]:
        """Give set variables that ``name`` may be a slip of: the other vendor word, a typo."""
        names = [one for one in self._environ if _NAME.fullmatch(one) and _SECRET_LIKE.search(one)]
        swaps = {name.upper().replace(a, b) for a in _SAME_VENDOR for b in _SAME_VENDOR}
        found = [one for one in names if one.upper() in swaps]
        typo = nearest(name, names)
        return found if not typo or typo in found else [*found, typo]
