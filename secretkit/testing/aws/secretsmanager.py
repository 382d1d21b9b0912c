"""Secrets Manager: versions with stages. JSON 1.1.

https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html,
API_PutSecretValue.html, API_BatchGetSecretValue.html
"""

from __future__ import annotations

import base64
import re
import secrets
import threading
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from secretkit.testing.aws.account import ACCOUNT
from secretkit.testing.aws.message import AwsRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from secretkit.ports import Clock
    from secretkit.testing.aws.account import Holder

__all__ = ["SecretsManager"]

_CURRENT, _PREVIOUS = "AWSCURRENT", "AWSPREVIOUS"
_TOKEN: Final = re.compile(r"[A-Za-z0-9-]{32,64}")
_NAME: Final = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")
_LARGEST: Final = 65_536
_BATCH: Final = 20
_KMS: Final = {
    "denied": ("AccessDeniedException", "Access to KMS is not allowed"),
    "disabled": (
        "DecryptionFailure",
        "Secrets Manager can't decrypt the protected secret text using the provided KMS key.",
    ),
}


@dataclass(slots=True)
class _Version:
    value: str | bytes = field(repr=False)
    made: datetime
    stages: list[str]


@dataclass(slots=True, kw_only=True)
class _Kept:
    name: str
    arn: str
    kms_key: str
    kms: str = ""
    deleted: datetime | None = None
    versions: dict[str, _Version] = field(default_factory=dict)

    def holding(self, stage: str) -> str:
        return next((one for one, v in self.versions.items() if stage in v.stages), "")


class SecretsManager:
    """The secrets of every region and account. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._all: dict[tuple[str, str, str], _Kept] = {}
        self.actions: dict[str, Callable[[dict[str, Any], Holder, str], dict[str, object]]] = {
            "GetSecretValue": self._get,
            "DescribeSecret": self._describe,
            "BatchGetSecretValue": self._batch,
            "PutSecretValue": self._put,
            "ListSecrets": self._list,
        }

    def add(
        self,
        name: str,
        value: str | bytes,
        *,
        region: str,
        account: str = ACCOUNT,
        kms_key: str = "",
    ) -> str:
        """Make a secret, or give the one of this name a new AWSCURRENT; give its ARN."""
        if not _NAME.fullmatch(name):
            raise AwsRefusedError("InvalidParameterException", "Invalid name.")
        with self._lock:
            kept = self._all.get((account, region, name))
            if kept is None:
                place = f"arn:aws:secretsmanager:{region}:{account}"
                arn = f"{place}:secret:{name}-{secrets.token_hex(3)}"
                kept = _Kept(name=name, arn=arn, kms_key=kms_key)
                self._all[account, region, name] = kept
            self._store(kept, str(uuid.uuid4()), value, [_CURRENT])
            return kept.arn

    def set_kms(self, arn: str, state: str) -> None:
        """Let the key of a secret be "denied" to everybody, "disabled", or "" for usable."""
        self._by_arn(arn).kms = state

    def delete(self, arn: str) -> None:
        """Mark a secret for deletion."""
        self._by_arn(arn).deleted = self._clock.now()

    def restore(self, arn: str) -> None:
        """Take the mark away again."""
        self._by_arn(arn).deleted = None

    def _by_arn(self, arn: str) -> _Kept:
        return next(kept for kept in self._all.values() if kept.arn == arn)

    def _get(self, given: dict[str, Any], holder: Holder, region: str) -> dict[str, object]:
        _known(given, "SecretId", "VersionId", "VersionStage")
        with self._lock:
            kept = self._find(given.get("SecretId"), holder, region)
            version_id = self._chosen(kept, given)
            if kept.kms:
                raise AwsRefusedError(*_KMS[kept.kms])
            return _entry(kept, version_id)

    def _describe(self, given: dict[str, Any], holder: Holder, region: str) -> dict[str, object]:
        _known(given, "SecretId")
        with self._lock:
            kept = self._find(given.get("SecretId"), holder, region, even_deleted=True)
            return _summary(kept)

    def _batch(self, given: dict[str, Any], holder: Holder, region: str) -> dict[str, object]:
        _known(given, "SecretIdList", "Filters", "MaxResults", "NextToken")
        names = given.get("SecretIdList")
        if not isinstance(names, list) or not 1 <= len(names) <= _BATCH:
            raise AwsRefusedError("InvalidParameterException", "give 1 to 20 ids in SecretIdList")
        values, errors = [], []
        for name in names:
            try:
                values.append(self._get({"SecretId": name}, holder, region))
            except AwsRefusedError as error:
                told = {"ErrorCode": error.code, "Message": error.message}
                errors.append({"SecretId": name, **told})
        return {"SecretValues": values, "Errors": errors}

    def _put(self, given: dict[str, Any], holder: Holder, region: str) -> dict[str, object]:
        _known(
            given, "SecretId", "ClientRequestToken", "SecretString", "SecretBinary", "VersionStages"
        )
        token = given.get("ClientRequestToken", "")
        stages = given.get("VersionStages", [_CURRENT])
        if not isinstance(token, str) or not _TOKEN.fullmatch(token) or not stages:
            raise AwsRefusedError(
                "InvalidParameterException", "ClientRequestToken or VersionStages"
            )
        value = _value(given)
        with self._lock:
            kept = self._find(given.get("SecretId"), holder, region)
            if kept.kms:
                raise AwsRefusedError("EncryptionFailure", "the KMS key cannot be used")
            before = kept.versions.get(token)
            if before is not None and before.value != value:
                message = "You can't modify an existing version. You can only create a new version."
                raise AwsRefusedError("ResourceExistsException", message)
            if before is None:
                self._store(kept, token, value, list(stages))
            made = kept.versions[token]
            return {
                "ARN": kept.arn,
                "Name": kept.name,
                "VersionId": token,
                "VersionStages": made.stages,
            }

    def _list(self, given: dict[str, Any], holder: Holder, region: str) -> dict[str, object]:
        _known(given, "MaxResults", "NextToken", "IncludePlannedDeletion", "SortOrder")
        size, start = int(given.get("MaxResults", 100)), int(given.get("NextToken", 0))
        with self._lock:
            mine = sorted(
                (
                    kept
                    for (account, place, _), kept in self._all.items()
                    if (account, place) == (holder.account, region)
                    and (kept.deleted is None or given.get("IncludePlannedDeletion"))
                ),
                key=lambda kept: kept.name,
            )
            answer: dict[str, object] = {
                "SecretList": [
                    {
                        ("SecretVersionsToStages" if k == "VersionIdsToStages" else k): v
                        for k, v in _summary(kept).items()
                    }
                    for kept in mine[start : start + size]
                ]
            }
        return answer | ({"NextToken": str(start + size)} if len(mine) > start + size else {})

    def _find(
        self, name: object, holder: Holder, region: str, *, even_deleted: bool = False
    ) -> _Kept:
        """A plain name is the caller's own account's; another's needs the whole ARN."""
        kept = self._all.get((holder.account, region, str(name)))
        if str(name).startswith("arn:"):
            kept = next((one for one in self._all.values() if _is_arn_of(one, str(name))), None)
        if kept is None or kept.arn.split(":")[3] != region:
            message = "Secrets Manager can't find the specified secret."
            raise AwsRefusedError("ResourceNotFoundException", message)
        if kept.deleted is not None and not even_deleted:
            message = (
                "You can't perform this operation on the secret because it was marked for deletion."
            )
            raise AwsRefusedError("InvalidRequestException", message)
        return kept

    def _chosen(self, kept: _Kept, given: dict[str, Any]) -> str:
        version_id, stage = given.get("VersionId", ""), given.get("VersionStage", "")
        named = kept.versions.get(version_id)
        if named is not None and stage and stage not in named.stages:
            message = (
                "You provided a VersionStage that is not associated to the provided VersionId."
            )
            raise AwsRefusedError("InvalidRequestException", message)
        wanted = version_id or kept.holding(stage or _CURRENT)
        if wanted not in kept.versions:
            what = (
                f"VersionId: {version_id}" if version_id else f"staging label: {stage or _CURRENT}"
            )
            message = f"Secrets Manager can't find the specified secret value for {what}"
            raise AwsRefusedError("ResourceNotFoundException", message)
        return str(wanted)

    def _store(self, kept: _Kept, token: str, value: str | bytes, stages: list[str]) -> None:
        if _CURRENT in stages:
            old = kept.holding(_CURRENT)
            for version in kept.versions.values():
                version.stages = [s for s in version.stages if s not in {_CURRENT, _PREVIOUS}]
            if old:
                kept.versions[old].stages.append(_PREVIOUS)
        for version in kept.versions.values():
            version.stages = [s for s in version.stages if s not in stages]
        kept.versions[token] = _Version(value, self._clock.now(), stages)


