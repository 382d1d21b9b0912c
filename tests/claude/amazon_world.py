"""AWS's stand-in, a role of its own, and a source that begins a session of it each time."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import timedelta

from secretkit.broker import AsyncBroker, Broker
from secretkit.broker.state import BrokerContext
from secretkit.core.target import Target
from secretkit.ledger import open as open_ledger
from secretkit.ports import Acquired
from secretkit.redact import default
from secretkit.testing import FakeClock
from secretkit.testing.aws import AwsStub, Trust

ROLE = "arn:aws:iam::123456789012:role/claude"
REGION = "us-west-2"
WORKSPACE = "wrkspc_test"
SHORTEST = timedelta(seconds=900)  # what AWS gives at the least


class Sessions:
    """A CredentialSource over the stand-in's accounts, as AssumeRole would be."""

    ref = "aws:role/claude"

    def __init__(self, aws, life=SHORTEST):
        self.aws, self.life = aws, life
        self.role = aws.accounts.add_role(ROLE, trust=Trust())
        self.begun = []
        self.error = None
        self._lock = threading.Lock()

    def acquire(self, *, timeout, refused):
        if self.error is not None:
            raise self.error
        holder = self.aws.accounts.start_session(self.role, name="secretkit", duration=self.life)
        with self._lock:
            self.begun.append(holder)
        return Acquired(credential=holder.credentials, ref=self.ref)

    def revoke(self, handle, *, timeout):
        raise NotImplementedError


class AmazonWorld:
    def __init__(self, aws, *, clock, sources=None, targets=None):
        self.aws, self.clock = aws, clock
        self.sessions = Sessions(aws)
        ledger = open_ledger("sqlite://")
        context = BrokerContext(
            clock=clock,
            ledger=ledger,
            rng=lambda: 0.5,
            holder=lambda: "test",
            release=ledger.close,
            watch=default().watch,
        )
        made = {"bedrock": self.sessions} | (sources(self) if sources else {})
        self.broker = Broker(made, context=context, targets=targets or self.targets())
        self.aio = AsyncBroker(self.broker)

    def targets(self):
        return {
            "bedrock": Target(
                platform="bedrock",
                region=REGION,
                workspace_id=WORKSPACE,
                base_url=self.aws.url(),
            )
        }

    def urls(self):
        base = self.aws.url()
        return {
            "bedrock": base,
            "bedrock-mantle": f"{base}/anthropic",
            "claude-on-aws": base,
        }

    def answers(self):
        return [(call.status, call.code) for call in self.aws.calls]


@contextmanager
def amazon_world(*, clock=None, sources=None, targets=None, pace=timedelta()):
    clock = FakeClock() if clock is None else clock
    with AwsStub(clock=clock, regions=(REGION, "us-east-1"), pace=pace) as aws:
        world = AmazonWorld(aws, clock=clock, sources=sources, targets=targets)
        try:
            yield world
        finally:
            world.broker.close()
