from __future__ import annotations

import os
import threading
from dataclasses import replace

import pytest

from secretkit.core.secret import Secret
from secretkit.errors import (
    AccessDeniedError,
    ConfigError,
    IntegrityError,
    ProviderUnavailableError,
    SecretNotFoundError,
)
from secretkit.providers.keysource import (
    Argon2Cost,
    KeyFile,
    KeyringKey,
    Passphrase,
    new_key_text,
)
from secretkit.providers.sealing import SealingKey
from secretkit.testing.contract import assert_no_trace

CONTEXT = b"this store"
CHEAP = Argon2Cost(memory_kib=19 * 1024, iterations=2, lanes=1)


def passphrase(text="correct horse battery staple"):
    return Passphrase(lambda: Secret(text), cost=CHEAP)


def key_file(tmp_path, name="store.key"):
    source = KeyFile(str(tmp_path / "keys" / name))
    source.create()
    return source


class Drawer:
    """A keyring of one entry."""

    def __init__(self):
        self.kept = []

    def source(self):
        return KeyringKey(self.fetch, self.kept.append)

    def fetch(self):
        if not self.kept:
            raise SecretNotFoundError("nothing there")
        return self.kept[0]


@pytest.fixture(params=["passphrase", "key-file", "keyring"])
def source(request, tmp_path):
    made = {
        "passphrase": passphrase,
        "key-file": lambda: KeyFile(str(tmp_path / "keys" / "store.key")),
        "keyring": Drawer().source,
    }[request.param]()
    made.create()
    return made


def test_every_source_opens_what_it_sealed(source):
    dek = SealingKey.new()
    wrapped = source.wrap(dek, context=CONTEXT)
    assert wrapped.source == source.kind
    assert source.unwrap(wrapped, context=CONTEXT).reveal() == dek.reveal()


def test_no_source_opens_it_for_another_store(source):
    wrapped = source.wrap(SealingKey.new(), context=CONTEXT)
    with pytest.raises(IntegrityError):
        source.unwrap(wrapped, context=b"another store")


def test_no_source_opens_changed_bytes_or_unknown_parameters(source):
    wrapped = source.wrap(SealingKey.new(), context=CONTEXT)
    broken = wrapped.sealed[:-1] + bytes([wrapped.sealed[-1] ^ 1])
    more = {**wrapped.parameters, "more": 1}
    for other in (replace(wrapped, sealed=broken), replace(wrapped, parameters=more)):
        with pytest.raises(IntegrityError) as caught:
            source.unwrap(other, context=CONTEXT)
        assert caught.value.hint


def test_two_wrappings_of_one_key_differ(source):
    dek = SealingKey.new()
    one, two = (source.wrap(dek, context=CONTEXT).sealed for _ in range(2))
    assert one != two


def test_a_wrong_passphrase_and_changed_bytes_give_the_same_error():
    wrapped = passphrase().wrap(SealingKey.new(), context=CONTEXT)
    errors = []
    for source, stored in (
        (passphrase("wrong"), wrapped),
        (passphrase(), replace(wrapped, sealed=b"x" * len(wrapped.sealed))),
        (passphrase(), replace(wrapped, parameters={**wrapped.parameters, "salt": "zz"})),
    ):
        with pytest.raises(IntegrityError) as caught:
            source.unwrap(stored, context=CONTEXT)
        errors.append((type(caught.value), str(caught.value), caught.value.hint))
    assert len(set(errors)) == 1


def test_a_passphrase_is_stretched_with_a_fresh_salt_and_the_stated_cost():
    source = passphrase()
    one, two = (source.wrap(SealingKey.new(), context=CONTEXT) for _ in range(2))
    assert one.parameters["salt"] != two.parameters["salt"]
    costs = {"kdf": "argon2id", "memory_kib": 19 * 1024, "iterations": 2, "lanes": 1}
    assert one.parameters == {**costs, "salt": one.parameters["salt"]}


def test_a_store_made_at_another_cost_still_opens():
    dek = SealingKey.new()
    wrapped = passphrase().wrap(dek, context=CONTEXT)
    dear = Passphrase(lambda: Secret("correct horse battery staple"))
    assert dear.unwrap(wrapped, context=CONTEXT).reveal() == dek.reveal()


ATTACKS = {
    "a terabyte": {"memory_kib": 1 << 30},
    "just above the bound": {"memory_kib": 256 * 1024 + 1},
    "below the bound": {"memory_kib": 8},
    "many iterations": {"iterations": 1_000_000},
    "no iterations": {"iterations": 0},
    "many lanes": {"lanes": 1 << 20},
    "no lanes": {"lanes": 0},
    "negative": {"memory_kib": -1},
    "text for a number": {"memory_kib": "65536"},
    "a number for the salt": {"salt": 7},
    "a short salt": {"salt": "00"},
    "an odd salt": {"salt": "0"},
    "another function": {"kdf": "md5"},
}


