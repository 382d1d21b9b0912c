"""Checks a TOML text and makes a :class:`Config` of it. Nothing is read or raised here.

An error is *given* to the caller, who raises it from a frame that holds no text of the file: what
is wrong with a configuration may be a secret in it.
"""

from __future__ import annotations

import re
import tomllib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from secretkit.config.credential import POLICY_HINT, named, parse_credential
from secretkit.config.literal import literal_option, literal_text, url_password
from secretkit.config.origin import KeyPath, Origin, OriginKind, dotted, key_lines
from secretkit.config.schema import (
    BUILT_IN_PROVIDERS,
    Config,
    ProviderConfig,
    RotationConfig,
    nearest,
)
from secretkit.config.table import Source, Table
from secretkit.core.freshness import LeasePolicy
from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["parse_config"]

_TOP: Final = ("providers", "credentials", "identity", "leases", "rotation", "ledger", "scan")
_LEASES: Final = ("ttl", "renew_at", "fetch_timeout", "calls", "per")
_DEPTH: Final = 16  # of tables in tables, for origins
_PROVIDER: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
_WHERE: Final = re.compile(r"\(at (line (\d+), column \d+|end of document)\)")


def parse_config(raw: bytes, *, file: Path, prefix: KeyPath = ()) -> Config | ConfigError:
    """Give the configuration in ``raw``, or the first error in it, without traceback.

    ``prefix`` is the path of the table to read, ``("tool", "secretkit")`` in a pyproject.toml.
    """
    try:
        return _parse(raw, file=file, prefix=prefix)
    except ConfigError as error:
        return error.fresh()


def _parse(raw: bytes, *, file: Path, prefix: KeyPath) -> Config:
    literal = literal_text(raw)
    values = _toml(raw, file=file)
    lines: dict[KeyPath, int] = {}
    if isinstance(values, dict):
        lines = key_lines(raw.decode().replace("\r\n", "\n"))
    if literal is not None:
        raise _literal_error(literal, lines, file=file)
    if isinstance(values, ConfigError):
        raise values
    for part in prefix:
        inner = values.get(part, {})
        values = inner if isinstance(inner, dict) else {}
    source = Source(file=str(file), lines=lines, prefix=prefix)
    return _config(Table(values, (), source), file=file)


def _toml(raw: bytes, *, file: Path) -> dict[str, Any] | ConfigError:
    try:
        return tomllib.loads(raw.decode())
    except UnicodeDecodeError:
        return ConfigError("is not UTF-8 text", hint="save it as UTF-8", file=str(file))
    except RecursionError:
        return ConfigError("is nested too deeply", hint="flatten it", file=str(file))
    except ValueError as error:
        # tomllib's own message can repeat a key or a character of the file: only its place is kept.
        place = _WHERE.search(str(error))
        line = f":{place[2]}" if place and place[2] else ""
        return ConfigError(
            f"is not valid TOML{f' at {place[1]}' if place else ''}",
            hint='strings stand in "quotes", tables in [brackets], each key on its own line, once',
            file=f"{file}{line}",
        )


def _literal_error(
    literal: tuple[str, int], lines: Mapping[KeyPath, int], *, file: Path
) -> ConfigError:
    rule, line = literal
    above = [path for path, at in lines.items() if at <= line]
    return ConfigError(
        f"a secret stands here (rule {rule}); this file holds references only",
        hint="revoke it, store a new one with secretkit set NAME, and write local:NAME here",
        file=f"{file}:{line}",
        key_path=dotted(max(above, key=lambda path: lines[path])) if above else "",
    )


