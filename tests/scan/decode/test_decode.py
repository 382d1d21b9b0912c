from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secretkit.scan.decode import Budget, nested

KEY = b"acme-" + b"9f31c07be2a84d56"
TEXT = b"# settings\nacme = '" + KEY + b"'\n"


def unpack(data, *, path="file", budget=None, depth=3):
    """Every piece found at any depth, as (path, data), and what was skipped."""
    skipped, found = [], []
    budget = budget or Budget()

    def look(data, path, depth):
        for inner in nested(data, path=path, budget=budget, skipped=skipped):
            found.append((path + inner.name, inner.data))
            if depth:
                look(inner.data, path + inner.name, depth - 1)

    look(data, path, depth)
    return found, skipped


def zipped(**members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(**members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/shadow"
        archive.addfile(link)
    return out.getvalue()


def test_plain_text_holds_nothing_else():
    assert unpack(b"nothing to see, 1 + 1 = 2\n") == ([], [])
    assert unpack(b"") == ([], [])


@pytest.mark.parametrize(
    ("data", "path", "where"),
    [
        (zipped(a=b"x", conf=TEXT), "app.jar", "app.jar!conf"),
        (tarred(conf=TEXT), "a.tar", "a.tar!conf"),
        (gzip.compress(TEXT), "x/conf.gz", "x/conf.gz!conf"),
        (bz2.compress(TEXT), "conf.bz2", "conf.bz2!conf"),
        (lzma.compress(TEXT), "conf.xz", "conf.xz!conf"),
        (gzip.compress(tarred(conf=TEXT)), "a.tgz", "a.tgz!a.tar!conf"),
        (zipped(inner=zipped(conf=TEXT)), "a.whl", "a.whl!inner!conf"),
        (gzip.compress(b"first") + gzip.compress(TEXT), "log.gz", "log.gz!log"),
    ],
    ids=range(8),  # the data holds the time of the run
)
def test_a_file_in_an_archive_is_given_with_its_path(data, path, where):
    found, skipped = unpack(data, path=path)
    assert (where, TEXT) in found
    assert skipped == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_text_in_sixteen_or_thirty_two_bits_is_given_as_utf_8(encoding):
    text = TEXT.decode() * 3
    found, _ = unpack(text.encode(encoding))
    assert found[0][0] == "file"
    assert KEY in found[0][1]


def test_a_notebook_gives_its_cells():
    cells = [
        {"cell_type": "code", "source": ["import os\n", f"key = '{KEY.decode()}'\n"]},
        {"cell_type": "code", "source": "print(key)", "outputs": [{"text": [KEY.decode()]}]},
        {"cell_type": "code", "source": "key", "outputs": [{"data": {"text/plain": "'shown'"}}]},
    ]
    found = dict(unpack(json.dumps({"cells": cells}).encode(), path="a.ipynb")[0])
    assert found["a.ipynb!cell-1"] == b"import os\nkey = '" + KEY + b"'\n"
    assert KEY in found["a.ipynb!cell-2-output"]
    assert b"shown" in found["a.ipynb!cell-3-output"]


@pytest.mark.parametrize("broken", ["[]", '{"cells": 3}', '{"cells": [3]}', "{", '{"cells": [{}]}'])
def test_what_is_no_notebook_gives_nothing(broken):
    found, skipped = unpack(broken.encode(), path="a.ipynb")
    assert [data for _, data in found if data] == []
    assert skipped == []


@pytest.mark.parametrize(
    "encoded",
    [
        base64.b64encode(TEXT),
        base64.urlsafe_b64encode(TEXT).rstrip(b"="),
        base64.encodebytes(TEXT * 3),
        b"  " + base64.b64encode(TEXT * 3)[:76] + b"\n  " + base64.b64encode(TEXT * 3)[76:],
        TEXT.hex().encode(),
        TEXT.hex().upper().encode(),
        quote(TEXT.decode(), safe="").encode(),
        base64.b64encode(gzip.compress(TEXT, mtime=0)),
        base64.b64encode(base64.b64encode(TEXT)),
    ],
)
def test_an_encoded_run_is_given_decoded(encoded):
    found, _ = unpack(b"data = '" + encoded + b"'\n")
    assert any(KEY in data for _, data in found)


def test_the_place_of_a_run_is_where_it_stands():
    encoded = base64.b64encode(TEXT)
    data = b"one\n  data: " + encoded + b"\n"
    (inner,) = list(nested(data, path="f", budget=Budget(), skipped=[]))
    assert inner.span is not None
    assert data[slice(*inner.span)] == encoded


def test_short_values_of_a_kubernetes_secret_are_given_with_their_key():
    value = base64.b64encode(b"s3cr-Xy71-pass")
    found, _ = unpack(b"kind: Secret\ndata:\n  password: " + value + b"\n")
    assert b"password: s3cr-Xy71-pass\n" in [data for _, data in found]


@pytest.mark.parametrize(
    "text",
    [
        b'key = "acme-" + "9f31c07be2a84d56"',
        b"key = 'acme-9f31' . 'c07be2a84d56';",
        b'key = "acme-9f31" \\\n      "c07be2a84d56"',
        b'String key = "acme-9f31"\n    + "c07b"\n    + "e2a84d56";',
        b"key = ('acme-9f31'\n       'c07be2a84d56')",
        b'Const key = "acme-9f31" & "c07be2a84d56"',
        b'local key = "acme-9f31" .. "c07be2a84d56"',
        b"key: >-\n  acme-9f31c0\n  7be2a84d56\n",
        b"key: |\r\n    acme-9f31c0\r\n    7be2a84d56\r\n",
    ],
)
def test_a_value_in_pieces_is_given_whole(text):
    found, _ = unpack(text)
    assert any(KEY in data and b"key" in data for _, data in found)


def test_two_values_of_a_list_are_not_one():
    assert unpack(b"keys = ['acme-9f31', 'c07be2a84d56']\n") == ([], [])


def test_an_encrypted_member_is_reported():
    data = bytearray(zipped(conf=TEXT))
    data[6] |= 1  # the flag, in the local header and in the directory
    data[data.index(b"PK\1\2") + 8] |= 1
    found, skipped = unpack(bytes(data), path="a.zip")
    assert found == []
    assert [(one.path, one.reason) for one in skipped] == [("a.zip!conf", "is encrypted")]


@pytest.mark.parametrize(
    "data",
    [zipped(conf=TEXT * 50), tarred(conf=TEXT * 50), gzip.compress(TEXT * 50), lzma.compress(TEXT)],
    ids=["zip", "tar", "gzip", "xz"],
)
def test_a_damaged_archive_is_reported_or_read_and_never_raises(data):
    for at in range(0, len(data), max(1, len(data) // 60)):
        for broken in (data[:at], data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]):
            unpack(broken, path="a")


def test_a_truncated_stream_is_given_as_far_as_it_goes_and_reported():
    found, skipped = unpack(gzip.compress(TEXT + bytes(range(256)) * 400)[:-300], path="a.gz")
    assert found[0][1].startswith(TEXT)
    assert "damaged" in skipped[0].reason


def test_a_bomb_goes_no_further_than_the_budget():
    layer = bytes(6 << 20)
    bomb = gzip.compress(layer)
    data = zipped(**{f"m{number}": bomb for number in range(16)})
    _, skipped = unpack(data, path="bomb.zip", budget=Budget(size=8 << 20))
    assert any("more than was allowed" in one.reason for one in skipped)


def test_an_archive_of_very_many_members_ends():
    data = zipped(**{f"m{number}": b"" for number in range(300)})
    found, skipped = unpack(data, path="a.zip", budget=Budget(pieces=100))
    assert len(found) == 100
    assert ["too many" in one.reason for one in skipped] == [True]


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=600),
    st.sampled_from([b"", b"PK\3\4", b"\x1f\x8b\x08", b"BZh9", b"\xff\xfe"]),
)
def test_any_bytes_whatever_raise_nothing(data, magic):
    unpack(magic + data, path="a.ipynb")
    unpack(magic + data, path="a.bin")


@pytest.mark.parametrize(
    "unit",
    [
        b"A",
        b"%41",
        b"%",
        b"ab",
        b"'a' + ",
        b'"ab"\n',
        b"k: |\n ",
        b" ",
        b": aaaaaaaaaaaa",
        b"\\n",
        b"a/",
    ],
)
def test_a_near_miss_repeated_takes_linear_work(unit):
    unpack(unit * ((1 << 19) // len(unit)), depth=0)
