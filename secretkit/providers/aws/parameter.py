"""aws-parameter-store: ``params:/prod/db/password``, by name or whole ARN.

``@3`` names a version and ``@label`` the one that has this label; without, the latest. SecureString
is decrypted. Standard parameters hold 4 KiB, advanced ones 8. See ``table`` for the options.

https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, Self

from secretkit.core.record import replace
from secretkit.errors import ProviderError, RefError, SecretError
from secretkit.ports import Fetched, Probe
from secretkit.providers.aws.failover import Regions
from secretkit.providers.aws.reason import Meanings
from secretkit.providers.aws.table import open_credentials, open_services, open_teller
from secretkit.providers.contents import field_of, wrapped
from secretkit.wire import json_object

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta

    from secretkit.core.message import Reply
    from secretkit.core.ref import SecretRef
    from secretkit.errors import SecretkitError
    from secretkit.ports import ProviderContext
    from secretkit.providers.aws.reason import Refusal
    from secretkit.providers.aws.table import Teller

__all__ = ["ParameterStoreProvider"]

_TYPE: Final = "aws-parameter-store"
_WHAT: Final = "Parameter Store"
_TARGET: Final = "AmazonSSM.GetParameter"
_NAME: Final = re.compile(r"/?[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*")
_ARN: Final = re.compile(
    r"(?P<start>arn:aws[a-z-]*:ssm):(?P<region>[a-z0-9-]+)"
    r"(?P<rest>:[0-9]{12}:parameter/[A-Za-z0-9_./-]+)"
)
_LONGEST: Final = 1011  # characters of a name, with its path: "Parameter name constraints"
_VERSION: Final = re.compile(r"[1-9][0-9]{0,9}|[A-Za-z_][A-Za-z0-9_.-]{0,99}")
_HINTS: Final = {
    "ParameterNotFound": "look at the name and the region; one of another account needs its ARN",
    "ParameterVersionNotFound": "look at the version or label: aws ssm get-parameter-history",
    "InvalidKeyId": "look whether the KMS key of the parameter is enabled and in this region",
    "KmsDenied": "allow kms:Decrypt on the parameter's KMS key to who reads it, in the key's "
    "policy too; a condition on the encryption context needs PARAMETER_ARN",
    "ValidationException": "look at the name and the version of the reference",
}
_MEANINGS: Final = Meanings(
    hints=_HINTS,
    missing=frozenset({"ParameterNotFound", "ParameterVersionNotFound"}),
    denied=frozenset({"InvalidKeyId", "KmsDenied"}),
)


class ParameterStoreProvider:
    """Reads parameters of one region, and of others when that one cannot answer. Thread-safe.

    AWS does not replicate parameters: ``replicas`` are for those who write each to every region.
    """

    def __init__(self, regions: Regions, teller: Teller) -> None:
        self._regions = regions
        self._teller = teller

    @classmethod
    def open(cls, options: Mapping[str, object], context: ProviderContext) -> Self:
        """Build it from the options of ``table``; nothing is asked.

        Raises:
            ConfigError: for an option that is unknown, missing or malformed.
        """
        services = open_services(options, type_name=_TYPE, service="ssm", context=context)
        credentials = open_credentials(options, type_name=_TYPE, context=context)
        regions = Regions(
            services,
            credentials=credentials,
            what=_WHAT,
            understand=_understood,
            clock=context.clock,
        )
        return cls(regions, open_teller(options, credentials, type_name=_TYPE, context=context))

    def fetch(self, ref: SecretRef, *, timeout: timedelta) -> Fetched:
        """Ask GetParameter once, decrypted; ``version`` is the parameter's number.

        Raises:
            RefError: for a path that is no name and no ARN of these regions.
            SecretNotFoundError: if the parameter, version or field is not there.
            AccessDeniedError: if the parameter or its KMS key may not be used.
            ProviderError: if no region can answer, with the wait that AWS asks for.
        """
        body = self._body(ref, {"WithDecryption": True})
        found = _value_in(self._regions.ask(_TARGET, body, ref=ref, timeout=timeout), ref)
        if not isinstance(found, Fetched):
            raise found
        return replace(found, secret=field_of(found.secret, ref=ref))

    def version(self, ref: SecretRef, *, timeout: timedelta) -> str:
        """Give the version's number; a SecureString stays encrypted, and its key is not used."""
        body = self._body(ref, {"WithDecryption": False})
        found = _value_in(self._regions.ask(_TARGET, body, ref=ref, timeout=timeout), ref)
        if not isinstance(found, Fetched):
            raise found
        return found.version or ""

    def probe(self, *, timeout: timedelta) -> Probe:
        """Ask STS who reads; no parameter is asked for."""
        return self._teller.probe(self._regions.services[0].host, timeout=timeout)

    def _body(self, ref: SecretRef, more: Mapping[str, bool]) -> Callable[[str], bytes]:
        """Give what makes the document for a region: an ARN names its own."""
        path = ref.path
        arn = _ARN.fullmatch(path)
        if len(path) > _LONGEST or (arn is None and not _NAME.fullmatch(path)):
            raise RefError(
                f"{ref}: this is no name of a parameter",
                hint="a name has letters, digits and _.-/; a version is written @3, not :3",
            )
        if ref.version is not None and not _VERSION.fullmatch(ref.version):
            raise RefError(
                f"{ref}: this is no version", hint="write a number or a label: @3, @prod"
            )
        first = self._regions.services[0].region
        if arn is not None and arn["region"] != first:
            raise RefError(
                f"{ref}: this ARN is of another region than the provider's {first}",
                hint=f"declare another provider with region = {json.dumps(arn['region'])}",
            )
        end = f":{ref.version}" if ref.version is not None else ""

        def body(region: str) -> bytes:
            name = path if arn is None else f"{arn['start']}:{region}{arn['rest']}"
            return json.dumps({"Name": f"{name}{end}", **more}).encode()

        return body


def _understood(refusal: Refusal) -> tuple[Refusal, Meanings]:
    """Tell apart what AWS gives one code."""
    told = re.search(r"\bkms\b|master key|ciphertext", refusal.message, re.IGNORECASE)
    if refusal.code == "AccessDenied" and told:
        refusal = replace(refusal, meaning="KmsDenied")
    return refusal, _MEANINGS


def _value_in(reply: Reply, ref: SecretRef) -> Fetched | SecretkitError:
    """Take the value out of the answer; errors are given back, so that no frame of them has it."""
    try:
        document: dict[str, Any] = json_object(reply, ref=str(ref))
    except ProviderError as error:
        return error.fresh()
    found = document.get("Parameter")
    value = found.get("Value") if isinstance(found, dict) else None
    number = found.get("Version") if isinstance(found, dict) else None
    if not isinstance(value, str) or not isinstance(number, int):
        return ProviderError(
            f"{ref}: {_WHAT} answers without a value",
            ref=str(ref),
            hint="look whether the endpoint is Parameter Store itself",
        )
    secret = wrapped(value, ref=ref)
    return (
        secret if isinstance(secret, SecretError) else Fetched(secret=secret, version=str(number))
    )
