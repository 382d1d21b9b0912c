"""Which of the keyring library's back ends may hold a secret.

Chosen from a list of our own, not by ``keyring.get_keyring()``: that one obeys a variable and a
configuration file which can add a directory to ``sys.path``, and falls back to plaintext files as
soon as keyrings.alt is installed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

__all__ = ["chosen", "usable"]

_SECURE: Final = (
    "keyring.backends.SecretService:Keyring",
    "keyring.backends.kwallet:DBusKeyring",
    "keyring.backends.libsecret:Keyring",
    "keyring.backends.macOS:Keyring",
    "keyring.backends.Windows:WinVaultKeyring",
)
_INSECURE: Final = ("keyring.backends.fail", "keyring.backends.null", "keyrings.alt")
_RECOMMENDED: Final = 1  # what the library itself calls suitable (keyring.core.recommended)


def chosen(name: str = "") -> KeyringBackend | str:
    """Give the best secure back end that works here, or the reason why there is none.

    ``name`` (``package.module:Class``) takes that one, if it is secure. May block for as long as
    D-Bus does; the library's import alone takes 0.13 s. Never raises.
    """
    found: list[KeyringBackend] = []
    reasons: list[str] = []
    for target in (name,) if name else _SECURE:
        made = _made(target)
        if isinstance(made, str):
            reasons.append(made)
        else:
            found.append(made)
    if found:
        return max(found, key=lambda backend: float(type(backend).priority))
    return reasons[0] if name else "no secure keyring answers"


def usable(backend: KeyringBackend) -> KeyringBackend | str:
    """Give the back end to use, itself or the best secure one of a chain; or a reason."""
    members = getattr(backend, "backends", None)
    if _is_chainer(backend) and isinstance(members, list):
        secure: list[KeyringBackend] = [member for member in members if not _problem(type(member))]
        if not secure:
            return "the keyring chain has no secure member"
        return max(secure, key=lambda member: float(type(member).priority))
    return _problem(type(backend)) or backend


def _made(target: str) -> KeyringBackend | str:
    module, _, name = target.partition(":")
    try:
        made: KeyringBackend = getattr(importlib.import_module(module), name)()
    except Exception as error:  # noqa: BLE001 - each platform's libraries fail in their own way
        return f"{target} cannot be used ({type(error).__name__})"
    return usable(made)


def _is_chainer(backend: KeyringBackend) -> bool:
    return any(kind.__module__ == "keyring.backends.chainer" for kind in type(backend).__mro__)


def _problem(kind: type[KeyringBackend]) -> str:
    """Say why this back end may not hold a secret, or give an empty string."""
    for one in kind.__mro__:
        if one.__module__.startswith(_INSECURE) or "plaintext" in one.__name__.lower():
            return f"{kind.__module__}.{kind.__name__} does not protect what it holds"
    try:
        priority = float(kind.priority)
    except Exception as error:  # noqa: BLE001 - a back end says "not here" with any error
        return f"{kind.__module__}.{kind.__name__} does not work here ({type(error).__name__})"
    if priority < _RECOMMENDED:
        return f"{kind.__module__}.{kind.__name__} has priority {priority:g}: not recommended"
    return ""