def _is_arn_of(kept: _Kept, arn: str) -> bool:
    """The six characters at the end may be left out."""
    return arn in {kept.arn, kept.arn.rpartition("-")[0]}


def _known(given: dict[str, Any], *names: str) -> None:
    if given.keys() - set(names):
        raise AwsRefusedError("InvalidParameterException", "an unknown parameter")


def _value(given: dict[str, Any]) -> str | bytes:
    text, binary = given.get("SecretString"), given.get("SecretBinary")
    if (text is None) == (binary is None):
        message = "You must provide either SecretString or SecretBinary."
        raise AwsRefusedError("InvalidParameterException", message)
    value = str(text) if binary is None else base64.b64decode(binary, validate=True)
    size = len(value.encode() if isinstance(value, str) else value)
    if not 1 <= size <= _LARGEST:
        raise AwsRefusedError("InvalidParameterException", "the value is empty or over 65536 bytes")
    return value


def _entry(kept: _Kept, version_id: str) -> dict[str, object]:
    version = kept.versions[version_id]
    value = version.value
    coded: dict[str, object] = {"SecretString": value}
    if isinstance(value, bytes):
        coded = {"SecretBinary": base64.b64encode(value).decode()}
    return {
        "ARN": kept.arn,
        "Name": kept.name,
        "VersionId": version_id,
        "VersionStages": version.stages,
        "CreatedDate": version.made.timestamp(),
        **coded,
    }


def _summary(kept: _Kept) -> dict[str, object]:
    stages = {one: version.stages for one, version in kept.versions.items() if version.stages}
    more: dict[str, object] = {"KmsKeyId": kept.kms_key} if kept.kms_key else {}
    if kept.deleted is not None:
        more["DeletedDate"] = kept.deleted.timestamp()
    return {"ARN": kept.arn, "Name": kept.name, "VersionIdsToStages": stages, **more}
