"""Table: the options that every store of AWS has, and what they open.

``region``, ``replicas`` (further regions), ``endpoint`` and ``replica_endpoints`` (addresses of
one's own, by region), ``sts_endpoint``; and whose credentials to use, as in a credential of kind
``aws``: ``base``, ``profile``, ``process``, ``source`` or ``identity``, with ``role`` and ``then``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from secretkit.core.record import record
from secretkit.errors import ConfigError
from secretkit.ports import Probe
from secretkit.providers.aws.caller import Caller
from secretkit.providers.aws.origin import Kept, Leased
from secretkit.providers.aws.service import open_service, region_of
from secretkit.providers.aws.source import open_source
from secretkit.providers.deadline import Deadline
from secretkit.providers.options import Options

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from secretkit.ports import ProviderContext
    from secretkit.providers.aws.service import Service

__all__ = ["Teller", "open_credentials", "open_services", "open_teller"]

_STARTS: Final = ("base", "profile", "process", "source", "identity", "then")
_KNOWN: Final = (
    *_STARTS,
    *("region", "replicas", "endpoint", "replica_endpoints", "sts_endpoint", "role"),
)

_OWN: Final = {"assume_role": "role", "endpoint": "sts_endpoint"}  # what a credential calls them


def open_services(
    options: Mapping[str, object], *, type_name: str, service: str, context: ProviderContext
) -> list[Service]:
    """Give the store of each region, the first one first; nothing is asked.

    Raises:
        ConfigError: naming the key that cannot be used.
    """
    read = Options(options, type_name=type_name, known=_KNOWN)
    region = region_of(read)
    replicas = read.texts("replicas")
    own = read.table("replica_endpoints")
    if region in replicas or len(set(replicas)) != len(replicas):
        raise read.wrong("replicas", expected=f"other regions than {region}, each once")
    if own.keys() - set(replicas) or not all(isinstance(url, str) for url in own.values()):
        raise read.wrong("replica_endpoints", expected='{ us-west-2 = "https://…" }, of replicas')
    for replica in replicas:
        region_of(Options({"replicas": replica}, type_name=type_name, known=_KNOWN), "replicas")
    urls = {region: read.text("endpoint")} | {one: str(own.get(one, "")) for one in replicas}
    return [
        open_service(service, region=one, endpoint=url, context=context)
        for one, url in urls.items()
    ]


def open_credentials(
    options: Mapping[str, object], *, type_name: str, context: ProviderContext
) -> Kept:
    """Give whose credentials sign, kept for 0.6 of their life; nothing is asked.

    Raises:
        ConfigError: naming the key that cannot be used.
    """
    table = {key: options[key] for key in (*_STARTS, "region") if key in options}
    if "role" in options:
        table["assume_role"] = options["role"]
    if "sts_endpoint" in options:
        table["endpoint"] = options["sts_endpoint"]
    try:
        source = open_source(table, ref=type_name, context=context)
    except ConfigError as error:
        start, dot, rest = error.key_path.partition(".")
        placed = f"{_OWN.get(start, start)}{dot}{rest}"
        raise ConfigError(error.args[0], hint=error.hint, key_path=placed) from None
    return Kept(Leased(source, name=type_name, ref=type_name), ref=type_name, clock=context.clock)


@record()
class Teller:
    """Says as whom a store is read."""

    caller: Caller
    credentials: Kept

    def probe(self, host: str, *, timeout: timedelta) -> Probe:
        """Ask STS; raises like every question to it."""
        deadline = Deadline(timeout, clock=self.caller.service.clock)
        held = self.credentials.credentials(timeout=deadline.left)
        return Probe(
            reached=host,
            identity=self.caller.arn(held, deadline=deadline),
            expires_at=held.expires_at,
        )


def open_teller(
    options: Mapping[str, object],
    credentials: Kept,
    *,
    type_name: str,
    context: ProviderContext,
) -> Teller:
    """Give what asks STS of the store's region."""
    read = Options(options, type_name=type_name, known=_KNOWN)
    endpoint = read.text("sts_endpoint")
    service = open_service("sts", region=region_of(read), endpoint=endpoint, context=context)
    return Teller(Caller(service, ref=type_name), credentials)
