"""The issuer: who gets what, from keys in the local store."""

import base64
import json
from contextlib import closing
from datetime import timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet as Jwks

from secretkit.core.record import replace
from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.errors import AccessDeniedError, ConfigError, ProviderError, SecretError
from secretkit.identity import read_claims
from secretkit.identity.issuer import DISCOVERY, JWKS, Issuer, read_plan
from secretkit.providers.env import EnvProvider
from secretkit.providers.local import LocalProvider
from secretkit.testing import FakeClock
from secretkit.testing.context import provider_context

TABLE = {
    "issuer_url": "https://id.example.org",
    "signing_key": "local:issuer",
    "socket": "unix:///run/secretkit/issuer.sock",
    "workloads": [
        {"uid": 1001, "subject": "host/batch"},
        {"uid": 1002, "subject": "host/web", "audiences": ["one", "two"]},
    ],
}
REF = SecretRef("local", "issuer")


@pytest.fixture
def context(tmp_path):
    providers = {}
    made = provider_context(clock=FakeClock(), state_dir=str(tmp_path), providers=providers)
    with closing(LocalProvider.open({}, made)) as store:
        store.create()
        providers |= {"local": store, "env": EnvProvider.open({}, made)}
        yield made


def opened(context, **changes):
    return Issuer(read_plan(TABLE | changes), context=context)


def published(issuer):
    documents = issuer.refresh()
    issuer.published()
    return {path: json.loads(text) for path, text in documents.items()}


def test_a_token_says_who_asked_and_verifies_with_the_published_keys(context):
    issuer = opened(context)
    documents = published(issuer)
    token = issuer.token(1001, "https://api.example.org")
    keys = Jwks.import_key_set(documents[JWKS])
    claims = jwt.decode(token.reveal(), keys, algorithms=["ES256"]).claims
    now = int(context.clock.now().timestamp())
    assert claims.pop("jti")
    assert claims == {
        "iss": "https://id.example.org",
        "sub": "host/batch",
        "aud": "https://api.example.org",
        "iat": now,
        "exp": now + 300,
    }
    assert documents[DISCOVERY]["issuer"] == claims["iss"]
    assert documents[DISCOVERY]["jwks_uri"] == "https://id.example.org/jwks.json"


def test_no_two_tokens_are_the_same_one(context):
    issuer = opened(context)
    published(issuer)
    said = set()
    for _ in range(20):
        token = issuer.token(1001, "one")
        read_claims(token, ref="x", audience="one", now=context.clock.now(), needs=("iss", "iat"))
        said.add(token.reveal())
    assert len(said) == 20


def test_who_is_not_listed_or_asks_for_another_audience_gets_nothing(context):
    issuer = opened(context)
    published(issuer)
    assert issuer.token(1002, "two")
    for uid, audience in ((1000, "one"), (0, "one"), (1002, "three"), (1002, "")):
        with pytest.raises(AccessDeniedError):
            issuer.token(uid, audience)
    assert issuer.knows(1002)
    assert not issuer.knows(0)


def test_a_key_is_used_only_after_it_was_published(context):
    issuer = opened(context)
    issuer.refresh()
    with pytest.raises(ProviderError, match="no key"):
        issuer.token(1001, "one")
    issuer.published()
    assert issuer.token(1001, "one")


def test_the_keys_outlive_a_restart(context):
    first = published(opened(context))
    assert published(opened(context)) == first


def test_a_rotation_is_stored_published_and_only_then_used(context):
    issuer = opened(context, rotate_every="1d")
    (old,) = published(issuer)[JWKS]["keys"]
    context.clock.advance(timedelta(hours=23, minutes=1))
    two = published(issuer)[JWKS]["keys"]
    assert two[0] == old
    assert kid(issuer.token(1001, "one")) == old["kid"]
    context.clock.advance(timedelta(hours=1))
    assert kid(issuer.token(1001, "one")) == two[1]["kid"]
    assert published(issuer)[JWKS]["keys"] == two  # a token of the old key may be in use
    context.clock.advance(timedelta(minutes=6))
    assert published(issuer)[JWKS]["keys"] == two[1:]


