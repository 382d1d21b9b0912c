"""From a table to an identity."""

import pytest

from secretkit import wiring
from secretkit.config.schema import Config
from secretkit.errors import ConfigError
from secretkit.identity import KINDS, open_identity
from secretkit.testing.context import provider_context
from secretkit.testing.memory import MemoryProvider

TABLES = {
    "aws": {"region": "us-east-1", "base": "bedrock"},
    "azure": {"resource": "api://one"},
    "file": {"path": "/run/id.jwt"},
    "gcp": {},
    "github": {},
    "issuer": {"socket": "unix:///run/issuer.sock"},
    "kubernetes": {"token_file": "/var/run/secrets/tokens/vault"},
    "secret": {"source": "memory:token"},
    "spiffe": {},
}
NAMES = {
    "file": "file:/run/id.jwt",
    "issuer": "issuer:/run/issuer.sock",
    "kubernetes": "file:/var/run/secrets/tokens/vault",
    "secret": "memory:token",
}


@pytest.fixture
def context():
    credentials = {"bedrock": object()}
    return provider_context(providers={"memory": MemoryProvider()}, credentials=credentials)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_opens_without_asking_anybody(kind, context):
    table = {"type": kind, **TABLES[kind]}
    assert open_identity(table, audience="one", context=context).ref == NAMES.get(kind, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_s_audience_is_before_the_caller_s(kind, context):
    table = {"type": kind, "audience": "mine", **TABLES[kind]}
    assert "for mine>" in repr(open_identity(table, audience="theirs", context=context))


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"azure"}))
def test_an_audience_must_be_known(kind, context):
    with pytest.raises(ConfigError) as caught:
        open_identity({"type": kind, **TABLES[kind]}, audience="", context=context)
    assert caught.value.key_path == "audience"


@pytest.mark.parametrize("kind", KINDS)
def test_an_option_that_is_not_known_is_refused_by_name(kind, context):
    with pytest.raises(ConfigError, match="has no option 'pasth'") as caught:
        open_identity({"type": kind, "pasth": "x", **TABLES[kind]}, audience="one", context=context)
    assert caught.value.key_path == "pasth"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if TABLES[kind] and kind != "azure"])
def test_what_a_kind_needs_must_be_there(kind, context):
    for key in TABLES[kind]:
        table = {"type": kind, **TABLES[kind]}
        del table[key]
        with pytest.raises(ConfigError) as caught:
            open_identity(table, audience="one", context=context)
        assert caught.value.key_path == key
        assert caught.value.hint


@pytest.mark.parametrize("kind", ["spifee", "", None, 7, ["file"]])
def test_a_kind_that_is_not_known_is_refused(kind, context):
    with pytest.raises(ConfigError, match="kind of identity") as caught:
        open_identity({"type": kind}, audience="one", context=context)
    assert "spiffe" in caught.value.hint


def test_wiring_opens_it_also_by_the_name_of_its_table(tmp_path):
    path = str(tmp_path / "id.jwt")
    named = {
        "ci": {"type": "file", "path": path, "audience": "two"},
        "github": {"type": "github", "audience": "three"},
        "issuer": {"issuer_url": "https://id.example.org"},
    }
    tables = (
        ({"type": "file", "path": path}, f"<identity file:{path} for one>"),
        ({"type": "ci"}, f"<identity file:{path} for two>"),
        ({"type": "ci", "audience": "four"}, f"<identity file:{path} for four>"),
        ({"type": "github"}, "<identity github for three>"),
        ({"type": "issuer", "socket": "/run/s"}, "<identity issuer:/run/s for one>"),
    )
    with wiring.Toolkit(Config(identities=named), environ={}) as toolkit:
        for table, shown in tables:
            assert repr(toolkit.identity(table, "one")) == shown
