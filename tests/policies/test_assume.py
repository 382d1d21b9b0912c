"""What our own source asks STS for is what the trust policies let in, and no more."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qs

import pytest

from policies.evaluator import Request, allows
from policies.test_trust import EKS, GITHUB, OTHER, REPOSITORY, SPIRE, TRUST, policy
from providers.aws.conftest import world  # noqa: F401 - a fixture
from providers.aws.world import READER, TIMEOUT, Minting
from secretkit.core.record import replace
from secretkit.core.secret import Secret
from secretkit.errors import AccessDeniedError
from secretkit.providers.aws.source import open_source
from secretkit.testing.aws import SigningKey, Trust

BROKER = "arn:aws:iam::111122223333:role/secretkit-broker"
ASSUME = {"role_arn": READER, "external_id": "memory:external-id", "tags": {"team": "TEAM"}}


class Reading:
    """A transport that notes the forms which it passes on."""

    def __init__(self, inner):
        self.forms = []
        self._inner = inner

    def send(self, request, *, ref, timeout):
        body = request.body.reveal() if isinstance(request.body, Secret) else request.body
        text = body.decode() if isinstance(body, bytes) else body
        self.forms.append({key: one[0] for key, one in parse_qs(text).items()})
        return self._inner.send(request, ref=ref, timeout=timeout)


def sent(world, table):  # noqa: F811
    """Acquire once from a table of [credentials]; give the one form that was sent."""
    world.store.set("external-id", "EXTERNAL_ID")
    world.store.set("another-id", "ANOTHER_ID")
    context = world.context()
    reading = Reading(context.transport())
    context = replace(context, transport=lambda **_: reading)
    options = {"region": "us-east-1", "endpoint": world.aws.url("us-east-1"), **table}
    open_source(options, ref="aws:x", context=context).acquire(
        timeout=TIMEOUT, refused=lambda _: False
    )
    (form,) = reading.forms
    return form


def asked(form, principal):
    """What IAM is asked for a form: tags are a second action, with what is said of them."""
    tags = {
        form[key]: form[key.replace("Key", "Value")]
        for key in form
        if key.startswith("Tags.member.") and key.endswith(".Key")
    }
    given = {"sts:ExternalId": form["ExternalId"]} if "ExternalId" in form else {}
    yield Request(action=f"sts:{form['Action']}", principal=principal, context=given)
    if tags:
        context = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
        context["aws:TagKeys"] = tuple(tags)
        yield Request(action="sts:TagSession", principal=principal, context=context)


def test_the_broker_of_the_other_account_gets_in_with_its_tag(world):  # noqa: F811
    form = sent(world, {"source": "memory:pair", "assume_role": ASSUME})
    requests = list(asked(form, ("AWS", BROKER)))
    assert [one.action for one in requests] == ["sts:AssumeRole", "sts:TagSession"]
    assert all(allows(policy("external-id"), one) for one in requests)
    assert requests == list(TRUST["external-id"][0].values())


@pytest.mark.parametrize(
    "changes",
    [
        {"external_id": "memory:another-id"},
        {"external_id": None},
        {"tags": {"team": "OTHER"}},
        {"tags": {"team": "TEAM", "admin": "yes"}},
    ],
    ids=str,
)
def test_what_is_configured_otherwise_stays_out(world, changes):  # noqa: F811
    table = {key: value for key, value in (ASSUME | changes).items() if value is not None}
    form = sent(world, {"source": "memory:pair", "assume_role": table})
    assert not all(allows(policy("external-id"), one) for one in asked(form, ("AWS", BROKER)))


WORKLOADS = {
    "github-oidc": (GITHUB, f"{REPOSITORY}:ref:refs/heads/main"),
    "eks-oidc": (EKS, "system:serviceaccount:secretkit:broker"),
    "spiffe-oidc": (SPIRE, "spiffe://example.org/ns/secretkit/sa/broker"),
}


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_web_identity_gets_in_by_what_its_token_says(world, name):  # noqa: F811
    host, subject = WORKLOADS[name]
    key, issuer = SigningKey("ES384"), f"https://{host}"
    world.aws.sts.issuers[issuer] = {"keys": [key.jwk()]}
    trust = Trust(issuer=issuer, audience="sts.amazonaws.com", subject=subject)
    world.aws.accounts.add_role(READER, trust=trust)
    now = int(world.clock.now().timestamp())
    claims = {"iss": issuer, "sub": subject, "iat": now, "exp": now + 300, "jti": "1"}
    world.identity = Minting(
        lambda _: key.sign({**claims, "aud": world.audiences[-1]}), clock=world.clock
    )
    form = sent(world, {"identity": {"type": "x"}, "assume_role": {"role_arn": READER}})
    assert claims_of(form) == {**claims, "aud": "sts.amazonaws.com"}
    right = web(form, READER.split(":")[4])
    assert allows(policy(name), right)
    assert not allows(policy(name), web(form, OTHER))


def claims_of(form):
    part = form["WebIdentityToken"].split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=="))


def web(form, account):
    claims = claims_of(form)
    issuer = claims["iss"].removeprefix("https://")
    return Request(
        action=f"sts:{form['Action']}",
        principal=("Federated", f"arn:aws:iam::{account}:oidc-provider/{issuer}"),
        context={f"{issuer}:{name}": claims[name] for name in ("sub", "aud")},
    )


def test_the_stand_in_agrees_on_who_stays_out(world):  # noqa: F811
    """A missing ExternalId is refused by it as well: moto would let it in."""
    trust = Trust(principals=("arn:aws:iam::123456789012:user/broker",), external_id="EXTERNAL_ID")
    world.aws.accounts.add_role(READER, trust=trust)
    sent(world, {"source": "memory:pair", "assume_role": ASSUME})
    with pytest.raises(AccessDeniedError):
        sent(world, {"source": "memory:pair", "assume_role": {"role_arn": READER}})
