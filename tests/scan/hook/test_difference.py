"""Two versions of a text are compared from both ends, in whole lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from secretkit.scan.hook.difference import changed

LINES = st.lists(st.sampled_from([b"a", b"b", b"", b"cc", b"a" * 5000]), max_size=8)
TEXT = st.builds(lambda lines, end: b"\n".join(lines) + end, LINES, st.sampled_from([b"", b"\n"]))


@given(TEXT, TEXT)
def test_outside_of_what_changed_two_texts_are_the_same(data, before):
    low, high = changed(data, before)
    assert 0 <= low <= high <= len(data)
    assert low == 0 or data[low - 1 : low] == b"\n"
    assert high == len(data) or data[high - 1 : high] == b"\n"
    assert data[:low] == before[:low]
    rest = len(data) - high
    assert rest == 0 or data[high:] == before[-rest:]
    assert low + rest <= len(before)


@given(LINES, LINES, st.binary(max_size=9))
def test_what_changed_in_the_middle_is_found(head, tail, change):
    before = b"\n".join([*head, *tail])
    data = b"\n".join([*head, b"new" + change, *tail])
    low, high = changed(data, before)
    assert b"new" in data[low:high]
