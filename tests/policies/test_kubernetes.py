"""RBAC gives OpenBao the review of tokens and nobody anything else; the CronJob has no way out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from certified import Authority
from policies.bench import TIMEOUT
from policies.rbac import Ask, allows, narrowed, widened
from secretkit.broker.clock import SystemClock
from secretkit.core.message import Reply
from secretkit.core.record import replace
from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.identity import open_identity
from secretkit.providers.vault.provider import VaultProvider
from secretkit.testing.context import provider_context
from secretkit.testing.fault import FaultServer, answer
from secretkit.testing.stub.issuer import TokenIssuer

FOLDER = Path(__file__).parents[2] / "policies/kubernetes"
FILES = sorted(FOLDER.glob("*.yaml"))
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
OPENBAO, ROTATOR, BROKER = "openbao/openbao", "secretkit/rotator", "secretkit/broker"


def documents(name):
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


@pytest.fixture(scope="session")
def reviewed(bench, tmp_path_factory):
    """What OpenBao asked the cluster for while the rotator logged in with the CronJob's token."""
    folder = tmp_path_factory.mktemp("cluster")
    authority, bao = Authority(folder), bench.bao
    (pod,) = documents("cronjob.yaml")
    spec = pod["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    account, space = spec["serviceAccountName"], pod["metadata"]["namespace"]
    user = f"system:serviceaccount:{space}:{account}"
    status = {"authenticated": True, "user": {"username": user, "uid": "1"}, "audiences": ["vault"]}
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status}
    reply = Reply(
        status=201, headers={"content-type": "application/json"}, body=json.dumps(review).encode()
    )
    claims = {"namespace": space, "serviceaccount": {"name": account, "uid": "1"}}
    issuer = TokenIssuer("https://kubernetes.default.svc", clock=SystemClock())
    token = issuer.token(user, aud=["vault"], **{"kubernetes.io": claims})
    (folder / "vault").touch(mode=0o600)
    (folder / "vault").write_text(token.reveal())
    with FaultServer(tls=authority.server()) as cluster:
        cluster.play(answer(reply), path=REVIEWS)
        bao.write("sys/auth/kubernetes", type="kubernetes")
        bao.write(
            "auth/kubernetes/config",
            kubernetes_host=cluster.url,
            kubernetes_ca_cert=authority.bundle.read_text(),
            disable_local_ca_jwt=True,
            token_reviewer_jwt="reviewer",
        )
        bao.policy("rotator-kv", (FOLDER.parent / "vault/rotator-kv.hcl").read_text())
        bao.write(
            "auth/kubernetes/role/rotator",
            bound_service_account_names=account,
            bound_service_account_namespaces=space,
            audience="vault",
            token_policies="rotator-kv",
        )
        bao.write("secret/data/secretkit/rotated/cluster", data={"key": "it-works"})
        log_in(bao, folder / "vault")
        return [(one.method, one.path) for one in cluster.requests]


def log_in(bao, token_file):
    context = provider_context()
    context = replace(
        context,
        identity=lambda table, audience: open_identity(table, audience=audience, context=context),
    )
    identity = {"type": "kubernetes", "token_file": str(token_file)}
    auth = {"method": "kubernetes", "role": "rotator", "identity": identity}
    made = VaultProvider.open({"address": bao.url, "auth": auth}, context)
    ref = SecretRef.parse("vault:secret/secretkit/rotated/cluster#key")
    assert made.fetch(ref, timeout=TIMEOUT).secret == Secret("it-works")
    made.close()


REVIEW = Ask(who=OPENBAO, verb="create", group="authentication.k8s.io", resource="tokenreviews")


def ask(who, verb, resource, group="", **more):
    return Ask(who=who, verb=verb, group=group, resource=resource, **more)


