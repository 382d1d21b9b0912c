"""Every source that asks over HTTP, opened as wiring opens it over a server that a test ruins.

Each knows what its server answers while all is well, which path is ruined, and which values go out,
so that one test can be run over all of them.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

from secretkit.broker.clock import SystemClock
from secretkit.broker.pool import PoolSource
from secretkit.claude import exchange
from secretkit.core.message import Reply
from secretkit.core.record import replace
from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.identity import open_identity
from secretkit.ports import CredentialSource, ProviderContext
from secretkit.providers.aws import source as aws
from secretkit.providers.aws.parameter import ParameterStoreProvider
from secretkit.providers.aws.secretsmanager import SecretsManagerProvider
from secretkit.providers.vault.provider import VaultProvider
from secretkit.testing.context import provider_context
from secretkit.testing.fault import FaultServer, answer
from secretkit.testing.memory import MemoryProvider
from secretkit.testing.stub.issuer import TokenIssuer
from secretkit.wire import HttpTransport

ROLE = "arn:aws:iam::123456789012:role/app"
SESSION = "arn:aws:sts::123456789012:assumed-role/app/secretkit"
TOKEN_PATH = "/v1/oauth/token"
LIFE = timedelta(hours=1)
JSON = {"content-type": "application/json"}


class Leaping(SystemClock):
    """The machine's clocks, put forward by a test; what waits, waits in real time."""

    __slots__ = ("_lock", "leapt", "off")

    def __init__(self, *, off: timedelta = timedelta()) -> None:
        super().__init__()
        self.off, self.leapt = off, timedelta()
        real = self.monotonic
        self.monotonic = lambda: real() + self.leapt.total_seconds()

    def now(self):
        return super().now() + self.off + self.leapt

    def advance(self, step: timedelta) -> None:
        self.leapt += step


@dataclass
class World:
    """Where one source is opened: a clock, a folder, a server, and what must never be seen."""

    folder: Path
    url: str
    clock: Leaping
    environ: dict[str, str] = field(default_factory=dict)
    hidden: list[str] = field(default_factory=list)
    ca_bundle: str = ""
    issuing: Leaping | None = None

    def __post_init__(self) -> None:
        self.memory = MemoryProvider(clock=self.clock)
        self.credentials: dict[str, CredentialSource] = {}
        self.issuer = TokenIssuer("https://id.example.org", clock=self.issuing or self.clock)
        self.context = self._context()
        self._files: dict[Path, str] = {}

    def value(self) -> str:
        """Make a value that must not be seen."""
        made = secrets.token_urlsafe(30)
        self.hidden.append(made)
        return made

    def kept(self, name: str, text: str) -> str:
        """Keep a value under ``memory:NAME``; give the reference."""
        self.memory.set(name, text)
        return f"memory:{name}"

    def assertion(self, audience: str) -> Secret:
        """Sign a token for ``audience``."""
        token = self.issuer.token("spiffe://example.org/app", aud=audience, life=LIFE)
        self.hidden += [token.reveal(), token.reveal().rpartition(".")[2]]
        return token

    def token_file(self, audience: str) -> str:
        """Write a token to a file; give its path."""
        path = self.folder / f"{secrets.token_hex(4)}.jwt"
        path.touch(mode=0o600)
        self._files[path] = audience
        self.rewrite()
        return str(path)

    def rewrite(self) -> None:
        """Put a new token into each file, as whoever writes them does."""
        for path, audience in self._files.items():
            path.write_text(self.assertion(audience).reveal())

    def ends(self, life: timedelta) -> str:
        """Give a moment from now as AWS writes it."""
        return f"{self.clock.now() + life:%Y-%m-%dT%H:%M:%SZ}"

    def _context(self) -> ProviderContext:
        plain = provider_context(
            clock=self.clock,
            environ=self.environ,
            providers={"memory": self.memory},
            credentials=self.credentials,
        )

        def transport(*, ca_bundle: str = "", **files: str) -> HttpTransport:
            return HttpTransport(clock=self.clock, ca_bundle=ca_bundle or self.ca_bundle, **files)

        made = replace(plain, transport=transport, rng=lambda: 0.0)
        return replace(made, identity=lambda table, audience: self._identity(table, audience, made))

    def _identity(self, table: Mapping[str, object], audience: str, context: ProviderContext):
        return open_identity(table, audience=audience, context=context)


