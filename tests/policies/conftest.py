"""One OpenBao for all Vault policies, with the engines, roles and keys of their jobs."""

from __future__ import annotations

import os

import pytest

from ledger.postgres_server import postgres  # noqa: F401 - a fixture
from policies.bench import Bench
from secretkit.testing.bao import Bao, find_bao

CREATE = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"


def absent(reason: str) -> None:
    """Skip with the reason, or fail where everything has to be there."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)  # noqa: TID251 - tests only


@pytest.fixture(scope="session")
def bench(tmp_path_factory, postgres):  # noqa: F811 - the fixture above
    if not find_bao():
        absent("bao is not installed")
    with Bao.dev(tmp_path_factory.mktemp("bao")) as bao:
        found = Bench(bao)
        bao.write("sys/mounts/transit", type="transit")
        bao.write("transit/keys/secretkit")
        bao.write("transit/keys/other")
        for role in ("secretkit", "other"):
            bao.write(f"auth/approle/role/{role}", token_ttl="10m")
        database(bao, postgres)
        yield found


def database(bao, postgres):  # noqa: F811
    """A connection to the real server over its socket, a dynamic role and two static ones."""
    host = postgres.place / "data"
    bao.write("sys/mounts/database", type="database")
    for name in ("static_one", "static_two"):
        postgres.run(f"CREATE ROLE {name} LOGIN")
    bao.write(
        "database/config/postgres",
        plugin_name="postgresql-database-plugin",
        allowed_roles=["*"],
        connection_url=f"host={host} user=postgres dbname=postgres",
    )
    for name, user in {"secretkit-rotated": "static_one", "other-rotated": "static_two"}.items():
        bao.write(
            f"database/static-roles/{name}",
            db_name="postgres",
            username=user,
            rotation_period="24h",
        )
    for name in ("secretkit", "other"):
        bao.write(
            f"database/roles/{name}",
            db_name="postgres",
            creation_statements=[CREATE],
            default_ttl="1h",
            max_ttl="24h",
        )
