"""What may hold encoded text is told apart from ordinary code, and never the wrong way."""

from __future__ import annotations

import base64
import gzip
import hashlib
import textwrap
from pathlib import Path
from urllib.parse import quote

import pytest

from scan.repository import key
from secretkit.scan.decode import HINTS, nested
from secretkit.scan.decode.budget import Budget
from secretkit.scan.hook.doubt import packed
from secretkit.scan.hook.wrapped import encoded, joined

KEY = key()
NONE: frozenset[bytes] = frozenset()
ALL = frozenset(HINTS)


def may_hold(text: str | bytes, known=NONE, *, hints=ALL) -> bool:
    data = text.encode() if isinstance(text, str) else text
    lines = data.split(b"\n")
    fresh = [at for at, line in enumerate(lines) if line not in known]
    text = b"\n".join(lines[at] for at in fresh)
    return encoded(text, hints=hints) or joined(lines, fresh=fresh, hints=hints)


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


WRAPPED = {
    "base64": f"x: {b64(KEY)}\n",
    "base64 of a short value": f"  password: {b64('h-7Gq!zz01')}\n",
    "base64url": base64.urlsafe_b64encode(KEY.encode()).decode(),
    "base64 over lines": "\n".join(textwrap.wrap(b64(f"{KEY} {KEY}"), 70)),
    "base64 of gzip": base64.b64encode(gzip.compress(KEY.encode(), mtime=0)).decode(),
    "hex": KEY.encode().hex(),
    "hex in capitals": KEY.encode().hex().upper(),
    "percent": quote("key=" + KEY.replace("-", "/"), safe=""),
    "a sum of literals": f'k = "{KEY[:30]}" + "{KEY[30:]}"\n',
    "literals in PHP": f"$k = '{KEY[:30]}' . '{KEY[30:]}';\n",
    "literals over lines": f'k = (\n  "{KEY[:30]}"\n  "{KEY[30:]}"\n)\n',
    "literals with an operator over lines": f'k = "{KEY[:30]}" +\n  "{KEY[30:]}"\n',
    "literals in shell": f'k="{KEY[:30]}"\\\n"{KEY[30:]}"\n',
    "formatted literals": f'k = f"{KEY[:30]}" + b"{KEY[30:]}"\n',
    "a YAML block": f"key: |\n  {KEY[:40]}\n  {KEY[40:80]}\n  {KEY[80:]}\n",
    "a folded block in a list": f"- key: >-\n    {KEY[:40]}\n    {KEY[40:]}\n",
}


def test_every_decoder_of_runs_is_spoken_for():
    """A new one needs an example above, and a look at secretkit.scan.hook.wrapped."""
    assert set(HINTS) == {"base64", "kubernetes", "hex", "percent", "literals", "block"}


@pytest.mark.parametrize("name", WRAPPED)
def test_what_a_decoder_takes_apart_is_in_doubt(name):
    data = WRAPPED[name].encode()
    assert list(nested(data, path="a", budget=Budget(), skipped=[])), "the example is none"
    assert may_hold(data)


@pytest.mark.parametrize("name", WRAPPED)
def test_without_a_hint_nothing_is_in_doubt(name):
    assert not may_hold(WRAPPED[name], hints=frozenset())


@pytest.mark.parametrize("name", WRAPPED)
def test_it_is_not_where_every_line_is_known(name):
    data = WRAPPED[name].encode() + b"a new line\n"
    assert not may_hold(data, frozenset(data.split(b"\n")) - {b"a new line"})


@pytest.mark.parametrize("name", ["literals over lines", "a YAML block", "base64 over lines"])
def test_one_new_line_of_several_is_enough(name):
    lines = WRAPPED[name].encode().split(b"\n")
    for line in lines:
        if len(line) > 20:
            assert may_hold("\n".join(map(bytes.decode, lines)), frozenset(lines) - {line}), line


PLAIN = {
    "a digest": hashlib.sha256(b"x").hexdigest(),
    "a subresource digest": "sha512-" + base64.b64encode(hashlib.sha512(b"x").digest()).decode(),
    "a path": "https://example.org/hashicorp/terraform/internal/configs/configschema/coerce.go",
    "a name": "def test_a_long_name_that_says_what_it_does_and_a_bit_more_than_that(): pass",
    "a name in camel case": "class AbstractSingletonProxyFactoryBeanConfigurationAdapterTest {",
    "prose in literals": 'x = (\n  "one two three"\n  " four five"\n)\n',
    "a list": 'x = [\n  "one",\n  "two",\n]\nprint("a", "b" + c)\n',
    "formats": 'print("%02d %s %5.1f" % x)\n',
    "a block of prose": "run: |\n  make test\n  make lint\n",
    "arrows": "items.map((item) =>\n  something(item),\n)\n",
}


@pytest.mark.parametrize("name", PLAIN)
def test_ordinary_text_is_not_in_doubt(name):
    assert not may_hold(PLAIN[name])


def test_the_code_of_the_standard_library_is_hardly_ever_in_doubt():
    files = sorted(Path(base64.__file__).parent.glob("*.py"))
    doubted = [file.name for file in files if may_hold(file.read_bytes())]
    assert len(files) > 100
    assert len(doubted) * 3 < len(files), doubted


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (gzip.compress(b"x", mtime=0), b"a"),
        (b"PK\3\4", b"a"),
        ("x".encode("utf-16"), b"a"),
        ("x".encode("utf-16-le"), b"a"),
        (b"a\0b", b"a"),
        (b"x" * 257 + b"ustar", b"a"),
        (b"{}", b"a.ipynb"),
    ],
)
def test_packed_data_is_told_by_its_head(data, path):
    assert packed(data, path=path)


def test_plain_text_is_not_packed():
    assert not packed(b"import os\n", path=b"a.py")