@dataclass(frozen=True)
class Exchange:
    """One source: how it is opened, what its server answers, and the path that is ruined."""

    name: str
    path: str
    open: Callable[[World], CredentialSource]
    answers: Callable[[World], Mapping[str, Reply]]
    twice: str = ""
    """A key of the answer at ``path`` that a test writes twice; empty where it is no JSON."""
    is_asked_each_time: bool = True
    """Whether what is ruined is asked for at each acquire; a login and a mount are kept."""
    decides: bool = True
    """Whether a refusal of what is ruined is one of the credential; not so of an identity's."""

    denial: bytes = b'{"errors":["permission denied"],"error":{"type":"permission_error"}}'
    """What its server says to refuse, with status 403."""

    def play(self, world: World, server: FaultServer) -> None:
        """Answer as if all was well."""
        for path, reply in self.answers(world).items():
            server.play(answer(reply), path=path)

    def doubled(self, world: World) -> Reply:
        """Give the right answer with one key in it twice: once wrong, once right."""
        body = self.answers(world)[self.path].body.decode()
        mark = f'"{self.twice}":'
        assert body.count(mark) == 1
        return Reply(
            status=200, headers=JSON, body=body.replace(mark, f"{mark} 1, {mark}").encode()
        )


def _json(document: object) -> Reply:
    return Reply(status=200, headers=JSON, body=json.dumps(document).encode())


# -- Claude's federation, by each identity over HTTP -----------------------------------------------

AUDIENCE = "https://api.anthropic.com"


def federated(world: World, identity: Mapping[str, object]) -> CredentialSource:
    options = {
        "identity": dict(identity),
        "federation_rule_id": "fdrl_test",
        "organization_id": "00000000-0000-0000-0000-000000000000",
        "base_url": world.url,
    }
    return exchange.open_source(options, ref="anthropic-federation:c", context=world.context)


def claude(world: World) -> Reply:
    token = "sk-ant-oat01-" + world.value()
    return _json({"access_token": token, "token_type": "Bearer", "expires_in": 3600})


def _by_file(world: World) -> CredentialSource:
    return federated(world, {"type": "file", "path": world.token_file(AUDIENCE)})


