"""Which providers exist: the built-in ones from a table, the others by entry point.

A type name finds its provider in the entry-point group ``secretkit.providers``, and only that one
is imported. Built-in names never look there, so no package can take one over.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, cast

from secretkit.core.record import record
from secretkit.errors import ConfigError, ProviderUnavailableError
from secretkit.providers.options import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from secretkit.ports import ProviderFactory

__all__ = [
    "BUILT_IN",
    "GROUP",
    "Claim",
    "Conflict",
    "ProviderInfo",
    "conflicts",
    "factory",
    "installed",
    "installed_claims",
]

GROUP: Final = "secretkit.providers"

BUILT_IN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "aws-parameter-store": "secretkit.providers.aws.parameter:ParameterStoreProvider",
        "aws-secrets-manager": "secretkit.providers.aws.secretsmanager:SecretsManagerProvider",
        "chain": "secretkit.providers.chain:ChainProvider",
        "command": "secretkit.providers.command:CommandProvider",
        "dotenv": "secretkit.providers.dotenv:DotenvProvider",
        "env": "secretkit.providers.env:EnvProvider",
        "file": "secretkit.providers.file:FileProvider",
        "keyring": "secretkit.providers.keyring:KeyringProvider",
        "local": "secretkit.providers.local:LocalProvider",
        "vault": "secretkit.providers.vault.provider:VaultProvider",
    }
)
"""The same lines as in pyproject.toml. Here so that finding one costs no look at the disk."""

_OURS: Final = "secretkit"


@record(kw_only=True, order=True)
class Claim:
    """One entry point of the group: a distribution says that it has a provider of this name."""

    name: str
    target: str
    distribution: str
    version: str = ""


@record(kw_only=True)
class ProviderInfo:
    """One provider type that can be used; nothing of it was imported."""

    name: str
    target: str
    distribution: str
    version: str
    built_in: bool


@record(kw_only=True)
class Conflict:
    """A name claimed by several distributions, or a built-in name claimed by any but us."""

    name: str
    distributions: tuple[str, ...]
    built_in: bool


ClaimSource = Callable[[], Iterable[Claim]]


def installed_claims() -> Iterable[Claim]:
    """Read the entry points of all installed distributions, importing none. Some milliseconds."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - 20 ms that built-ins do not need

    for point in entry_points(group=GROUP):
        found = point.dist
        yield Claim(
            name=point.name,
            target=point.value,
            distribution=(found.name if found else "") or "an unnamed distribution",
            version=(found.version if found else "") or "",
        )


def factory(type_name: str, *, source: ClaimSource = installed_claims) -> ProviderFactory:
    """Give what opens providers of this type, importing that one only.

    Raises:
        ConfigError: if there is no such type, or several distributions claim the name.
        ProviderUnavailableError: if it is there but cannot be imported.
    """
    target = BUILT_IN.get(type_name)
    if target is not None:
        return _load(Claim(name=type_name, target=target, distribution=_OURS))
    claims = _read(source)
    found = sorted(claim for claim in claims if claim.name == type_name)
    if not found:
        raise _unknown(type_name, {*BUILT_IN, *(claim.name for claim in claims)})
    if len(found) > 1:
        raise ConfigError(
            f"{len(found)} distributions claim the provider type {type_name!r}: "
            + _listed(claim.distribution for claim in found),
            key_path="type",
            hint="uninstall all but one of them: pip uninstall NAME",
        )
    return _load(found[0])


def installed(*, source: ClaimSource = installed_claims) -> Sequence[ProviderInfo]:
    """Give every provider type that can be used, sorted by name, importing none."""
    claims = _read(source)
    version = next((one.version for one in claims if _is_ours(one)), "")
    ours = [
        ProviderInfo(name=name, target=target, distribution=_OURS, version=version, built_in=True)
        for name, target in BUILT_IN.items()
    ]
    refused = {conflict.name for conflict in _conflicts(claims)}
    others = [
        ProviderInfo(
            name=one.name,
            target=one.target,
            distribution=one.distribution,
            version=one.version,
            built_in=False,
        )
        for one in claims
        if one.name not in refused and one.name not in BUILT_IN
    ]
    return sorted((*ours, *others), key=lambda info: info.name)


def conflicts(*, source: ClaimSource = installed_claims) -> Sequence[Conflict]:
    """Give the names that are claimed wrongly, sorted. No claim in it is ever used."""
    return _conflicts(_read(source))


def _conflicts(claims: Sequence[Claim]) -> Sequence[Conflict]:
    by_name: dict[str, list[str]] = {}
    for claim in claims:
        if not _is_ours(claim):
            by_name.setdefault(claim.name, []).append(claim.distribution)
    return [
        Conflict(name=name, distributions=tuple(sorted(who)), built_in=name in BUILT_IN)
        for name, who in sorted(by_name.items())
        if name in BUILT_IN or len(who) > 1
    ]


def _is_ours(claim: Claim) -> bool:
    return claim.distribution == _OURS and BUILT_IN.get(claim.name) == claim.target


def _read(source: ClaimSource) -> list[Claim]:
    try:
        return list(source())
    except Exception as error:  # noqa: BLE001 - a damaged file makes it raise anything
        kind = type(error).__name__
    raise ProviderUnavailableError(
        f"the entry points of the installed packages cannot be read ({kind})",
        hint="find the damaged package: pip check; then install it again",
    )


def _load(claim: Claim) -> ProviderFactory:
    module, _, path = claim.target.partition("[")[0].strip().partition(":")
    try:
        found: object = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except Exception as error:  # noqa: BLE001 - importing runs the plug-in's own code
        reason = type(error).__name__
        if isinstance(error, ModuleNotFoundError) and error.name:
            reason += f", no module {error.name!r}"
        found = None
    else:
        reason = "it has no open()"
    if not callable(getattr(found, "open", None)):
        raise ProviderUnavailableError(
            f"the provider type {claim.name!r} of {claim.distribution} "
            f"cannot be loaded from {claim.target} ({reason})",
            hint=f"install it again: pip install --force-reinstall {claim.distribution}",
        )
    return cast("ProviderFactory", found)


def _unknown(type_name: str, names: Iterable[str]) -> ConfigError:
    listed = "the types are " + ", ".join(sorted(names))
    near = nearest(type_name, names)
    return ConfigError(
        f"there is no provider type {type_name!r}",
        key_path="type",
        hint=f"did you mean {near}? {listed}" if near else listed,
    )


def _listed(names: Iterable[str]) -> str:
    return " and ".join(sorted(names))