def kid(token):
    head = token.reveal().partition(".")[0]
    return json.loads(base64.urlsafe_b64decode(head + "=="))["kid"]


class Overtaken:
    """The store, but another process rotates between each read and what follows it."""

    def __init__(self, store, other):
        self.store, self.other = store, other

    def fetch(self, ref, *, timeout):
        try:
            return self.store.fetch(ref, timeout=timeout)
        finally:
            self.other()

    def write(self, ref, secret, *, expected_version=None):
        return self.store.write(ref, secret, expected_version=expected_version)

    def delete(self, ref):
        raise NotImplementedError


@pytest.mark.parametrize("age", [timedelta(), timedelta(days=30)], ids=["first", "later"])
def test_of_two_processes_that_rotate_at_once_one_wins_and_both_go_on(context, age):
    if age:
        published(opened(context))
        context.clock.advance(age)
    kept = []
    store = Overtaken(context.resolve("local"), lambda: kept or kept.append(published(other)))
    late = Issuer(read_plan(TABLE), context=replace(context, resolve=lambda _: store))
    other = opened(context)
    with pytest.raises(ProviderError):
        late.refresh()
    assert [published(late)] == kept


def test_a_reference_that_holds_something_else_is_left_alone(context):
    store = context.resolve("local")
    store.write(REF, Secret("somebody else's password"))
    with pytest.raises(SecretError):
        opened(context).refresh()
    found = store.fetch(REF, timeout=timedelta(seconds=5))
    assert found.secret == Secret("somebody else's password")


def test_a_store_that_cannot_be_written_is_refused(context):
    with pytest.raises(ConfigError, match="cannot be written") as caught:
        opened(context, signing_key="env:ISSUER").refresh()
    assert caught.value.key_path == "signing_key"


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"issuer_url": "http://id.example.org"}, "issuer_url"),
        ({"issuer_url": "https://id.example.org/"}, "issuer_url"),
        ({"issuer_url": "https://me@id.example.org"}, "issuer_url"),
        ({"issuer_url": "https://id.example.org?a"}, "issuer_url"),
        ({"issuer_url": "https://[id"}, "issuer_url"),
        ({"signing_key": "key"}, "signing_key"),
        ({"signing_key": "local:issuer#one"}, "signing_key"),
        ({"socket": "issuer.sock"}, "socket"),
        ({"socket": "/" + "s" * 120}, "socket"),
        ({"life": "6m"}, "life"),
        ({"life": "1s"}, "life"),
        ({"rotate_every": "1h"}, "rotate_every"),
        ({"workloads": []}, "workloads"),
        ({"workloads": ["host/batch"]}, "workloads.uid"),
        ({"workloads": [{"uid": "1001", "subject": "a"}]}, "workloads.uid"),
        ({"workloads": [{"uid": True, "subject": "a"}]}, "workloads.uid"),
        ({"workloads": [{"uid": -1, "subject": "a"}]}, "workloads.uid"),
        ({"workloads": [{"uid": 65534, "subject": "a"}]}, "workloads.uid"),
        ({"workloads": [{"uid": 1, "subject": "a"}] * 2}, "workloads.uid"),
        ({"workloads": [{"uid": 1}]}, "workloads.subject"),
        ({"workloads": [{"uid": 1, "subject": "a b"}]}, "workloads.subject"),
        ({"workloads": [{"uid": 1, "subject": "a", "audience": "b"}]}, "workloads.audience"),
        ({"workloads": [{"uid": 1, "subject": "a", "audiences": []}]}, "workloads.audiences"),
        ({"unknown": 1}, "unknown"),
    ],
    ids=str,
)
def test_a_table_that_cannot_be_meant_is_refused(changes, key):
    with pytest.raises(ConfigError) as caught:
        read_plan(TABLE | changes)
    assert caught.value.key_path == key
    assert caught.value.hint
