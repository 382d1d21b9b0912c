"""The effective configuration as a flat list: each value and where it came from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from secretkit.config.duration import write_duration
from secretkit.config.literal import url_password

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from secretkit.config.origin import Origin
    from secretkit.config.schema import Config

__all__ = ["Setting", "settings", "shown_url"]

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
    """Give a ledger URL without the password it may hold."""
    if not url_password(url):
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return "***"
    return f"{parts.scheme}://{parts.username or ''}:***@{parts.hostname or ''}{parts.path}"


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
