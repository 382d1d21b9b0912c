from __future__ import annotations

from datetime import timedelta

import pytest

from secretkit.broker.clock import SystemClock
from secretkit.core.ref import SecretRef
from secretkit.errors import ConfigError, ProviderUnavailableError
from secretkit.providers.keychoice import in_state_dir, key_source, located
from secretkit.providers.keysource import KeyFile, KeyringKey, Passphrase
from secretkit.providers.sealing import SealingKey
from secretkit.testing.context import provider_context
from secretkit.testing.memory import MemoryProvider

CONTEXT = provider_context(
    environ={"HOME": "/home/user", "CREDENTIALS_DIRECTORY": "/run/credentials/app"},
    config_dir="/etc/secretkit",
    state_dir="/var/lib/secretkit",
)


def test_the_default_is_a_key_file_in_the_state_directory_apart_from_the_store():
    source = key_source({}, CONTEXT)
    assert isinstance(source, KeyFile)
    assert source.path == "/var/lib/secretkit/keys/store.key"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/a/key", "/a/key"),
        ("~/key", "/home/user/key"),
        ("keys/key", "/etc/secretkit/keys/key"),
        ("$CREDENTIALS_DIRECTORY/key", "/run/credentials/app/key"),
    ],
)
def test_a_key_file_path_starts_where_it_says(path, found):
    source = key_source({"type": "key-file", "path": path}, CONTEXT)
    assert isinstance(source, KeyFile)
    assert source.path == found


@pytest.mark.parametrize("path", ["~other/key", "~", "~/key", "key", "$CREDENTIALS_DIRECTORY/key"])
def test_a_path_without_a_known_start_is_refused(path):
    with pytest.raises(ConfigError) as caught:
        located(path, "key.path", provider_context())
    assert caught.value.key_path == "key.path"
    assert caught.value.hint


def test_without_a_state_directory_there_is_no_default():
    with pytest.raises(ConfigError):
        in_state_dir("store.db", provider_context())


@pytest.mark.parametrize(
    "table",
    [
        {"type": "passphrase"},
        {"type": "passphrase", "env": ""},
        {"type": "passphrase", "env": 1},
        {"type": "passphrase", "path": "/key"},
        {"type": "key-file", "env": "VARIABLE"},
        {"type": "key-file", "path": ["/key"]},
        {"type": "keyring", "env": "VARIABLE"},
        {"type": "kms"},
        {"type": 3},
        {"type": "key-file", "colour": "red"},
    ],
)
def test_a_malformed_table_is_refused_with_a_hint(table):
    with pytest.raises(ConfigError) as caught:
        key_source(table, CONTEXT)
    assert caught.value.hint


def test_a_passphrase_is_read_from_the_named_variable_when_it_is_needed():
    environ = {}
    source = key_source(
        {"type": "passphrase", "env": "STORE_PASSPHRASE"}, provider_context(environ=environ)
    )
    assert isinstance(source, Passphrase)
    with pytest.raises(ProviderUnavailableError) as caught:
        source.spend()
    assert "STORE_PASSPHRASE" in str(caught.value)
    environ["STORE_PASSPHRASE"] = "correct horse"
    source.spend()


def test_a_keyring_key_is_made_once_and_used():
    keyring = MemoryProvider(clock=SystemClock())
    context = provider_context(providers={"keyring": keyring})
    source = key_source({"type": "keyring", "service": "team"}, context)
    assert isinstance(source, KeyringKey)
    source.create()
    ref = SecretRef("keyring", "team/secretkit-local-store")
    first = keyring.fetch(ref, timeout=timedelta(seconds=5)).secret
    source.create()
    assert keyring.fetch(ref, timeout=timedelta(seconds=5)).secret == first
    dek = SealingKey.new()
    wrapped = source.wrap(dek, context=b"store")
    assert source.unwrap(wrapped, context=b"store").reveal() == dek.reveal()


def test_a_keyring_that_cannot_be_written_is_said_to_be_so():
    class ReadOnly:
        def fetch(self, ref, *, timeout):
            return MemoryProvider(clock=SystemClock()).fetch(ref, timeout=timeout)

    context = provider_context(providers={"keyring": ReadOnly()})
    with pytest.raises(ConfigError):
        key_source({"type": "keyring"}, context).create()


def test_no_passphrase_is_shown_by_a_source():
    context = provider_context(environ={"STORE_PASSPHRASE": "canary-" + "v1" * 12})
    source = key_source({"type": "passphrase", "env": "STORE_PASSPHRASE"}, context)
    assert "canary" not in f"{source} {source!r}"
