"""The effective configuration as a flat list: each value and where it came from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from secretkit.config.duration import write_duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from secretkit.config.origin import Origin
    from secretkit.config.schema import Config

__all__ = ["Setting", "settings", "shown_url"]

_SQLITE: Final = re.compile(r"sqlite:///?(?:/[^?#]*|:memory:)?")
# Exact, so that no part of a password with "/", "?" or "#" in it passes for a host or a path.
_HOST: Final = r"(?:[\w.%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?"
_SERVER: Final = re.compile(
    rf"(?P<scheme>[a-z+]+://)(?P<login>[^][/?#@\s]*@)?(?P<hosts>{_HOST}(?:,{_HOST})*)"
    r"(?P<path>/[^/?#@:\s]*)?(?P<query>\?[^?#@\s]*)?",
    re.ASCII,
)
_POLICY: Final = ("ttl", "renew_at", "fetch_timeout", "calls", "per")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One effective value as text, and its origin."""

    key_path: str
    value: str
    origin: Origin


def settings(config: Config) -> list[Setting]:
    """Give every effective value, ordered by table and then by name."""
    return [
        Setting(key_path=path, value=value, origin=config.origin(path))
        for path, value in _values(config)
    ]


def shown_url(url: str) -> str:
    """Give a ledger URL's scheme, hosts and path, with ``***`` for a login and for parameters.

    All of it is ``***`` where a part cannot be told from another.
    """
    if _SQLITE.fullmatch(url):
        return url
    parts = _SERVER.fullmatch(url)
    if parts is None:
        return "***"
    login, query = "***@" if parts["login"] else "", "?***" if parts["query"] else ""
    return f"{parts['scheme']}{login}{parts['hosts']}{parts['path'] or ''}{query}"


def _values(config: Config) -> Iterator[tuple[str, str]]:
    for name, provider in sorted(config.providers.items()):
        yield f"providers.{name}.type", provider.type
        yield from _flat(f"providers.{name}", provider.options)
    for name, credential in sorted(config.credentials.items()):
        at = f"credentials.{name}"
        yield f"{at}.kind", credential.kind
        if credential.sources:
            yield f"{at}.source", ", ".join(map(str, credential.sources))
        if credential.ttl is not None:
            yield f"{at}.ttl", write_duration(credential.ttl)
        yield from _flat(at, credential.options)
    for name, identity in sorted(config.identities.items()):
        yield from _flat(f"identity.{name}", identity)
    for key in _POLICY:
        yield f"leases.{key}", _text(getattr(config.policy, key))
    for name, rotation in sorted(config.rotations.items()):
        at = f"rotation.{name}"
        yield f"{at}.target", rotation.target
        for key, length in (("every", rotation.every), ("overlap", rotation.overlap)):
            if length is not None:
                yield f"{at}.{key}", write_duration(length)
    yield "ledger.url", shown_url(config.ledger_url)
    yield from _flat("scan", config.scan)


def _flat(path: str, options: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for key, value in sorted(options.items()):
        if isinstance(value, dict):
            yield from _flat(f"{path}.{key}", value)
        else:
            yield f"{path}.{key}", _text(value)


def _text(value: object) -> str:
    if isinstance(value, timedelta):
        return write_duration(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return str(value)
