from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from datetime import timedelta

import pytest

from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.errors import (
    AccessDeniedError,
    ConfigError,
    IntegrityError,
    LedgerError,
    ProviderError,
    ProviderUnavailableError,
    RefError,
    SecretNotFoundError,
)
from secretkit.ports import Listable, Provider, Versioned, Writable
from secretkit.providers.local import LocalProvider
from secretkit.testing.clock import FakeClock
from secretkit.testing.context import provider_context

SOON = timedelta(seconds=5)


@pytest.fixture
def context(tmp_path):
    return provider_context(
        clock=FakeClock(),
        environ={"HOME": str(tmp_path / "home"), "OLD": "old passphrase", "NEW": "new passphrase"},
        config_dir=str(tmp_path / "config"),
        state_dir=str(tmp_path / "state"),
    )


@pytest.fixture
def local(context):
    with closing(LocalProvider.open({}, context)) as local:
        local.create()
        yield local


def ref(text):
    return SecretRef.parse(text)


def fetched(local, text):
    found = local.fetch(ref(text), timeout=SOON)
    return found.secret.reveal(), found.version


def test_it_can_all_that_a_store_can(local):
    for ability in (Provider, Writable, Listable, Versioned):
        assert isinstance(local, ability)


def test_opening_reads_and_makes_nothing(context, tmp_path):
    LocalProvider.open({}, context)
    assert list(tmp_path.iterdir()) == []


def test_the_defaults_need_no_prompt_and_keep_key_and_store_apart(local, tmp_path):
    local.write(ref("local:name"), Secret("value"))
    assert fetched(local, "local:name") == ("value", "1")
    assert (tmp_path / "state" / "store.db").exists()
    assert (tmp_path / "state" / "keys" / "store.key").exists()


def test_a_path_may_start_at_home_or_at_the_configuration_file(context, tmp_path):
    for path, found in (("~/a.db", "home/a.db"), ("b.db", "config/b.db")):
        with closing(LocalProvider.open({"path": path}, context)) as local:
            local.create()
        assert (tmp_path / found).exists()


@pytest.mark.parametrize(
    "options",
    [
        {"pth": "/store.db"},
        {"path": ""},
        {"path": 3},
        {"path": "~other/store.db"},
        {"keep": 0},
        {"keep": -1},
        {"keep": True},
        {"keep": "10"},
        {"keep": 1_000_000},
        {"key": "passphrase"},
        {"key": {"type": "none"}},
    ],
)
def test_a_malformed_option_is_refused_with_a_hint(options, context):
    with pytest.raises(ConfigError) as caught:
        LocalProvider.open(options, context)
    assert caught.value.hint


def test_the_type_of_the_table_is_passed_over(context):
    LocalProvider.open({"type": "local"}, context)


def test_keep_is_the_number_of_versions_kept(context, local):
    few = LocalProvider.open({"keep": 2}, context)
    with closing(few):
        for number in range(4):
            few.write(ref("local:name"), Secret(f"value-{number}"))
        assert fetched(few, "local:name@3") == ("value-2", "3")
        with pytest.raises(SecretNotFoundError) as caught:
            few.fetch(ref("local:name@2"), timeout=SOON)
    assert "not kept" in str(caught.value)


def test_a_version_and_a_field_may_be_named(local):
    local.write(ref("local:app"), Secret('{"user": "me", "key": "one"}'))
    local.write(ref("local:app"), Secret('{"user": "me", "key": "two"}'))
    assert fetched(local, "local:app#key") == ("two", "2")
    assert fetched(local, "local:app#key@1") == ("one", "1")
    assert local.version(ref("local:app@1"), timeout=SOON) == "1"
    with pytest.raises(SecretNotFoundError) as caught:
        local.version(ref("local:app@3"), timeout=SOON)
    assert caught.value.ref == "local:app@3"


@pytest.mark.parametrize("text", ["local:app#field", "local:app@1", "local:/app"])
def test_only_a_whole_secret_can_be_written_or_removed(local, text):
    with pytest.raises(RefError):
        local.write(ref(text), Secret("value"))
    with pytest.raises(RefError):
        local.delete(ref(text))
    assert local.names() == []


