"""Parameter Store: GetParameter and PutParameter. JSON 1.1.

https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html
"""

from __future__ import annotations

import base64
import secrets
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from secretkit.testing.aws.account import ACCOUNT
from secretkit.testing.aws.message import AwsRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from secretkit.ports import Clock
    from secretkit.testing.aws.account import Holder

__all__ = ["ParameterStore"]

_TYPES: Final = ("String", "StringList", "SecureString")
_LARGEST: Final = {"Standard": 4_096, "Advanced": 8_192}


@dataclass(slots=True, kw_only=True)
class _Parameter:
    name: str
    arn: str
    kind: str
    versions: list[str] = field(default_factory=list, repr=False)
    labels: dict[str, int] = field(default_factory=dict)


class ParameterStore:
    """The parameters of every region and account. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._all: dict[tuple[str, str, str], _Parameter] = {}
        self.kms = ""
        self.actions: dict[str, Callable[[dict[str, Any], Holder, str], dict[str, object]]] = {
            "GetParameter": self._get,
            "PutParameter": self._put,
        }

    def add(
        self,
        name: str,
        value: str,
        *,
        region: str,
        account: str = ACCOUNT,
        kind: str = "SecureString",
    ) -> int:
        """Make a parameter or its next version; give the version."""
        if not 1 <= len(value.encode()) <= _LARGEST["Advanced"] or kind not in _TYPES:
            raise AwsRefusedError("ValidationException", "the value's size or the type is wrong")
        with self._lock:
            key = (account, region, name)
            if key not in self._all:
                path = name if name.startswith("/") else f"/{name}"
                arn = f"arn:aws:ssm:{region}:{account}:parameter{path}"
                self._all[key] = _Parameter(name=name, arn=arn, kind=kind)
            self._all[key].versions.append(value)
            return len(self._all[key].versions)

    def label(self, name: str, label: str, *, version: int, region: str) -> None:
        """Put a label on a version, away from where it was."""
        with self._lock:
            self._all[ACCOUNT, region, name].labels[label] = version

    def _get(self, given: dict[str, Any], holder: Holder, region: str) -> dict[str, object]:
        with self._lock:
            found, chosen = self._find(str(given.get("Name", "")), holder, region)
            number = len(found.versions)
            if chosen:
                number = int(chosen) if chosen.isdecimal() else found.labels.get(chosen, 0)
            if not 1 <= number <= len(found.versions):
                message = "Systems Manager could not find version of the parameter."
                raise AwsRefusedError("ParameterVersionNotFound", message)
            value = found.versions[number - 1]
        if found.kind == "SecureString":
            if given.get("WithDecryption") is not True:
                value = base64.b64encode(secrets.token_bytes(len(value) + 100)).decode()
            elif self.kms == "denied":
                message = "The ciphertext refers to a customer master key that does not exist, "
                message += "does not exist in this region, or you are not allowed to access."
                raise AwsRefusedError("AccessDeniedException", message)
            elif self.kms:
                raise AwsRefusedError("InvalidKeyId", "the KMS key is disabled")
        told = {"Name": found.name, "ARN": found.arn, "Type": found.kind, "DataType": "text"}
        more = {"Selector": f":{chosen}"} if chosen else {}
        modified = {"LastModifiedDate": self._clock.now().timestamp()}
        return {"Parameter": {**told, **more, **modified, "Version": number, "Value": value}}

    def _put(self, given: dict[str, Any], holder: Holder, region: str) -> dict[str, object]:
        name, tier = str(given.get("Name", "")), str(given.get("Tier", "Standard"))
        kept = self._all.get((holder.account, region, name))
        if kept is not None and given.get("Overwrite") is not True:
            message = (
                "The parameter already exists. To overwrite this value, set the overwrite option."
            )
            raise AwsRefusedError("ParameterAlreadyExists", message)
        value = str(given.get("Value", ""))
        if len(value.encode()) > _LARGEST.get(tier, 0):
            raise AwsRefusedError("ValidationException", "the value is larger than its tier allows")
        kind = kept.kind if kept is not None else str(given.get("Type", ""))
        version = self.add(name, value, region=region, account=holder.account, kind=kind)
        return {"Version": version, "Tier": tier}

    def _find(self, name: str, holder: Holder, region: str) -> tuple[_Parameter, str]:
        """Give the parameter and what follows its name: a version or a label."""
        plain, chosen = name, ""
        if name.startswith("arn:"):
            head, _, tail = name.partition(":parameter")
            rest, _, chosen = tail.partition(":")
            plain = f"{head}:parameter{rest}"
        else:
            plain, _, chosen = name.partition(":")
        for (account, place, own), one in self._all.items():
            mine = (account, place, own) == (holder.account, region, plain)
            if mine or (place == region and one.arn == plain):
                return one, chosen
        raise AwsRefusedError("ParameterNotFound", "")
