"""A strict stand-in for AWS on a fake clock, and a world whose stores hold what a test puts in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from secretkit.core.credential import AwsCredentials
from secretkit.core.record import replace
from secretkit.core.secret import Secret
from secretkit.ports import Acquired, Assertion, IdentitySource, ProviderContext
from secretkit.providers.aws.source import AwsSource, open_source
from secretkit.testing import FakeClock
from secretkit.testing.aws import ACCOUNT, AwsStub
from secretkit.testing.context import provider_context
from secretkit.testing.memory import MemoryProvider

REGION = "us-east-1"
BROKER = f"arn:aws:iam::{ACCOUNT}:user/broker"
READER = f"arn:aws:iam::{ACCOUNT}:role/team/reader"
SECOND = "arn:aws:iam::111122223333:role/second"
TIMEOUT = timedelta(seconds=5)
REF = "aws:bedrock"


class Minting:
    """An identity whose tokens a test signs; each call gives another."""

    ref = "test-identity"

    def __init__(self, sign: Callable[[int], str], *, clock: FakeClock) -> None:
        self._sign = sign
        self._clock = clock
        self.count = 0

    def assertion(self, *, timeout: timedelta) -> Assertion:
        self.count += 1
        end = self._clock.now() + timedelta(minutes=5)
        return Assertion(secret=Secret(self._sign(self.count)), expires_at=end)


class Held:
    """Another credential of the configuration, as its source."""

    ref = "aws:base"

    def __init__(self, *credentials: Any) -> None:
        self.left = list(credentials)
        self.asked = 0

    def acquire(self, *, timeout: timedelta, refused: Callable[[Secret], bool]) -> Acquired:
        self.asked += 1
        one = self.left[min(self.asked, len(self.left)) - 1]
        return Acquired(credential=one, ref=self.ref)

    def revoke(self, handle: str, *, timeout: timedelta) -> None: ...


@dataclass
class World:
    """The stand-in, its clock, a store called ``memory``, and what a source is opened with."""

    aws: AwsStub
    clock: FakeClock
    base: AwsCredentials
    store: MemoryProvider = field(default_factory=MemoryProvider)
    sources: dict[str, Any] = field(default_factory=dict)
    identity: IdentitySource | None = None
    audiences: list[str] = field(default_factory=list)
    prompt: Callable[[str], Secret] | None = None
    environ: dict[str, str] = field(default_factory=dict)
    config_dir: str = ""

    def context(self) -> ProviderContext:
        context = provider_context(
            clock=self.clock,
            environ=self.environ,
            config_dir=self.config_dir,
            providers={"memory": self.store},
            credentials=self.sources,
        )

        def identity(_table: object, audience: str) -> IdentitySource:
            assert self.identity is not None
            self.audiences.append(audience)
            return self.identity

        return replace(context, identity=identity, prompt=self.prompt)

    def open(self, **options: object) -> AwsSource:
        """Open a source; it starts with the user's key pair unless a test says otherwise."""
        if not options.keys() & {"base", "profile", "process", "identity"}:
            options |= {"source": "memory:pair"}
        given = {"region": REGION, "endpoint": self.aws.url(REGION), **options}
        return open_source(given, ref=REF, context=self.context())


def document(credentials: AwsCredentials, **more: object) -> str:
    """Give credentials as the JSON that a store or a program holds."""
    token = credentials.session_token
    return json.dumps(
        {
            "AccessKeyId": credentials.access_key_id,
            "SecretAccessKey": credentials.secret.reveal(),
            **({} if token is None else {"SessionToken": token.reveal()}),
            **more,
        }
    )