@pytest.mark.parametrize("expected", ["", "1.0", "01", "-1", " 1", "one", "9" * 30])
def test_an_expected_version_that_is_none_of_ours_changes_nothing(local, expected):
    local.write(ref("local:name"), Secret("value"))
    with pytest.raises(ProviderError) as caught:
        local.write(ref("local:name"), Secret("new"), expected_version=expected)
    assert caught.value.ref == "local:name"
    assert not caught.value.retryable
    assert fetched(local, "local:name") == ("value", "1")


def test_a_lost_compare_and_swap_names_the_reference(local):
    local.write(ref("local:name"), Secret("value"))
    with pytest.raises(ProviderError) as caught:
        local.write(ref("local:name"), Secret("new"), expected_version="0")
    assert caught.value.ref == "local:name"


def test_without_a_store_nothing_was_asked_and_init_is_the_next_step(context):
    local = LocalProvider.open({}, context)
    for use in (
        lambda: local.fetch(ref("local:name"), timeout=SOON),
        lambda: local.write(ref("local:name"), Secret("value")),
        lambda: local.version(ref("local:name"), timeout=SOON),
        local.names,
    ):
        with pytest.raises(ProviderUnavailableError) as caught:
            use()
        assert "secretkit init" in caught.value.hint


def test_without_its_passphrase_nothing_was_asked(context, tmp_path):
    options = {"key": {"type": "passphrase", "env": "OLD"}}
    with closing(LocalProvider.open(options, context)) as made:
        made.create()
    bare = provider_context(state_dir=str(tmp_path / "state"))
    with pytest.raises(ProviderUnavailableError) as caught:
        LocalProvider.open(options, bare).fetch(ref("local:name"), timeout=SOON)
    assert caught.value.ref == "local:name"


def test_a_wrong_passphrase_is_an_integrity_error(context):
    options = {"key": {"type": "passphrase", "env": "OLD"}}
    with closing(LocalProvider.open(options, context)) as made:
        made.create()
    other = LocalProvider.open({"key": {"type": "passphrase", "env": "NEW"}}, context)
    with pytest.raises(IntegrityError):
        other.fetch(ref("local:name"), timeout=SOON)


def test_a_store_changes_from_a_key_file_to_a_passphrase(context, local):
    local.write(ref("local:name"), Secret("value"))
    local.rewrap({"type": "passphrase", "env": "NEW"}, context)
    assert fetched(local, "local:name") == ("value", "1")
    local.close()
    assert fetched(local, "local:name") == ("value", "1")
    with pytest.raises(IntegrityError):
        LocalProvider.open({}, context).fetch(ref("local:name"), timeout=SOON)


def test_a_second_store_is_not_made_over_the_first(context, local):
    local.write(ref("local:name"), Secret("value"))
    with pytest.raises(LedgerError):
        LocalProvider.open({}, context).create()
    assert fetched(local, "local:name") == ("value", "1")


def test_a_key_file_that_others_can_reach_is_refused(context, local, tmp_path):
    local.close()
    (tmp_path / "state" / "keys" / "store.key").chmod(0o644)
    with pytest.raises(AccessDeniedError) as caught:
        local.fetch(ref("local:name"), timeout=SOON)
    assert caught.value.ref == "local:name"
    assert "chmod 600" in caught.value.hint


def test_a_closed_provider_opens_again(local):
    local.write(ref("local:name"), Secret("value"))
    local.close()
    assert fetched(local, "local:name") == ("value", "1")


def test_what_a_token_needs_loads_neither_argon2_nor_the_keyring(context, local):
    local.write(ref("local:name"), Secret("value"))
    code = (
        "import sys\n"
        "from datetime import timedelta\n"
        "from secretkit.core.ref import SecretRef\n"
        "from secretkit.providers.local import LocalProvider\n"
        "from secretkit.testing.context import provider_context\n"
        "local = LocalProvider.open({}, provider_context(state_dir=sys.argv[1]))\n"
        "light = not {'sqlite3', 'cryptography'} & set(sys.modules)\n"
        "found = local.fetch(SecretRef('local', 'name'), timeout=timedelta(seconds=5))\n"
        "heavy = [m for m in sys.modules if 'argon2' in m or m.split('.')[0] in\n"
        "         ('keyring', 'asyncio', 'click', 'difflib')]\n"
        "print(light, found.version, heavy)\n"
    )
    command = [sys.executable, "-c", code, context.state_dir]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    assert ran.stdout.split(maxsplit=2) == ["True", "1", "[]\n"]
