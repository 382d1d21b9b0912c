from __future__ import annotations

import itertools
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from secretkit.core.secret import Secret
from secretkit.redact import StreamMasker
from secretkit.redact.watched import forms_of

VALUE = "canary-" + "a+b/" * 5


def masked_whole(secrets, data: bytes) -> bytes:
    forms = [re.escape(form.encode()) for form in forms_of(secrets)()]
    return re.sub(b"|".join(forms) or b"(?!)", b"[redacted]", data)


def masked_in_pieces(secrets, pieces) -> bytes:
    masker = StreamMasker(secrets)
    return b"".join([*(masker.feed(piece) for piece in pieces), masker.flush()])


def test_a_value_cut_at_any_two_places_is_masked():
    data = b"x" + VALUE.encode() + b"y" + VALUE.encode()
    secrets = [Secret(VALUE)]
    for first in range(len(data)):
        for second in range(first, len(data), 5):
            pieces = data[:first], data[first:second], data[second:]
            assert masked_in_pieces(secrets, pieces) == b"x[redacted]y[redacted]"


letters = st.text("ab", min_size=8, max_size=14)


@settings(max_examples=400, deadline=None)
@given(st.data(), st.lists(letters, min_size=1, max_size=4))
def test_the_result_does_not_depend_on_the_cuts(data, values):
    secrets = [Secret(value) for value in values]
    parts = st.one_of(st.sampled_from(values), st.text("abc", max_size=9))
    whole = "".join(data.draw(st.lists(parts, max_size=8))).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    edges = [0, *cuts, len(whole)]
    pieces = [whole[a:b] for a, b in itertools.pairwise(edges)]
    assert masked_in_pieces(secrets, pieces) == masked_whole(secrets, whole)


def test_what_cannot_begin_a_secret_is_given_at_once():
    masker = StreamMasker([Secret(VALUE)])
    assert masker.feed(b"prompt> ") == b"prompt> "
    assert masker.feed(b"canar") == b""
    assert masker.feed(b"d bird") == b"canard bird"


def test_no_more_than_the_longest_spelling_is_held():
    secrets = [Secret("a" * 40)]
    masker = StreamMasker(secrets)
    longest = max(map(len, forms_of(secrets)()))
    given_back = sum(len(masker.feed(b"b" * 100 + b"a" * 39)) for _ in range(5))
    assert 5 * 139 - given_back < longest


def test_short_values_and_no_values_pass_everything():
    assert masked_in_pieces([Secret("1234567")], [b"1234567"]) == b"1234567"
    assert masked_in_pieces([], [b"a", b"\xff\x00"]) == b"a\xff\x00"


def test_no_attribute_holds_a_value():
    masker = StreamMasker([Secret(VALUE)])
    assert VALUE not in repr([getattr(masker, name) for name in masker.__slots__])
