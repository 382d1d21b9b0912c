"""Hop: one role to assume, as the configuration writes it, and the form that asks for it.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from secretkit.core.record import record
from secretkit.providers.aws.service import region_of
from secretkit.providers.options import Options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secretkit.core.ref import SecretRef

__all__ = ["HOP_OPTIONS", "Hop", "read_hop"]

HOP_OPTIONS: Final = (
    *("role_arn", "duration", "external_id", "session_name", "region", "session_policy"),
    *("policy_arns", "tags", "transitive_tags", "source_identity"),
)
_ROLE: Final = re.compile(
    r"arn:(?P<partition>aws(?:-[a-z]{2,10}){0,3}):iam::(?P<account>[0-9]{12}):role/"
    r"(?:[\w+=,.@-]+/)*(?P<name>[\w+=,.@-]{1,64})",
    re.ASCII,
)
_SESSION: Final = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_SHORTEST: Final = timedelta(minutes=15)
_LONGEST: Final = timedelta(hours=12)
_CHAINED: Final = timedelta(hours=1)
_TAGS: Final = 50


@record(kw_only=True)
class Hop:
    """One role. ``session_arn`` is what STS must answer, ``policy_file`` a path or empty."""

    role_arn: str
    session_arn: str
    session_name: str
    duration: timedelta
    region: str
    external_id: SecretRef | None
    policy_file: str
    policy_arns: tuple[str, ...]
    tags: tuple[tuple[str, str], ...]
    transitive_tags: tuple[str, ...]
    source_identity: str

    def form(self) -> dict[str, str]:
        """Give the parameters that need nothing to be read."""
        form = {
            "Version": "2011-06-15",
            "RoleArn": self.role_arn,
            "RoleSessionName": self.session_name,
            "DurationSeconds": str(int(self.duration.total_seconds())),
        }
        for number, arn in enumerate(self.policy_arns, 1):
            form[f"PolicyArns.member.{number}.arn"] = arn
        return form

    def signed_form(self) -> dict[str, str]:
        """Give :meth:`form` with what only a signed request may ask for."""
        form = self.form()
        for number, (key, value) in enumerate(self.tags, 1):
            form[f"Tags.member.{number}.Key"] = key
            form[f"Tags.member.{number}.Value"] = value
        for number, key in enumerate(self.transitive_tags, 1):
            form[f"TransitiveTagKeys.member.{number}"] = key
        if self.source_identity:
            form["SourceIdentity"] = self.source_identity
        return form


def read_hop(
    table: Mapping[str, object], *, path: str, region: str, position: str = "first"
) -> Hop:
    """Read one role's table. ``region`` is used unless it names one; nothing is opened.

    ``position="later"`` is for a role that another role's session assumes: 1 h at the most.

    Raises:
        ConfigError: naming the key that cannot be used.
    """
    read = Options(table, type_name="aws", known=HOP_OPTIONS, noun="credential", path=path)
    role = read.required("role_arn", expected='"arn:aws:iam::123456789012:role/NAME"')
    match = _ROLE.fullmatch(role)
    if match is None:
        raise read.wrong("role_arn", expected='"arn:aws:iam::123456789012:role/NAME"')
    longest = _CHAINED if position == "later" else _LONGEST
    duration = read.duration("duration", default=_SHORTEST)
    if not _SHORTEST <= duration <= longest or duration.microseconds:
        most = "1h, because a role's session assumes it" if position == "later" else "12h"
        raise read.wrong("duration", expected=f'a duration from "15m" to {most}')
    tags, transitive = _tags(read)
    name = _named(read, "session_name", default="secretkit")
    session_arn = (
        f"arn:{match['partition']}:sts::{match['account']}:assumed-role/{match['name']}/{name}"
    )
    return Hop(
        role_arn=role,
        session_arn=session_arn,
        session_name=name,
        duration=duration,
        region=region_of(read, default=region),
        external_id=read.ref("external_id"),
        policy_file=read.text("session_policy"),
        policy_arns=read.texts("policy_arns"),
        tags=tags,
        transitive_tags=transitive,
        source_identity=_named(read, "source_identity", default=""),
    )


def _named(read: Options, key: str, *, default: str) -> str:
    name = read.text(key, default=default)
    if name and not _SESSION.fullmatch(name):
        raise read.wrong(key, expected="2 to 64 letters, digits and _+=,.@-")
    return name


def _tags(read: Options) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    table = read.table("tags")
    pairs = tuple((key, value) for key, value in table.items() if isinstance(value, str))
    if len(pairs) != len(table) or len(pairs) > _TAGS or not all(table):
        raise read.wrong("tags", expected='at most 50 texts: { team = "search" }')
    transitive = read.texts("transitive_tags")
    if set(transitive) - table.keys():
        raise read.wrong("transitive_tags", expected="names that stand in tags as well")
    return pairs, transitive