def _config(top: Table, *, file: Path) -> Config:
    top.refuse_unknown(_TOP)
    providers = {name: _provider(table) for name, table in top.tables("providers").items()}
    known = BUILT_IN_PROVIDERS | providers.keys()
    policy = _policy(top.table("leases"))
    credentials = {
        name: parse_credential(table, known, policy=policy)
        for name, table in top.tables("credentials").items()
    }
    rotations = {
        name: _rotation(table, credentials) for name, table in top.tables("rotation").items()
    }
    return Config(
        providers=MappingProxyType(providers),
        credentials=MappingProxyType(credentials),
        identities=MappingProxyType(_identities(top)),
        policy=policy,
        rotations=MappingProxyType(rotations),
        ledger_url=_ledger_url(top.table("ledger")),
        scan=MappingProxyType(dict(top.table("scan").values)),
        file=file,
        origins=MappingProxyType(dict(_origins(top))),
    )


def _provider(table: Table) -> ProviderConfig:
    named(table, _PROVIDER, "at most 40 lower-case letters, digits and '-'")
    options = {key: value for key, value in table.values.items() if key != "type"}
    literal = literal_option(options, path=table.path, source=table.source)
    if literal is not None:
        raise literal
    return ProviderConfig(
        type=table.required("type"),
        options=MappingProxyType(options),
        key_path=dotted(table.path),
    )


def _identities(top: Table) -> dict[str, Mapping[str, object]]:
    found: dict[str, Mapping[str, object]] = {}
    for name, table in top.tables("identity").items():
        named(table, _PROVIDER, "at most 40 lower-case letters, digits and '-'")
        literal = literal_option(dict(table.values), path=table.path, source=table.source)
        if literal is not None:
            raise literal
        found[name] = MappingProxyType(dict(table.values))
    return found


def _policy(table: Table) -> LeasePolicy:
    table.refuse_unknown(_LEASES)
    stated: dict[str, Any] = {
        "ttl": table.duration("ttl"),
        "renew_at": table.share("renew_at"),
        "fetch_timeout": table.duration("fetch_timeout"),
        "calls": table.count("calls"),
        "per": table.duration("per"),
    }
    try:
        return LeasePolicy(**{k: v for k, v in stated.items() if v is not None})
    except ConfigError as error:
        key = error.key_path.removeprefix("leases.")
        raise table.error(key, error.args[0], hint=error.hint or POLICY_HINT) from None


def _rotation(table: Table, credentials: Mapping[str, object]) -> RotationConfig:
    table.refuse_unknown(("target", "every", "overlap"))
    name = table.path[-1]
    if name not in credentials:
        raise table.source.error(
            table.path,
            "there is no credential of this name to rotate",
            hint=nearest(name, credentials) or "declare it as [credentials.NAME]",
        )
    return RotationConfig(
        name=name,
        target=table.required("target"),
        every=table.duration("every"),
        overlap=table.duration("overlap"),
    )


def _ledger_url(table: Table) -> str:
    table.refuse_unknown(("url",))
    url = table.text("url") or ""
    if url and not url.startswith(("sqlite:", "postgresql:", "postgresql+psycopg:")):
        raise table.error(
            "url", "a sqlite: or postgresql: URL was expected", hint='url = "sqlite:///~/ledger.db"'
        )
    if url_password(url):
        raise table.error(
            "url",
            "a password stands in this URL; the file holds references only",
            hint="leave it out here and use ~/.pgpass, or set SECRETKIT_LEDGER_URL",
        )
    return url


def _origins(top: Table) -> Iterator[tuple[str, Origin]]:
    """Give an origin for each key that is not itself a table."""
    for path in _paths(dict(top.values), (), depth=_DEPTH):
        yield (
            dotted(path),
            Origin(
                kind=OriginKind.FILE,
                place=top.source.file,
                key_path=dotted((*top.source.prefix, *path)),
                line=top.source.line(path),
            ),
        )


def _paths(values: Mapping[str, object], path: KeyPath, *, depth: int) -> Iterator[KeyPath]:
    for key, value in values.items():
        if isinstance(value, dict) and depth > 1:
            yield from _paths(value, (*path, key), depth=depth - 1)
        else:
            yield (*path, key)