def _by_github(world: World) -> CredentialSource:
    world.environ["ACTIONS_ID_TOKEN_REQUEST_URL"] = f"{world.url}/id?v=1"
    world.environ["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = world.value()
    return federated(world, {"type": "github"})


def _github(world: World) -> Mapping[str, Reply]:
    value = {"value": world.assertion(AUDIENCE).reveal()}
    return {"/id": _json(value), TOKEN_PATH: claude(world)}


def _gcp(world: World) -> Mapping[str, Reply]:
    token = world.assertion(AUDIENCE).reveal().encode()
    reply = Reply(status=200, headers={"Metadata-Flavor": "Google"}, body=token)
    return {"/computeMetadata": reply, TOKEN_PATH: claude(world)}


def _azure(world: World) -> Mapping[str, Reply]:
    reply = _json({"access_token": world.assertion(AUDIENCE).reveal(), "token_type": "Bearer"})
    return {"/metadata": reply, TOKEN_PATH: claude(world)}


def _at(world: World, kind: str) -> CredentialSource:
    return federated(world, {"type": kind, "endpoint": world.url})


# -- AWS -------------------------------------------------------------------------------------------


def _pair(world: World) -> str:
    pair = {"AccessKeyId": "AKIA" + "B" * 16, "SecretAccessKey": world.value()}
    return world.kept("pair", json.dumps(pair))


def _aws(world: World, **options: object) -> CredentialSource:
    table = {
        "region": "us-east-1",
        "endpoint": world.url,
        "assume_role": {"role_arn": ROLE, "session_name": "secretkit"},
        **options,
    }
    return aws.open_source(table, ref="aws:app", context=world.context)


def _assumed(world: World) -> CredentialSource:
    return _aws(world, source=_pair(world))


def _by_web(world: World) -> CredentialSource:
    audience = "sts.amazonaws.com"
    return _aws(world, identity={"type": "file", "path": world.token_file(audience)})


def _session(world: World, action: str) -> Mapping[str, Reply]:
    body = (
        f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>'
        f"<AssumedRoleUser><Arn>{SESSION}</Arn><AssumedRoleId>AROA:secretkit</AssumedRoleId>"
        f"</AssumedRoleUser><Credentials><AccessKeyId>{'ASIA' + 'C' * 16}</AccessKeyId>"
        f"<SecretAccessKey>{world.value()}</SecretAccessKey>"
        f"<SessionToken>{world.value()}</SessionToken>"
        f"<Expiration>{world.ends(LIFE)}</Expiration></Credentials>"
        f"</{action}Result></{action}Response>"
    )
    return {"/": Reply(status=200, headers={"content-type": "text/xml"}, body=body.encode())}


def _by_aws(world: World) -> CredentialSource:
    pair = {"source": _pair(world), "region": "us-east-1"}
    world.credentials["base"] = aws.open_source(pair, ref="aws:base", context=world.context)
    endpoint = {"type": "aws", "base": "base", "region": "us-east-1", "endpoint": world.url}
    return federated(world, endpoint)


def _web_token(world: World) -> Mapping[str, Reply]:
    body = (
        "<GetWebIdentityTokenResponse><GetWebIdentityTokenResult>"
        f"<WebIdentityToken>{world.assertion(AUDIENCE).reveal()}</WebIdentityToken>"
        "</GetWebIdentityTokenResult></GetWebIdentityTokenResponse>"
    )
    return {"/": Reply(status=200, body=body.encode()), TOKEN_PATH: claude(world)}


def _stored(
    world: World, kind: type[SecretsManagerProvider | ParameterStoreProvider]
) -> CredentialSource:
    table = {"region": "us-east-1", "endpoint": world.url, "source": _pair(world)}
    provider = kind.open(table, world.context)
    ref = SecretRef("prod", "app/key")
    return PoolSource([(ref, provider)], kind="opaque", clock=world.clock)


def _secret(world: World) -> Mapping[str, Reply]:
    found = {"Name": "app/key", "VersionId": "v-1", "SecretString": world.value()}
    return {"/": _json(found)}


def _parameter(world: World) -> Mapping[str, Reply]:
    found = {"Name": "app/key", "Type": "SecureString", "Value": world.value(), "Version": 3}
    return {"/": _json({"Parameter": found})}


# -- Vault -----------------------------------------------------------------------------------------


def _vault(
    world: World, auth: Mapping[str, object], text: str = "vault:kv/app#key"
) -> CredentialSource:
    table = {"address": world.url, "auth": dict(auth)}
    provider = VaultProvider.open(table, world.context)
    ref = SecretRef.parse(text)
    return PoolSource([(ref, provider)], kind="opaque", clock=world.clock)


def _by_token(world: World, text: str = "vault:kv/app#key") -> CredentialSource:
    auth = {"method": "token", "token": world.kept("token", world.value())}
    return _vault(world, auth, text)


def _by_approle(world: World) -> CredentialSource:
    ids = {name: world.kept(name, world.value()) for name in ("role_id", "secret_id")}
    return _vault(world, {"method": "approle", **ids})


def _kv(world: World) -> Mapping[str, Reply]:
    token = {"client_token": world.value(), "lease_duration": 36_000, "renewable": True}
    meta = {"version": 3, "deletion_time": "", "destroyed": False}
    return {
        "/v1/": Reply(status=404, headers=JSON, body=b'{"errors":[]}'),
        "/v1/sys/health": Reply(status=200, headers=JSON, body=b"{}"),
        "/v1/auth/token/lookup-self": _json({"data": {"ttl": 36_000, "renewable": True}}),
        "/v1/auth/approle/login": _json({"auth": token}),
        "/v1/sys/leases": Reply(status=204),
        "/v1/database/creds/app": _json(
            {
                "lease_id": "database/creds/app/1",
                "lease_duration": 3600,
                "renewable": False,
                "data": {"username": "v-app", "password": world.value()},
            }
        ),
        "/v1/sys/internal/ui/mounts/database": _json(
            {"data": {"path": "database/", "type": "database"}}
        ),
        "/v1/sys/internal/ui/mounts": _json(
            {"data": {"path": "kv/", "type": "kv", "options": {"version": "2"}}}
        ),
        "/v1/kv/data/app": _json({"data": {"data": {"key": world.value()}, "metadata": meta}}),
    }


_NO = b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"

EXCHANGES = (
    Exchange(
        "federation",
        TOKEN_PATH,
        _by_file,
        lambda world: {TOKEN_PATH: claude(world)},
        twice="access_token",
    ),
    Exchange("github", "/id", _by_github, _github, twice="value", decides=False),
    Exchange("gcp", "/computeMetadata", partial(_at, kind="gcp"), _gcp, decides=False),
    Exchange(
        "azure",
        "/metadata",
        partial(_at, kind="azure"),
        _azure,
        twice="access_token",
        decides=False,
    ),
    Exchange("aws-identity", "/", _by_aws, _web_token, decides=False, denial=_NO),
    Exchange("assume-role", "/", _assumed, partial(_session, action="AssumeRole"), denial=_NO),
    Exchange(
        "web-identity",
        "/",
        _by_web,
        partial(_session, action="AssumeRoleWithWebIdentity"),
        denial=_NO,
    ),
    Exchange(
        "secrets-manager",
        "/",
        partial(_stored, kind=SecretsManagerProvider),
        _secret,
        twice="SecretString",
        denial=b'{"__type":"AccessDeniedException","message":"no"}',
    ),
    Exchange(
        "parameter-store",
        "/",
        partial(_stored, kind=ParameterStoreProvider),
        _parameter,
        twice="Value",
        denial=b'{"__type":"AccessDeniedException","message":"no"}',
    ),
    Exchange("vault-kv", "/v1/kv/data/app", _by_token, _kv, twice="key"),
    Exchange(
        "vault-login",
        "/v1/auth/approle/login",
        _by_approle,
        _kv,
        twice="client_token",
        is_asked_each_time=False,
    ),
    Exchange(
        "vault-mount",
        "/v1/sys/internal/ui/mounts",
        _by_token,
        _kv,
        twice="path",
        is_asked_each_time=False,
    ),
    Exchange(
        "vault-lease",
        "/v1/database/creds/app",
        partial(_by_token, text="vault:database/creds/app"),
        _kv,
        twice="lease_id",
    ),
)
