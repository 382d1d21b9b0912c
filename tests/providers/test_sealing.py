from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from secretkit.core.secret import Secret
from secretkit.errors import IntegrityError
from secretkit.providers.sealing import (
    NONCE_BYTES,
    Place,
    RowSealer,
    SealingKey,
    frame,
    unwrap,
    wrap,
)
from secretkit.testing.contract import assert_no_trace

VECTORS = json.loads((Path(__file__).parent / "vectors" / "local-store-1.json").read_text())
NONCE = bytes(NONCE_BYTES)
PLACE = Place(b"app/key", 3, 1_700_000_000_000_000)


def hexed(fields, name):
    return bytes.fromhex(fields[name])


def sealer(key=b"\x01" * 32, *, store_id=b"s" * 16, key_id=b"k" * 16):
    return RowSealer(SealingKey(key), store_id=store_id, key_id=key_id)


def place_of(fields):
    return Place(hexed(fields, "name"), fields["version"], fields["created"])


@pytest.mark.parametrize("vector", VECTORS["wrapped"], ids=lambda v: v["comment"])
def test_a_wrapped_key_is_the_published_one(vector):
    kek, dek = SealingKey(hexed(vector, "kek")), SealingKey(hexed(vector, "dek"))
    wrapped = wrap(kek, dek, context=hexed(vector, "context"), nonce=hexed(vector, "nonce"))
    assert wrapped == hexed(vector, "wrapped")
    assert unwrap(kek, wrapped, context=hexed(vector, "context")).reveal() == dek.reveal()


@pytest.mark.parametrize("vector", VECTORS["malformed_wrapped"], ids=lambda v: v["comment"])
def test_a_malformed_wrapped_key_does_not_open(vector):
    with pytest.raises(IntegrityError):
        unwrap(
            SealingKey(hexed(vector, "kek")),
            hexed(vector, "wrapped"),
            context=hexed(vector, "context"),
        )


@pytest.mark.parametrize("vector", VECTORS["rows"], ids=lambda v: v["comment"])
def test_a_sealed_row_is_the_published_one(vector):
    one = sealer(hexed(vector, "dek"), store_id=hexed(vector, "store"), key_id=hexed(vector, "key"))
    nonce, value = hexed(vector, "nonce"), Secret(vector["value"])
    assert one.seal(value, place_of(vector), nonce=nonce) == hexed(vector, "sealed")
    assert one.open(hexed(vector, "sealed"), place_of(vector), nonce=nonce) == value


@pytest.mark.parametrize("vector", VECTORS["malformed_rows"], ids=lambda v: v["comment"])
def test_a_malformed_row_does_not_open(vector):
    one = sealer(hexed(vector, "dek"), store_id=hexed(vector, "store"), key_id=hexed(vector, "key"))
    with pytest.raises(IntegrityError):
        one.open(hexed(vector, "sealed"), place_of(vector), nonce=hexed(vector, "nonce"))


@pytest.mark.parametrize("vector", VECTORS["sets"], ids=lambda v: v["comment"])
def test_the_digest_over_the_rows_is_the_published_one(vector):
    one = sealer(hexed(vector, "dek"), store_id=hexed(vector, "store"), key_id=hexed(vector, "key"))
    digest = one.vouch(
        header=hexed(vector, "header"),
        generation=vector["generation"],
        floor=vector["floor"],
        rows=[(place_of(row), hexed(row, "nonce")) for row in vector["rows"]],
    )
    assert digest == hexed(vector, "digest")


@pytest.mark.parametrize(
    "other",
    [
        sealer(b"\x02" * 32),
        sealer(store_id=b"t" * 16),
        sealer(key_id=b"l" * 16),
    ],
    ids=["another key", "another store", "another key id"],
)
def test_a_row_of_one_store_does_not_open_in_another(other):
    sealed = sealer().seal(Secret("value"), PLACE, nonce=NONCE)
    with pytest.raises(IntegrityError):
        other.open(sealed, PLACE, nonce=NONCE)


