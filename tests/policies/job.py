"""The jobs that the AWS policies are for.

The broker's are done by our providers, against the stand-in. The others are done with boto3, and no
request leaves the process: botocore checks and serialises each call, and then gets an empty answer.
That an operation and its parameters exist is therefore botocore's word.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any

from policies.asked import EAST, KEYS, MANTLE_MODEL, PROFILE, VERSION, WEST, Call
from providers.aws.world import TIMEOUT, World, document
from secretkit.broker.clock import SystemClock
from secretkit.core.message import Reply
from secretkit.core.message import Request as Message
from secretkit.core.record import replace
from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.providers.aws.parameter import ParameterStoreProvider
from secretkit.providers.aws.secretsmanager import SecretsManagerProvider
from secretkit.testing import FakeClock
from secretkit.testing.aws import AwsStub
from secretkit.wire import HttpTransport

_KEY_ID = "AKIA" + "EXAMPLE" * 2


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
    from botocore.session import Session

    nothing = dict.fromkeys(
        ("profile", "config_file", "credentials_file"), (None, None, None, None)
    )
    found = Session(session_vars=nothing)  # of the machine's own configuration
    found.set_credentials(_KEY_ID, "not-used")
    return boto3.session.Session(botocore_session=found)


def recorded(work: Callable[[Desk], None]) -> list[Call]:
    """Do a job and give its calls."""
    desk = Desk()
    work(desk)
    return desk.calls


# -- the jobs --------------------------------------------------------------------------------------


def read_of_the_broker(desk: Desk) -> None:
    """Done by the providers: a value, its version, a replica, a parameter, and who we are."""
    clock = FakeClock()
    with AwsStub(clock=clock, regions=(EAST, WEST)) as aws:
        base = aws.accounts.add_user("broker")
        world = World(aws=aws, clock=clock, base=base)
        world.store.set("pair", document(base))
        context = replace(world.context(), transport=lambda **_: Noting(desk, aws))
        at = {"region": EAST, "endpoint": aws.url(), "sts_endpoint": aws.url()}
        options = {**at, "source": "memory:pair"}
        own = {"replicas": [WEST], "replica_endpoints": {WEST: aws.url(WEST)}}
        store = SecretsManagerProvider.open({**options, **own}, context)
        parameters = ParameterStoreProvider.open(options, context)
        for region in (EAST, WEST):
            aws.secrets.add("secretkit/claude", "not-a-secret", region=region)
        aws.parameters.add("/secretkit/claude", "not-a-secret", region=EAST)
        parameter = SecretRef("params", "/secretkit/claude")
        parameters.version(parameter, timeout=TIMEOUT)
        parameters.fetch(parameter, timeout=TIMEOUT)
        store.probe(timeout=TIMEOUT)
        for region in (EAST, WEST):
            store.version(SecretRef("prod", "secretkit/claude"), timeout=TIMEOUT)
            store.fetch(SecretRef("prod", "secretkit/claude"), timeout=TIMEOUT)
            aws.stop_region(region)


class Noting:
    """A transport that notes what is asked of AWS before it passes it on."""

    def __init__(self, desk: Desk, aws: AwsStub) -> None:
        self._desk = desk
        self._regions = {aws.url(region): region for region in (EAST, WEST)}
        self._inner = HttpTransport(clock=SystemClock())

    def send(self, message: Message, *, ref: str, timeout: timedelta) -> Reply:
        head = {name.lower(): text for name, text in message.headers.items()}
        service, _, operation = str(head.get("x-amz-target", "sts.")).partition(".")
        region = self._regions[message.url.rstrip("/")]
        body = message.body.reveal() if isinstance(message.body, Secret) else message.body
        given = json.loads(body or b"{}") if operation else {}
        call = Call(_SERVICES.get(service, service), operation, region, given)
        self._desk.calls.append(call)
        return self._inner.send(message, ref=ref, timeout=timeout)


_SERVICES = {"AmazonSSM": "ssm"}


def rotation_in_secrets_manager(desk: Desk) -> None:
    """Stage, read back, promote by compare-and-swap, clear: rotate.md §1.4."""
    name, store = "secretkit/rotated/claude", desk("secretsmanager")
    stages = store.update_secret_version_stage
    store.describe_secret(SecretId=name)
    store.put_secret_value(
        SecretId=name,
        ClientRequestToken=VERSION,
        SecretString="not-a-secret",
        VersionStages=["AWSPENDING"],
    )
    store.get_secret_value(SecretId=name, VersionId=VERSION)
    old = VERSION[::-1]
    stages(
        SecretId=name,
        VersionStage="AWSCURRENT",
        MoveToVersionId=VERSION,
        RemoveFromVersionId=old,
    )
    stages(SecretId=name, VersionStage="AWSPENDING", RemoveFromVersionId=VERSION)


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


def calls_of_mantle(desk: Desk) -> None:
    """boto3 has no such service: POST /anthropic/v1/messages is CreateInference, also streamed."""
    for stream in (False, True):
        given = {"model": MANTLE_MODEL, "stream": stream}
        desk.calls.append(Call("bedrock-mantle", "CreateInference", EAST, given))


def calls_on_aws(desk: Desk) -> None:
    """Nor this one: POST /v1/messages, streamed or not, and /v1/messages/count_tokens."""
    for operation in ("CreateInference", "CountTokens"):
        desk.calls.append(Call("aws-external-anthropic", operation, EAST, {}))
