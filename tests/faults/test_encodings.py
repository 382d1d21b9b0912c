"""Every way to write a secret down, and every edge of what is read at once, by every source."""

from __future__ import annotations

import pytest

from faults.command import scan
from scan.repository import Repository, key

KEY = key("encodings")
LINE = f'token = "{KEY}"'
PLAIN = LINE.encode()
FORMS = {
    "utf-16le with a mark": b"\xff\xfe" + f"a = 1\n{LINE}\n".encode("utf-16-le"),
    "utf-16be with a mark": b"\xfe\xff" + f"a = 1\n{LINE}\n".encode("utf-16-be"),
    "utf-16le": f"a = 1\n{LINE}\n".encode("utf-16-le"),
    "utf-16be": f"a = 1\n{LINE}\n".encode("utf-16-be"),
    "utf-8 with a mark": b"\xef\xbb\xbf" + PLAIN,
    "behind nul": b"\x7fELF\0\0\0\1" * 200 + b"\n" + PLAIN,
    "between nul": b"\0" + PLAIN + b"\0",
    "invalid utf-8": b"\xff\xc0\xaf\xed\xa0\x80" + PLAIN + b"\xfe",
    "crlf": b"a\r\n" + PLAIN + b"\r\nb\r\n",
    "cr": b"a\r" + PLAIN + b"\rb\r",
    "no newline": b"a\n" + PLAIN,
}
EDGES = [4096, 1 << 16, 1 << 22, (1 << 22) + (1 << 15), 1 << 23]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


def _edges():
    """Give a text for each edge and each side of the key that may fall on it."""
    for edge in EDGES:
        for inside in (0, 1, 20, len(KEY) - 1, len(KEY)):
            for filler in (b"\n", b"y") if edge <= 1 << 16 else (b"\n",):
                before = filler * (edge - inside - 1) + b" "
                yield f"{edge}-{inside}-{filler.hex()}", before + KEY.encode() + b" " + filler * 99


def _texts():
    yield from FORMS.items()
    yield from _edges()


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    made = Repository(tmp_path_factory.mktemp("work") / "repository")
    for name, content in _texts():
        made.put(name.replace(" ", "_"), content)
    made.git("add", "-A")
    return made


@pytest.mark.parametrize(
    "words", [(), ("--staged",), ("--history",)], ids=["tree", "staged", "all"]
)
def test_a_secret_is_found_in_any_form_at_any_edge(home, repository, words):
    if words == ("--history",):
        repository.git("commit", "-q", "--allow-empty", "-m", "x")
    done = scan(repository.folder, *words, home=home)
    wanted = {name.replace(" ", "_") for name, _ in _texts()}
    assert wanted - {one["path"] for one in done.findings} == set()
    assert done.code == 1


def test_a_secret_on_standard_input_is_found_in_any_form_at_any_edge(home, tmp_path):
    few = [text for name, text in _edges() if "-20-" in name]
    for content in (*FORMS.values(), *few):
        done = scan(tmp_path, "--stdin", home=home, given=content)
        assert done.code == 1, content[:40].replace(PLAIN, b"")
        assert len(done.findings) == 1
