"""The XML of STS: names and texts, and nothing that expands."""

import pytest

from secretkit.providers.aws.markup import read_markup


def test_innermost_texts_are_given_by_their_path() -> None:
    body = b'<R xmlns="https://sts/"><A><B>one &amp; two</B><C/></A><D>\n x </D></R>'
    assert read_markup(body) == {"A/B": "one & two", "A/C": "", "D": "\n x "}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<R><A>x</R>",
        b"<R/><R/>",
        b"<R><A>1</A><A>2</A></R>",
        b"<R>" + b"<A>" * 20 + b"</A>" * 20 + b"</R>",
        b"<R>" + b"".join(b"<A%d/>" % n for n in range(300)) + b"</R>",
        b'<!DOCTYPE R [<!ENTITY a "x">]><R><A>&a;</A></R>',
        b'<!DOCTYPE R SYSTEM "file:///etc/passwd"><R/>',
        b"<?do something?><R/>",
        b"<R>\xff</R>",
    ],
    ids=[
        "empty",
        "JSON",
        "not closed",
        "two roots",
        "one path twice",
        "too deep",
        "too many",
        "an entity",
        "a document type",
        "an instruction",
        "not UTF-8",
    ],
)
def test_what_could_be_read_in_two_ways_is_unusable(body: bytes) -> None:
    assert read_markup(body) is None
