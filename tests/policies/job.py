"""The jobs that the AWS policies are for, done with boto3; what each call asks IAM for.

No request leaves the process: botocore checks and serialises each call, and then gets an empty
answer. That an operation and its parameters exist is therefore botocore's word. What IAM is asked
for each operation is from the service authorization reference, and for customer keys from
https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html and
https://docs.aws.amazon.com/kms/latest/developerguide/services-parameter-store.html.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
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
PROFILE_REGIONS = (EAST, "us-east-2", WEST)
_VERSION = "EXAMPLE1-90ab-cdef-fedc-ba987EXAMPLE"
_USERS = {"service": "secretkit/service", "bedrock": "secretkit-bedrock/bedrock"}
_KEY_ID = "AKIA" + "EXAMPLE" * 2


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


@dataclass
class Desk:
    """Gives boto3 clients that write down what they are asked, and ask nobody."""

    calls: list[Call] = field(default_factory=list)

    def __call__(self, service: str, region: str = EAST) -> Any:
        from botocore.awsrequest import AWSResponse

        def note(params: dict[str, Any], model: Any, **_: object) -> None:
            self.calls.append(Call(service, model.name, region, dict(params)))

        def answer(**_: object) -> Any:
            empty = AWSResponse("http://127.0.0.1:9", 200, {}, None)
            return empty, {"ResponseMetadata": {"HTTPStatusCode": 200}}

        client = _session().client(service, region_name=region, endpoint_url="http://127.0.0.1:9")
        client.meta.events.register("before-parameter-build", note)
        client.meta.events.register("before-call", answer)
        return client


@cache
def _session() -> Any:
    import boto3

    return boto3.session.Session(aws_access_key_id=_KEY_ID, aws_secret_access_key="not-used")


def recorded(work: Callable[[Desk], None]) -> list[Call]:
    """Do a job and give its calls."""
    desk = Desk()
    work(desk)
    return desk.calls


# -- the jobs --------------------------------------------------------------------------------------


def read_of_the_broker(desk: Desk) -> None:
    """A value, its version without the value, several at once, a replica, a parameter."""
    for region in (EAST, WEST):
        store = desk("secretsmanager", region)
        store.get_secret_value(SecretId="secretkit/claude", VersionStage="AWSCURRENT")
        store.describe_secret(SecretId="secretkit/claude")
        store.batch_get_secret_value(SecretIdList=["secretkit/claude-1", "secretkit/claude-2"])
    desk("ssm").get_parameter(Name="/secretkit/claude", WithDecryption=True)


def rotation_in_secrets_manager(desk: Desk) -> None:
    """Stage, read back, promote by compare-and-swap, clear: rotate.md §1.4."""
    name, store = "secretkit/rotated/claude", desk("secretsmanager")
    stages = store.update_secret_version_stage
    store.describe_secret(SecretId=name)
    store.put_secret_value(
        SecretId=name,
        ClientRequestToken=_VERSION,
        SecretString="not-a-secret",
        VersionStages=["AWSPENDING"],
    )
    store.get_secret_value(SecretId=name, VersionId=_VERSION)
    old = _VERSION[::-1]
    stages(
        SecretId=name,
        VersionStage="AWSCURRENT",
        MoveToVersionId=_VERSION,
        RemoveFromVersionId=old,
    )
    stages(SecretId=name, VersionStage="AWSPENDING", RemoveFromVersionId=_VERSION)


def rotation_of_access_keys(desk: Desk) -> None:
    """Create beside the old one, switch, see that the old one is idle, disable, delete."""
    user, iam = "service", desk("iam")
    iam.list_access_keys(UserName=user)
    iam.create_access_key(UserName=user)
    iam.get_access_key_last_used(AccessKeyId=_KEY_ID)
    iam.update_access_key(UserName=user, AccessKeyId=_KEY_ID, Status="Inactive")
    iam.delete_access_key(UserName=user, AccessKeyId=_KEY_ID)


def rotation_of_bedrock_keys(desk: Desk) -> None:
    user, iam, key = "bedrock", desk("iam"), "ACCA" + "EXAMPLE0" * 2
    service = {"UserName": user, "ServiceName": "bedrock.amazonaws.com"}
    iam.list_service_specific_credentials(**service)
    iam.create_service_specific_credential(**service, CredentialAgeDays=30)
    one = {"UserName": user, "ServiceSpecificCredentialId": key}
    iam.update_service_specific_credential(**one, Status="Inactive")
    iam.delete_service_specific_credential(**one)


def envelope(desk: Desk) -> None:
    kms, context = desk("kms"), {"secretkit-store": "STORE_NAME"}
    kms.generate_data_key(KeyId=KEYS[EAST], KeySpec="AES_256", EncryptionContext=context)
    kms.decrypt(KeyId=KEYS[EAST], CiphertextBlob=b"sealed", EncryptionContext=context)


def calls_of_claude(desk: Desk) -> None:
    runtime = desk("bedrock-runtime")
    runtime.invoke_model(modelId=PROFILE, body=b"{}")
    runtime.invoke_model_with_response_stream(modelId=PROFILE, body=b"{}")


# -- what IAM is asked -----------------------------------------------------------------------------


def asked(call: Call) -> Iterator[Request]:
    """Give what IAM has to allow for a call to be answered."""
    yield from _ASKED[call.service](call)


def through_secrets_manager(action: str, arn: str, **changes: str) -> Request:
    """A use of a customer key by Secrets Manager for its caller."""
    region = arn.split(":")[3]
    context = {
        "kms:ViaService": f"secretsmanager.{region}.amazonaws.com",
        "kms:EncryptionContext:SecretARN": arn,
        "kms:EncryptionContext:SecretVersionId": _VERSION,
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
    if call.operation == "BatchGetSecretValue":
        yield Request(action=action, resource="*", context=context)
        for name in call.given["SecretIdList"]:
            yield from _secret(
                Call(call.service, "GetSecretValue", call.region, {"SecretId": name})
            )
        return
    arn = secret_arn(call.given["SecretId"], call.region)
    if "VersionStage" in call.given:
        context["secretsmanager:VersionStage"] = call.given["VersionStage"]
    yield Request(action=action, resource=arn, context=context)
    uses = {"GetSecretValue": ["Decrypt"], "PutSecretValue": ["GenerateDataKey", "Decrypt"]}
    for use in uses.get(call.operation, ()):
        yield through_secrets_manager(f"kms:{use}", arn)


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


_ASKED: dict[str, Callable[[Call], Iterator[Request]]] = {
    "secretsmanager": _secret,
    "ssm": _parameter,
    "iam": _iam,
    "kms": _kms,
    "bedrock-runtime": _bedrock,
}
