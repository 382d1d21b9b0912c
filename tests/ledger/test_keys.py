"""The two keys of a ledger."""

from __future__ import annotations

import copy
import pickle
import traceback

import pytest

from secretkit.core.secret import Secret
from secretkit.errors import IntegrityError
from secretkit.ledger.keys import Keys


def test_keys_are_read_back_as_they_were_written():
    keys = Keys.new()
    again = Keys.read(keys.text(), where="it")
    assert again.id == keys.id
    assert again.fingerprint(Secret("x")) == keys.fingerprint(Secret("x"))


def test_every_ledger_has_keys_of_its_own():
    assert len({Keys.new().id for _ in range(50)}) == 50


def test_the_id_and_fingerprints_do_not_hold_the_keys():
    keys = Keys.new()
    assert keys.id not in keys.text()
    assert keys.fingerprint(Secret("x")) not in keys.text()


def test_the_two_keys_are_not_the_same_one():
    one, two = Keys(bytes(64)), Keys(bytes(32) + bytes([1]) * 32)
    assert one.fingerprint(Secret("x")) == two.fingerprint(Secret("x"))
    assert one.id != two.id


def test_keys_do_not_print_or_pickle():
    keys = Keys.new()
    shown = repr(keys) + str(keys) + f"{keys}"
    assert keys.text().split()[1][:16] not in shown
    with pytest.raises(TypeError):
        pickle.dumps(keys)
    with pytest.raises(TypeError):
        copy.deepcopy(keys)


def damaged():
    text = Keys.new().text()
    title, key = text.split()
    return (
        *("", "\n", title, title + "\n", key, key + "\n" + title, text.upper(), text + "\n"),
        *(text[:-2] + "\n", text.rstrip(), f"{title}\n{key[:-1]}g\n", f"{title}2\n{key}\n"),
        *(f"{title}\n{key}ff\n", f" {text}", text.replace("\n", "\r\n"), "\ufffd" * 150),
    )


@pytest.mark.parametrize("text", damaged(), ids=lambda _: "damaged")
def test_damaged_keys_are_refused_and_never_shown(text):
    with pytest.raises(IntegrityError, match="ledger") as caught:
        Keys.read(text, where="/x/ledger.db.key")
    assert caught.value.hint
    found = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = repr([frame.locals for frame in list(found.stack)[1:]])
    assert not [part for part in text.split() if len(part) > 30 and part in ours]
