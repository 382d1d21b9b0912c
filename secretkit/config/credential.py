"""Credential: checks one ``[credentials.NAME]`` table."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from secretkit.config.literal import literal_option
from secretkit.config.origin import dotted
from secretkit.config.schema import EXCHANGED_KINDS, STORED_KINDS, CredentialConfig, nearest
from secretkit.core.record import replace
from secretkit.core.target import PLATFORMS
from secretkit.errors import ConfigError

if TYPE_CHECKING:
    from datetime import timedelta

    from secretkit.config.table import Table
    from secretkit.core.freshness import LeasePolicy

__all__ = ["POLICY_HINT", "named", "parse_credential"]

POLICY_HINT: Final = 'for example ttl = "15m" and renew_at = 0.6'
_TARGET: Final = ("platform", "region", "workspace_id", "base_url")
_CREDENTIAL: Final = {
    "aws": (
        *("kind", "ttl", "profile", "source", "base", "process", "identity", "endpoint"),
        *("assume_role", "then", "mfa_serial", *_TARGET),
    ),
    "bedrock-token": ("kind", "ttl", "base", "duration", *_TARGET),
    "anthropic-federation": (
        *("kind", "ttl", "identity", "federation_rule_id", "organization_id"),
        *("service_account_id", "workspace_id", "base_url"),
    ),
} | dict.fromkeys(STORED_KINDS, ("kind", "ttl", "source"))
_ASSUME_ROLE: Final = (
    *("role_arn", "duration", "external_id", "session_name", "region", "session_policy"),
    *("policy_arns", "tags", "transitive_tags", "source_identity"),
)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


def named(table: Table, shape: re.Pattern[str], expected: str) -> str:
    """Give the name of a table, which must have the ``expected`` shape."""
    name = table.path[-1]
    if not shape.fullmatch(name):
        raise table.source.error(table.path, f"a name is {expected}", hint="rename this table")
    return name


def parse_credential(
    table: Table, providers: frozenset[str], *, policy: LeasePolicy
) -> CredentialConfig:
    """Give one ``[credentials.NAME]`` table, checked as far as can be without opening it.

    Raises:
        ConfigError: naming the key that cannot be used.
    """
    name = named(table, _NAME, "at most 40 letters, digits, '-' and '_'")
    kinds = (*STORED_KINDS, *EXCHANGED_KINDS)
    kind = table.required("kind")
    if kind not in kinds:
        raise table.error(
            "kind",
            "this kind is not known",
            hint=nearest(kind, kinds) or f"use one of {', '.join(kinds)}",
        )
    table.refuse_unknown(_CREDENTIAL[kind])
    if kind in EXCHANGED_KINDS:
        _check_exchanged(table, kind)
    sources = table.refs("source") if kind in STORED_KINDS else ()
    for ref in sources:
        if ref.provider not in providers:
            raise table.error(
                "source",
                "a reference names a provider that is not declared",
                hint=nearest(ref.provider, providers) or "declare it as [providers.NAME]",
            )
    read_here = {"kind", "ttl"} | ({"source"} if kind in STORED_KINDS else set())
    options = {k: v for k, v in table.values.items() if k not in read_here}
    return CredentialConfig(
        name=name,
        kind=kind,
        sources=sources,
        ttl=_ttl(table, policy),
        options=MappingProxyType(options),
        key_path=dotted(table.path),
    )


def _check_exchanged(table: Table, kind: str) -> None:
    literal = literal_option(dict(table.values), path=table.path, source=table.source)
    if literal is not None:
        raise literal
    platform = table.text("platform")
    if platform is not None and platform not in PLATFORMS:
        raise table.error(
            "platform",
            "this platform is not known",
            hint=nearest(platform, PLATFORMS) or f"use one of {', '.join(PLATFORMS)}",
        )
    for key in ("region", "profile", "base", "base_url", "workspace_id"):
        table.text(key)
    if kind == "aws":
        _check_aws(table)
    elif kind == "anthropic-federation":
        table.table("identity").required("type")
        for key in ("federation_rule_id", "organization_id"):
            table.required(key)


def _check_aws(table: Table) -> None:
    role = table.table("assume_role")
    role.refuse_unknown(_ASSUME_ROLE)
    if role.values:
        role.required("role_arn")
    role.duration("duration")
    if "source" in table.values:
        table.refs("source")
    if "identity" in table.values:
        table.table("identity").required("type")


def _ttl(table: Table, policy: LeasePolicy) -> timedelta | None:
    ttl = table.duration("ttl")
    if ttl is not None:
        try:
            replace(policy, ttl=ttl)
        except ConfigError as error:
            raise table.error("ttl", error.args[0], hint=error.hint or POLICY_HINT) from None
    return ttl
