"""What a call of an AWS API asks IAM for.

The service authorization reference says which action and resource; what KMS is asked for a secret
or a parameter is in
https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html and
https://docs.aws.amazon.com/kms/latest/developerguide/services-parameter-store.html.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from policies.evaluator import Request

ACCOUNT = "123456789012"
EAST, WEST = "us-east-1", "us-west-2"
KEYS = {
    EAST: f"arn:aws:kms:{EAST}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    WEST: f"arn:aws:kms:{WEST}:{ACCOUNT}:key/0987dcba-09fe-87dc-65ba-ab0987654321",
}
MODEL = "anthropic.claude-sonnet-4-5-20250929-v1:0"
PROFILE = f"arn:aws:bedrock:{EAST}:{ACCOUNT}:inference-profile/us.{MODEL}"
MANTLE_MODEL = "anthropic.claude-opus-4-7"
PROJECT = f"arn:aws:bedrock-mantle:{EAST}:{ACCOUNT}:project/default"
WORKSPACE = f"arn:aws:aws-external-anthropic:{EAST}:{ACCOUNT}:workspace/wrkspc_01EXAMPLE"
PROFILE_REGIONS = (EAST, "us-east-2", WEST)
VERSION = "EXAMPLE1-90ab-cdef-fedc-ba987EXAMPLE"
_USERS = {"service": "secretkit/service", "bedrock": "secretkit-bedrock/bedrock"}


def secret_arn(name: str, region: str = EAST, account: str = ACCOUNT) -> str:
    return f"arn:aws:secretsmanager:{region}:{account}:secret:{name}-a1B2c3"


def parameter_arn(name: str, region: str = EAST, account: str = ACCOUNT) -> str:
    return f"arn:aws:ssm:{region}:{account}:parameter/{name}"


def user_arn(path: str, account: str = ACCOUNT) -> str:
    return f"arn:aws:iam::{account}:user/{path}"


def model_arn(region: str, model: str = MODEL) -> str:
    return f"arn:aws:bedrock:{region}::foundation-model/{model}"


@dataclass(frozen=True)
class Call:
    """One call of an AWS API."""

    service: str
    operation: str
    region: str
    given: dict[str, Any]


def asked(call: Call) -> Iterator[Request]:
    """Give what IAM has to allow for a call to be answered."""
    yield from _ASKED[call.service](call)


def through_secrets_manager(action: str, arn: str, **changes: str) -> Request:
    """A use of a customer key by Secrets Manager for its caller."""
    region = arn.split(":")[3]
    context = {
        "kms:ViaService": f"secretsmanager.{region}.amazonaws.com",
        "kms:EncryptionContext:SecretARN": arn,
        "kms:EncryptionContext:SecretVersionId": VERSION,
        "kms:EncryptionContextKeys": ("SecretARN", "SecretVersionId"),
    }
    return Request(action=action, resource=KEYS.get(region, ""), context=context | changes)


def through_parameter_store(arn: str, **changes: str) -> Request:
    context = {
        "kms:ViaService": f"ssm.{arn.split(':')[3]}.amazonaws.com",
        "kms:EncryptionContext:PARAMETER_ARN": arn,
        "kms:EncryptionContextKeys": "PARAMETER_ARN",
    }
    return Request(action="kms:Decrypt", resource=KEYS[EAST], context=context | changes)


def _secret(call: Call) -> Iterator[Request]:
    action = f"secretsmanager:{call.operation}"
    context = {"aws:RequestedRegion": call.region}
    arn = secret_arn(call.given["SecretId"], call.region)
    if "VersionStage" in call.given:
        context["secretsmanager:VersionStage"] = call.given["VersionStage"]
    yield Request(action=action, resource=arn, context=context)
    uses = {"GetSecretValue": ["Decrypt"], "PutSecretValue": ["GenerateDataKey", "Decrypt"]}
    for use in uses.get(call.operation, ()):
        yield through_secrets_manager(f"kms:{use}", arn)


def _identity(_: Call) -> Iterator[Request]:
    """GetCallerIdentity needs no permission, says its API reference; nothing else is asked here."""
    yield from ()


def _parameter(call: Call) -> Iterator[Request]:
    arn = parameter_arn(call.given["Name"].lstrip("/"), call.region)
    yield Request(action=f"ssm:{call.operation}", resource=arn)
    if call.given.get("WithDecryption"):
        yield through_parameter_store(arn)


def _iam(call: Call) -> Iterator[Request]:
    """A call has a user's name, or a key's id; IAM looks up whose it is, and below which path."""
    context = {}
    if "ServiceSpecific" in call.operation and not call.operation.startswith("List"):
        context["iam:ServiceSpecificCredentialServiceName"] = "bedrock.amazonaws.com"
    if "CredentialAgeDays" in call.given:
        context["iam:ServiceSpecificCredentialAgeDays"] = str(call.given["CredentialAgeDays"])
    user = user_arn(_USERS[call.given.get("UserName", "service")])
    yield Request(action=f"iam:{call.operation}", resource=user, context=context)


def _kms(call: Call) -> Iterator[Request]:
    given = call.given["EncryptionContext"]
    context: dict[str, Any] = {f"kms:EncryptionContext:{key}": one for key, one in given.items()}
    context["kms:EncryptionContextKeys"] = tuple(given)
    yield Request(action=f"kms:{call.operation}", resource=call.given["KeyId"], context=context)


def _bedrock(call: Call) -> Iterator[Request]:
    """A profile is asked for itself, and for its model in every region it may send to."""
    yield Request(action=f"bedrock:{call.operation}", resource=call.given["modelId"])
    for region in PROFILE_REGIONS:
        yield Request(
            action=f"bedrock:{call.operation}",
            resource=model_arn(region),
            context={"bedrock:InferenceProfileArn": call.given["modelId"]},
        )
    yield Request(
        action="bedrock:CallWithBearerToken",
        resource="*",
        context={"bedrock:BearerTokenType": "SHORT_TERM"},
    )


def _mantle(call: Call) -> Iterator[Request]:
    """A call names its model in its body, and the project ``default`` by naming none."""
    context = {"bedrock-mantle:Model": call.given["model"]}
    yield Request(action=f"bedrock-mantle:{call.operation}", resource=PROJECT, context=context)


def _claude(call: Call) -> Iterator[Request]:
    """https://platform.claude.com/docs/en/api/claude-platform-on-aws-iam-actions."""
    yield Request(action=f"{call.service}:{call.operation}", resource=WORKSPACE)


_ASKED: dict[str, Callable[[Call], Iterator[Request]]] = {
    "secretsmanager": _secret,
    "ssm": _parameter,
    "sts": _identity,
    "iam": _iam,
    "kms": _kms,
    "bedrock-runtime": _bedrock,
    "bedrock-mantle": _mantle,
    "aws-external-anthropic": _claude,
}
