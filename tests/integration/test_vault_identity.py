"""Logins by identity through a configuration: a JWT in a file, at a mount of another name."""

from __future__ import annotations

from datetime import timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from secretkit import wiring
from secretkit.broker.clock import SystemClock
from secretkit.config.parse import parse_config
from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.errors import ProviderUnavailableError, SecretkitError
from vaulted import bao, fresh

__all__ = ["bao"]

WAIT = timedelta(seconds=10)
READ = SecretRef.parse("vault:kv/identity#key")


@pytest.fixture
def issued(bao, tmp_path):
    """Gives a token for an audience into the file; the server trusts its signer."""
    mount, key = fresh("oidc"), ECKey.generate_key("P-256")
    bao.policy(mount, 'path "kv/data/identity" { capabilities = ["read"] }')
    bao.write("kv/data/identity", data={"key": "the-value"})
    bao.write(f"sys/auth/{mount}", type="jwt")
    pem = key.as_pem(private=False).decode()
    bao.write(f"auth/{mount}/config", jwt_validation_pubkeys=[pem])
    bao.write(
        f"auth/{mount}/role/app",
        role_type="jwt",
        user_claim="sub",
        bound_audiences=["vault", "team"],
        token_policies=[mount],
    )

    def write(audience):
        now = int(SystemClock().now().timestamp())
        claims = {"iss": "https://id.example", "sub": "app", "aud": audience}
        times = {"iat": now, "exp": now + 300}
        (tmp_path / "id.jwt").write_text(jwt.encode({"alg": "ES256"}, claims | times, key))

    return mount, write


def fetched(bao, tmp_path, mount, identity):
    path = tmp_path / "secretkit.toml"
    path.write_text(f"""
[providers.vault]
type = "vault"
address = "{bao.url}"
auth = {{ method = "jwt", role = "app", mount = "{mount}", identity = {{ {identity} }} }}
""")
    config = parse_config(path.read_bytes(), file=path)
    with wiring.Toolkit(config, environ={"HOME": str(tmp_path)}) as toolkit:
        return toolkit.fetch(READ, timeout=WAIT).secret


def test_a_token_in_a_file_is_shown_for_the_audience_vault(bao, tmp_path, issued):
    mount, write = issued
    write("vault")
    identity = f'type = "file", path = "{tmp_path}/id.jwt"'
    assert fetched(bao, tmp_path, mount, identity) == Secret("the-value")


def test_the_table_of_the_identity_may_name_another_audience(bao, tmp_path, issued):
    mount, write = issued
    write("team")
    identity = f'type = "file", path = "{tmp_path}/id.jwt"'
    with pytest.raises(SecretkitError, match="meant for") as caught:
        fetched(bao, tmp_path, mount, identity)
    assert caught.value.ref == str(READ)
    assert fetched(bao, tmp_path, mount, identity + ', audience = "team"') == Secret("the-value")


def test_a_token_that_is_not_there_means_that_vault_was_not_asked(bao, tmp_path, issued):
    mount, _ = issued
    with pytest.raises(ProviderUnavailableError, match="no identity to log in") as caught:
        fetched(bao, tmp_path, mount, f'type = "file", path = "{tmp_path}/absent.jwt"')
    assert caught.value.hint
