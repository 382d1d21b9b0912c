from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from secretkit.core.ref import SecretRef
from secretkit.errors import RefError

NOT_A_REFERENCE = "this is not a reference (its text is not shown: it may be a secret)"
MESSAGES = {
    NOT_A_REFERENCE,
    "'%' in a reference starts an escape, and only %25, %23 and %40 exist",
    "a provider's name is lower-case letters, digits and '-', 63 at the most",
    "a reference is 2048 characters at the most",
} | {
    f"the {name} of a reference is empty, starts or ends with a space, or holds characters that "
    "do not print"
    for name in ("path", "field", "version")
}

providers = st.from_regex(r"[a-z][a-z0-9-]{0,62}", fullmatch=True)
letters = st.one_of(st.sampled_from("%#@:/ 250a\\"), st.characters(exclude_categories=["Cs"]))
parts = st.text(letters, min_size=1, max_size=60).filter(
    lambda part: part.isprintable() and part == part.strip()
)
near_misses = st.text(st.sampled_from("ab:%#@/ 2345\n\0\u200b"), max_size=24)


def made_or_refused(make: Callable[..., SecretRef], *given_parts: str | None) -> SecretRef | None:
    """Give the reference, or None when it was refused with a message that never varies."""
    try:
        return make(*given_parts)
    except RefError as refusal:
        text, hint = str(refusal), refusal.hint
    assert text in MESSAGES  # constant: nothing of what was given can be in it
    assert hint == RefError.default_hint
    return None


@given(providers, parts, st.none() | parts, st.none() | parts)
def test_what_can_be_made_is_written_and_read_again(provider, path, field, version):
    ref = SecretRef(provider, path, field, version)
    assert SecretRef.parse(str(ref)) == ref


@given(st.text() | near_misses | near_misses.map("env:{}".format))
@example("env:%2523")
@example("env:%25%32%33")
def test_any_text_is_one_reference_in_its_one_spelling_or_is_refused_without_being_shown(text):
    ref = made_or_refused(SecretRef.parse, text)
    assert ref is None or str(ref) == text


@given(st.text(max_size=4) | near_misses, near_misses, st.none() | near_misses, near_misses)
def test_any_parts_round_trip_or_are_refused_with_a_constant_message(
    provider, path, field, version
):
    ref = made_or_refused(SecretRef, provider, path, field, version)
    assert ref is None or SecretRef.parse(str(ref)) == ref


@given(st.lists(st.tuples(providers, parts, st.none() | parts, st.none() | parts), max_size=8))
def test_references_have_one_order(many):
    refs = [SecretRef(*one) for one in many]
    ordered = sorted(refs)
    refs.reverse()
    assert sorted(refs) == ordered
    assert all(a <= b for a, b in pairwise(ordered))
