"""A rule matches for the short way where it does for the full scan, and re stays whole."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secretkit.scan import confirm
from secretkit.scan.hook import match
from secretkit.scan.rule import Rule


def rule(pattern: str, reach: int = 0) -> Rule:
    return Rule(
        id="r",
        issuer="i",
        description="d",
        pattern=pattern,
        anchor="",
        keywords=("k",),
        severity="low",
        confidence="low",
        judged="value",
        reach=reach,
    )


RULES = (rule("ab{1,3}c(?![a-z])"), rule("(?<!x)k[^z]{0,40}y", 30), rule("b(?P<secret>c{2,9})"))
FAR = b"." * 4090


@given(
    st.lists(st.sampled_from([b"abc", b"abb", b"k", b"y", b"x", b"\n", b"bcc", b"c", FAR])),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 20_000)), min_size=1, max_size=6),
)
def test_the_answer_is_that_of_the_full_scan(pieces, places):
    data = b"".join(pieces)
    nominated = [(one, min(end, len(data))) for one, end in places]
    full = confirm.Confirmer(RULES).confirm(data, nominated)
    assert match.matches(data, nominated=nominated, rules=RULES) == bool(full)


@pytest.mark.parametrize("start", [4070, 4095, 4096, 8191])
def test_a_match_is_found_over_the_edge_of_a_core(start):
    data = b"." * start + b"abbbc" + b"." * 5000
    assert match.matches(data, nominated=[(0, start + 5)], rules=RULES)
    assert not match.matches(data, nominated=[(2, start + 5)], rules=RULES)


def test_a_core_is_as_large_as_that_of_the_full_scan():
    assert match._CORE == confirm.CORE


_COMPILED = """
import sys
sys.path.insert(0, sys.argv[1])
from secretkit.scan.hook.match import compiler
found = compiler()(b"(?i)a(?P<secret>b+)")
assert found.search(b"xABB")["secret"] == b"BB"
assert "re" not in sys.modules and "enum" not in sys.modules, "the part that is slow to load"
import re
assert re.compile("a|b", re.IGNORECASE).fullmatch("B"), "re is whole"
assert re.error is re._compiler.error is sys.modules["re._constants"].error, "and the same"
assert re.sub("a", "b", "ca") == "cb" and re.escape(".") == "\\\\."
assert compiler() is re.compile
"""


def test_a_part_of_re_compiles_and_a_later_import_of_re_is_whole():
    place = confirm.__file__.removesuffix("/secretkit/scan/confirm.py")
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _bare(), place], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


def _bare() -> str:
    head, tail = _COMPILED.split("from secretkit", 1)
    bare = (
        "bare = sys.modules['secretkit'] = type(sys)('secretkit')\n"
        "bare.__path__ = [sys.argv[1] + '/secretkit']\n"
    )
    return f"{head}{bare}from secretkit{tail}"
