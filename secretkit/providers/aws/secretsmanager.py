"""aws-secrets-manager: ``prod:db/main#password``, by name or whole ARN.

``@AWSCURRENT``, ``@AWSPREVIOUS`` or a label of one's own names a version by its stage, and what has
the shape of a UUID by its id; without, AWSCURRENT. A secret of another account needs its whole ARN,
and a policy on it (and on its key) that lets us read it. See ``table`` for the options.

https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING, Final, Self

from secretkit.core.record import replace
from secretkit.errors import ProviderError, RefError, SecretError, SecretNotFoundError
from secretkit.ports import Fetched, Probe
from secretkit.providers.aws.failover import Regions
from secretkit.providers.aws.reason import Meanings
from secretkit.providers.aws.table import open_credentials, open_services, open_teller
from secretkit.providers.contents import decoded, field_of, wrapped
from secretkit.wire import json_object

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta

    from secretkit.core.message import Reply
    from secretkit.core.ref import SecretRef
    from secretkit.core.secret import Secret
    from secretkit.errors import SecretkitError
    from secretkit.ports import ProviderContext
    from secretkit.providers.aws.reason import Refusal
    from secretkit.providers.aws.table import Teller

__all__ = ["SecretsManagerProvider"]

_TYPE: Final = "aws-secrets-manager"
_WHAT: Final = "Secrets Manager"
_NAME: Final = re.compile(r"[A-Za-z0-9/_+=.@!-]{1,512}")
_ARN: Final = re.compile(
    r"(?P<start>arn:aws[a-z-]*:secretsmanager):(?P<region>[a-z0-9-]+)"
    r"(?P<rest>:[0-9]{12}:secret:[A-Za-z0-9/_+=.@!-]{1,512})"
)
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_CURRENT: Final = "AWSCURRENT"
_HINTS: Final = {
    "ResourceNotFound": "look at the name, the version and the region; a secret of another account "
    "needs its whole ARN",
    "MarkedForDeletion": "aws secretsmanager restore-secret --secret-id NAME brings it back",
    "DecryptionFailure": "look whether the KMS key of the secret is enabled, and its policy lets "
    "us kms:Decrypt",
    "KmsDenied": "allow kms:Decrypt on the secret's KMS key to who reads it, in the key's policy "
    "too; a condition on the encryption context needs SecretARN and SecretVersionId",
    "InvalidParameter": "look at the name and the version of the reference",
}
_MEANINGS: Final = Meanings(
    hints=_HINTS,
    missing=frozenset({"ResourceNotFound", "MarkedForDeletion"}),
    denied=frozenset({"DecryptionFailure", "KmsDenied"}),
)


class SecretsManagerProvider:
    """Reads secrets of one region, and of its replicas when that one cannot answer. Thread-safe."""

    def __init__(self, regions: Regions, teller: Teller) -> None:
        self._regions = regions
        self._teller = teller

    @classmethod
    def open(cls, options: Mapping[str, object], context: ProviderContext) -> Self:
        """Build it from the options of ``table``; nothing is asked.

        Raises:
            ConfigError: for an option that is unknown, missing or malformed.
        """
        services = open_services(
            options, type_name=_TYPE, service="secretsmanager", context=context
        )
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
        """Ask GetSecretValue once; ``version`` is the version's id.

        Raises:
            RefError: for a path that is no name and no ARN of these regions.
            SecretNotFoundError: if the secret, version or field is not there, or is to be deleted.
            AccessDeniedError: if the secret or its KMS key may not be used.
            SecretError: if it is binary and not UTF-8.
            ProviderError: if no region can answer, with the wait that AWS asks for.
        """
        body = self._body(ref, _chosen(ref))
        reply = self._regions.ask("secretsmanager.GetSecretValue", body, ref=ref, timeout=timeout)
        found = _value_in(reply, ref)
        if not isinstance(found, Fetched):
            raise found
        return replace(found, secret=field_of(found.secret, ref=ref))

    def version(self, ref: SecretRef, *, timeout: timedelta) -> str:
        """Give the version's id by DescribeSecret, which neither gives nor decrypts the value."""
        body = self._body(ref, {})
        reply = self._regions.ask("secretsmanager.DescribeSecret", body, ref=ref, timeout=timeout)
        document = json_object(reply, ref=str(ref))
        stages = document.get("VersionIdsToStages")
        wanted = _chosen(ref)
        kept = stages if isinstance(stages, dict) and document.get("DeletedDate") is None else {}
        for one, labels in kept.items():
            if wanted.get("VersionId") == one or wanted.get("VersionStage") in list(labels):
                return str(one)
        raise SecretNotFoundError(
            f"{ref}: {_WHAT} has no such version, or the secret is to be deleted",
            ref=str(ref),
            hint=_HINTS["ResourceNotFound"],
        )

    def probe(self, *, timeout: timedelta) -> Probe:
        """Ask STS who reads; no secret is asked for."""
        return self._teller.probe(self._regions.services[0].host, timeout=timeout)

    def _body(self, ref: SecretRef, more: Mapping[str, str]) -> Callable[[str], bytes]:
        """Give what makes the document for a region: an ARN names its own."""
        path = ref.path
        arn = _ARN.fullmatch(path)
        if arn is None and not _NAME.fullmatch(path):
            raise RefError(
                f"{ref}: this is no name of a secret",
                hint="a name has letters, digits and /_+=.@!-; or write the whole ARN",
            )
        first = self._regions.services[0].region
        if arn is not None and arn["region"] != first:
            raise RefError(
                f"{ref}: this ARN is of another region than the provider's {first}",
                hint=f"declare another provider with region = {json.dumps(arn['region'])}",
            )

        def body(region: str) -> bytes:
            name = path if arn is None else f"{arn['start']}:{region}{arn['rest']}"
            return json.dumps({"SecretId": name, **more}).encode()

        return body


def _chosen(ref: SecretRef) -> dict[str, str]:
    if ref.version is None:
        return {"VersionStage": _CURRENT}
    key = "VersionId" if _UUID.fullmatch(ref.version) else "VersionStage"
    return {key: ref.version}


def _understood(refusal: Refusal) -> tuple[Refusal, Meanings]:
    """Tell apart what AWS gives one code."""
    meaning = ""
    if refusal.code == "InvalidRequest" and "deletion" in refusal.message:
        meaning = "MarkedForDeletion"
    elif refusal.code == "AccessDenied" and re.search(r"(?i)\bkms\b", refusal.message):
        meaning = "KmsDenied"
    return replace(refusal, meaning=meaning), _MEANINGS


def _value_in(reply: Reply, ref: SecretRef) -> Fetched | SecretkitError:
    """Take the value out of the answer; errors are given back, so that no frame of them has it."""
    try:
        document = json_object(reply, ref=str(ref))
    except ProviderError as error:
        return error.fresh()
    text, binary = document.get("SecretString"), document.get("SecretBinary")
    version = document.get("VersionId")
    found: Secret | SecretError | None = None
    if isinstance(text, str):
        found = wrapped(text, ref=ref)
    elif isinstance(binary, str):
        try:
            found = decoded(base64.b64decode(binary, validate=True), ref=ref, newline="keep")
        except binascii.Error:
            found = None
    if isinstance(found, SecretError):
        return found
    if found is None or not isinstance(version, str):
        return ProviderError(
            f"{ref}: {_WHAT} answers without a value",
            ref=str(ref),
            hint="look whether the endpoint is Secrets Manager itself",
        )
    return Fetched(secret=found, version=version)