@pytest.mark.parametrize("change", ATTACKS.values(), ids=ATTACKS)
def test_parameters_out_of_bounds_are_refused_and_not_tried(change):
    asked = []

    def ask():
        asked.append(1)
        return Secret("correct horse battery staple")

    source = Passphrase(ask, cost=CHEAP)
    wrapped = source.wrap(SealingKey.new(), context=CONTEXT)
    asked.clear()
    with pytest.raises(IntegrityError):
        source.unwrap(
            replace(wrapped, parameters={**wrapped.parameters, **change}), context=CONTEXT
        )
    assert asked == [1]  # the time was spent, once, at our own cost


@pytest.mark.parametrize(
    "cost", [{"memory_kib": 1024}, {"memory_kib": 1 << 20}, {"iterations": 1}, {"lanes": 9}]
)
def test_a_cost_that_is_too_cheap_or_too_dear_cannot_be_chosen(cost):
    with pytest.raises(ConfigError) as caught:
        Argon2Cost(**cost)
    assert caught.value.hint


def test_no_passphrase_is_in_an_error():
    canary = "canary-" + "p5" * 12
    wrapped = passphrase().wrap(SealingKey.new(), context=CONTEXT)
    with pytest.raises(IntegrityError) as caught:
        passphrase(canary).unwrap(wrapped, context=CONTEXT)
    assert_no_trace(caught.value, canary)


def test_a_key_file_is_made_once_with_mode_0600(tmp_path):
    source = key_file(tmp_path)
    first = (tmp_path / "keys" / "store.key").read_bytes()
    source.create()
    assert (tmp_path / "keys" / "store.key").read_bytes() == first
    assert (tmp_path / "keys" / "store.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700


def test_a_key_file_left_empty_by_an_interrupted_run_is_filled(tmp_path):
    (tmp_path / "keys").mkdir(0o700)
    (tmp_path / "keys" / "store.key").touch(0o600)
    dek = SealingKey.new()
    source = key_file(tmp_path)
    assert source.unwrap(source.wrap(dek, context=b""), context=b"").reveal() == dek.reveal()


def test_of_many_that_make_a_key_file_all_use_the_same_key(tmp_path):
    keys, gate = [], threading.Barrier(8)

    def make():
        gate.wait(20)
        keys.append(key_file(tmp_path)._kek().reveal())

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(keys) == 8
    assert len(set(keys)) == 1


def test_a_missing_key_file_is_not_tried(tmp_path):
    with pytest.raises(ProviderUnavailableError) as caught:
        KeyFile(str(tmp_path / "none")).wrap(SealingKey.new(), context=b"")
    assert "secretkit init" in caught.value.hint


@pytest.mark.parametrize("ending", ["", "=", "\n", "=\n"])
def test_a_key_file_may_have_padding_and_one_line_break(tmp_path, ending):
    source = key_file(tmp_path)
    path = tmp_path / "keys" / "store.key"
    key = source._kek().reveal()
    path.write_text(path.read_text() + ending)
    assert source._kek().reveal() == key


MALFORMED = {
    "empty": b"",
    "short": b"A" * 42,
    "long": b"A" * 44,
    "standard base64": b"+" + b"A" * 42,
    "two line breaks": b"A" * 43 + b"\n\n",
    "DOS line break": b"A" * 43 + b"\r\n",
    "a space": b" " + b"A" * 43,
    "a byte order mark": b"\xef\xbb\xbf" + b"A" * 43,
    "raw bytes": b"\x80" * 32,
    "much": b"A" * 10_000,
}


@pytest.mark.parametrize("contents", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_key_file_is_one_error_without_the_key(tmp_path, contents):
    source = key_file(tmp_path)
    (tmp_path / "keys" / "store.key").write_bytes(contents)
    with pytest.raises(IntegrityError) as caught:
        source.wrap(SealingKey.new(), context=b"")
    assert caught.value.hint
    assert_no_trace(caught.value, "AAAAAAAA")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601])
def test_a_key_file_that_others_can_reach_is_refused(tmp_path, mode):
    source = key_file(tmp_path)
    path = tmp_path / "keys" / "store.key"
    path.chmod(mode)
    with pytest.raises(AccessDeniedError) as caught:
        source.wrap(SealingKey.new(), context=b"")
    assert "chmod 600" in caught.value.hint
    assert path.stat().st_mode & 0o777 == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can own a file as root:root")
def test_a_systemd_credential_is_taken_as_systemd_makes_it(tmp_path):
    source = key_file(tmp_path)
    (tmp_path / "keys" / "store.key").chmod(0o440)
    source.wrap(SealingKey.new(), context=b"")
    os.chown(tmp_path / "keys" / "store.key", 0, 12345)
    with pytest.raises(AccessDeniedError):
        source.wrap(SealingKey.new(), context=b"")


def test_a_key_in_the_keyring_is_made_once():
    drawer = Drawer()
    drawer.source().create()
    drawer.source().create()
    assert len(drawer.kept) == 1


def test_what_the_keyring_raises_passes():
    with pytest.raises(SecretNotFoundError):
        Drawer().source().wrap(SealingKey.new(), context=b"")


def test_a_new_key_is_43_characters_that_differ_each_time():
    one, two = new_key_text(), new_key_text()
    assert len(one.reveal()) == 43
    assert one != two
