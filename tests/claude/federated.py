"""A federation for tests: the stand-in, an issuer that it trusts, and an identity by it."""

from __future__ import annotations

import os
import threading
from datetime import timedelta

from secretkit.broker import Broker
from secretkit.broker.state import BrokerContext
from secretkit.claude.exchange import ExchangeSource
from secretkit.claude.grant import Grant
from secretkit.core.freshness import LeasePolicy
from secretkit.errors import SecretkitError
from secretkit.ledger import open as open_ledger
from secretkit.ports import Assertion
from secretkit.testing import ClaudeStub
from secretkit.testing.stub.issuer import TokenIssuer
from secretkit.wire import HttpTransport

ME = "spiffe://example.org/ns/prod/sa/app"
REF = "anthropic-federation:claude"
TOKEN_PATH = "/v1/oauth/token"
HELLO = {
    "model": "claude-opus-4-5",
    "max_tokens": 5,
    "messages": [{"role": "user", "content": "hi"}],
}


class Identity:
    """Gives a new token each time, or what ``gives`` says: a token again, or an error."""

    ref = "test"

    def __init__(self, issuer: TokenIssuer, clock) -> None:
        self.issuer = issuer
        self.clock = clock
        self.life = timedelta(minutes=5)
        self.gives = None
        self.given = []

    def assertion(self, *, timeout: timedelta) -> Assertion:
        if isinstance(self.gives, SecretkitError):
            raise self.gives
        token = self.gives or self.issuer.token(ME, life=self.life)
        self.given.append(token)
        return Assertion(secret=token, expires_at=self.clock.now() + self.life)


class Federated:
    """The whole of it. ``clock`` is the stand-in's as well."""

    def __init__(self, stub: ClaudeStub, clock, **policy) -> None:
        self.stub, self.clock = stub, clock
        self.issuer = TokenIssuer("https://id.example.org", clock=clock)
        self.ids = stub.organization.federate(self.issuer, subject=ME)
        self.identity = Identity(self.issuer, clock)
        self.policy = LeasePolicy(**{"ttl": timedelta(hours=1)} | policy)
        self.source = self.source_for()
        self._opened = []

    def source_for(self, *, rng=lambda: 0.0, transport=None, **changes) -> ExchangeSource:
        stated = {
            "federation_rule_id": self.ids.federation_rule_id,
            "organization_id": self.ids.organization_id,
            "service_account_id": self.ids.service_account_id,
            "base_url": self.stub.url,
        } | changes
        return ExchangeSource(
            self.identity,
            grant=Grant(**stated),
            transport=transport or HttpTransport(clock=self.clock),
            clock=self.clock,
            rng=rng,
            ref=REF,
        )

    def acquire(self, source=None, *, seconds=10.0):
        return (source or self.source).acquire(
            timeout=timedelta(seconds=seconds), refused=lambda _: False
        )

    def broker(self, source=None) -> Broker:
        ledger = open_ledger("sqlite://")
        context = BrokerContext(
            clock=self.clock,
            ledger=ledger,
            rng=lambda: 0.5,
            holder=lambda: f"test:{os.getpid()}",
            release=ledger.close,
            watch=lambda _: None,
        )
        made = Broker({"claude": source or self.source}, context=context, policy=self.policy)
        self._opened.append(made)
        return made

    @property
    def exchanges(self) -> list[int]:
        return [one.status for one in self.stub.log if one.path == TOKEN_PATH]

    def close(self) -> None:
        for one in self._opened:
            one.close()
        for _ in range(1000):  # a renewal that is under way still asks the stand-in
            if all(thread.name != "secretkit-fetch" for thread in threading.enumerate()):
                return
            threading.Event().wait(0.01)