NEVER = [
    ask(OPENBAO, "list", "tokenreviews", "authentication.k8s.io"),
    ask(OPENBAO, "create", "subjectaccessreviews", "authorization.k8s.io"),
    ask(OPENBAO, "create", "selfsubjectreviews", "authentication.k8s.io"),
    ask(OPENBAO, "create", "tokenreviews", "authorization.k8s.io"),
    ask(OPENBAO, "get", "secrets", namespace="openbao"),
    ask(OPENBAO, "get", "secrets", namespace="secretkit"),
    ask(OPENBAO, "impersonate", "serviceaccounts", namespace="secretkit"),
    *(
        ask(who, verb, resource, group, namespace="secretkit")
        for who in (BROKER, ROTATOR)
        for verb, resource, group in (
            ("create", "tokenreviews", "authentication.k8s.io"),
            ("get", "secrets", ""),
            ("list", "secrets", ""),
            ("create", "serviceaccounts/token", ""),
            ("create", "pods", ""),
            ("create", "pods/exec", ""),
            ("get", "configmaps", ""),
            ("update", "cronjobs", "batch"),
            ("bind", "clusterroles", "rbac.authorization.k8s.io"),
            ("update", "clusterroles", "rbac.authorization.k8s.io"),
        )
    ),
    ask("default/openbao", "create", "tokenreviews", "authentication.k8s.io"),
    ask("openbao/default", "create", "tokenreviews", "authentication.k8s.io"),
]


def test_openbao_asks_for_a_review_and_may(reviewed):
    assert reviewed == [("POST", REVIEWS)]
    _, _, group, _, resource = REVIEWS.split("/")
    asked = ask(OPENBAO, "create", resource, group)
    assert asked == REVIEW
    assert allows(documents("rbac.yaml"), asked)


def test_nobody_may_anything_else():
    assert [one for one in NEVER if allows(documents("rbac.yaml"), one)] == []


def test_without_any_one_part_openbao_may_not():
    mutants = dict(narrowed(documents("rbac.yaml")))
    assert len(mutants) == 6
    for mutant, changed in mutants.items():
        assert not allows(changed, REVIEW), mutant


def test_with_any_one_part_widened_somebody_may_more():
    mutants = dict(widened(documents("rbac.yaml")))
    assert len(mutants) == 4
    for mutant, changed in mutants.items():
        assert any(allows(changed, one) for one in NEVER), mutant


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_schemas_of_kubernetes_fit(path):
    import kubernetes_validate

    for document in documents(path.name):
        kubernetes_validate.validate(document, "1.37", strict=True)
        broken = {**document, "metadata": {**document["metadata"], "nonsense": "x"}}
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(broken, "1.37", strict=True)


def test_every_account_has_to_bring_its_own_token():
    accounts = [one for one in documents("rbac.yaml") if one["kind"] == "ServiceAccount"]
    assert {one["metadata"]["name"] for one in accounts} == {"broker", "rotator"}
    assert all(one["automountServiceAccountToken"] is False for one in accounts)


def test_the_cron_job_is_held_to_the_restricted_standard():
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/, and more."""
    (job,) = documents("cronjob.yaml")
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & pod.keys()
    assert not {"hostPath", "secret"} & {key for one in pod["volumes"] for key in one}
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "valueFrom" not in str(container["env"])
    assert pod["automountServiceAccountToken"] is False
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    assert job["spec"]["timeZone"] == "Etc/UTC"


def test_the_token_is_for_one_audience_and_ten_minutes():
    (job,) = documents("cronjob.yaml")
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    tokens = [
        source["serviceAccountToken"]
        for volume in pod["volumes"]
        for source in volume.get("projected", {}).get("sources", ())
    ]
    assert tokens == [{"path": "vault", "audience": "vault", "expirationSeconds": 600}]
    named = {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    assert named == {volume["name"] for volume in pod["volumes"]}
    assert all(m["readOnly"] for m in pod["containers"][0]["volumeMounts"] if m["name"] != "home")