@pytest.mark.parametrize(
    "moved",
    [PLACE._replace(name=b"app/kez"), PLACE._replace(version=4), PLACE._replace(created=1)],
    ids=["name", "version", "time"],
)
def test_a_row_does_not_open_in_another_place(moved):
    sealed = sealer().seal(Secret("value"), PLACE, nonce=NONCE)
    with pytest.raises(IntegrityError):
        sealer().open(sealed, moved, nonce=NONCE)


def test_every_flipped_bit_of_a_sealed_row_is_noticed():
    sealed = sealer().seal(Secret("value"), PLACE, nonce=NONCE)
    for position in range(len(sealed) * 8):
        broken = bytearray(sealed)
        broken[position // 8] ^= 1 << position % 8
        with pytest.raises(IntegrityError):
            sealer().open(bytes(broken), PLACE, nonce=NONCE)


def test_every_shortened_row_is_noticed():
    sealed = sealer().seal(Secret("value"), PLACE, nonce=NONCE)
    for length in range(len(sealed)):
        with pytest.raises(IntegrityError):
            sealer().open(sealed[:length], PLACE, nonce=NONCE)


def test_a_nonce_of_another_length_is_refused():
    sealed = sealer().seal(Secret("value"), PLACE, nonce=NONCE)
    for nonce in (b"", NONCE[:7], NONCE + b"\0"):
        with pytest.raises(IntegrityError):
            sealer().open(sealed, PLACE, nonce=nonce)


def test_clear_bytes_that_are_not_text_leave_no_trace_in_the_error():
    canary = "canary-" + "b4" * 12
    one = sealer()
    associated = one._associated(PLACE)
    sealed = one._aead.encrypt(NONCE, canary.encode() + b"\xff", associated)
    with pytest.raises(IntegrityError) as caught:
        one.open(sealed, PLACE, nonce=NONCE)
    assert_no_trace(caught.value, canary)


def test_the_digest_changes_with_each_thing_it_covers():
    rows = [(PLACE, NONCE), (PLACE._replace(version=4), b"n" * 12)]
    base = {"header": b"h", "generation": 7, "floor": 2, "rows": rows}
    others = [
        base | {"header": b"i"},
        base | {"generation": 6},
        base | {"floor": 3},
        base | {"rows": rows[:1]},
        base | {"rows": []},
        base | {"rows": [(PLACE, b"o" * 12), rows[1]]},
        base | {"rows": [(PLACE._replace(created=5), NONCE), rows[1]]},
        base | {"rows": [(PLACE._replace(name=b"other"), NONCE), rows[1]]},
    ]
    digests = [sealer().vouch(**one) for one in [base, *others]]
    assert len(set(digests)) == len(digests)
    assert sealer().vouch(**base) == digests[0]


def test_framing_keeps_parts_apart():
    assert frame(b"ab", b"c") != frame(b"a", b"bc") != frame(b"abc")


def test_derived_keys_differ_by_label_and_from_the_key():
    key = SealingKey(b"\x05" * 32)
    derived = {key.derive(label).reveal() for label in (b"one", b"two")}
    assert len(derived | {key.reveal()}) == 3


def test_a_key_is_not_printed_or_pickled():
    key = SealingKey(b"K" * 32)
    assert "KKK" not in f"{key} {key!r} {vars(RowSealer(key, store_id=b'', key_id=b''))}"
    with pytest.raises(TypeError):
        pickle.dumps(key)
    assert "KKK" not in "".join(repr(getattr(key, name)) for name in dir(key) if name != "reveal")


def test_no_slot_of_a_key_leads_to_its_bytes():
    key = SealingKey(bytes(range(32)))
    names = {*dir(key), *SealingKey.__slots__}
    assert not hasattr(key, "_sealed")
    assert not [name for name in names if getattr(key, name, None) == bytes(range(32))]
    assert key.reveal() == bytes(range(32))


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_has_32_bytes(length):
    with pytest.raises(IntegrityError) as caught:
        SealingKey(b"Q" * length)
    assert_no_trace(caught.value, "QQQQ")
