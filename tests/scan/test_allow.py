from __future__ import annotations

import pytest

from secretkit.scan.allow import allowed


@pytest.mark.parametrize(
    "mark", ["#", "//", "/*", "--", ";", "<!--", "%", " *", "REM ", "(*", "{#"]
)
def test_a_comment_with_a_reason_allows_its_line(mark):
    assert allowed(f"key = x {mark} secretkit: allow revoked\n".encode(), 6)


@pytest.mark.parametrize(
    "line",
    [
        "key = x # secretkit: allow",
        "key = x # secretkit: allow   ",
        "key = x /* secretkit: allow */",
        "key = x <!-- secretkit: allow -->",
        'key = "x secretkit: allow this"',
        "key = x # nosecretkit: allow this",
        "key = x",
    ],
)
def test_without_a_reason_or_outside_a_comment_nothing_is_allowed(line):
    assert not allowed(f"{line}\n".encode(), 6)


def test_only_its_own_line_is_allowed():
    data = b"# secretkit: allow above\nkey = x\n# secretkit: allow below\n"
    assert not allowed(data, data.index(b"x\n"))


def test_the_line_where_the_secret_ends_counts_too():
    data = b'key = """a\nb\nc"""  # secretkit: allow revoked\n'
    assert not allowed(data, 9)
    assert allowed(data, 9, end=data.index(b'"""  #'))
    assert not allowed(data, 9, end=12)


def test_a_line_is_read_four_kibibytes_far():
    near = b"x" * 4000 + b" # secretkit: allow revoked"
    far = b"x" * 5000 + b" # secretkit: allow revoked"
    assert allowed(near, 0)
    assert not allowed(far, 0)
