from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import traceback

import pytest

from secretkit.core.ref import SecretRef
from secretkit.errors import RefError


def canary() -> str:
    """Give the clear value; called inside expressions, so that no frame of a test holds it."""
    return "sk-ant-api03-" + "canary" * 5


READ = {
    "env:ANTHROPIC_API_KEY": SecretRef("env", "ANTHROPIC_API_KEY"),
    "vault:secret/app#key": SecretRef("vault", "secret/app", "key"),
    "local:claude@7": SecretRef("local", "claude", version="7"),
    "aws-1:a/b#c/d@AWSCURRENT": SecretRef("aws-1", "a/b", "c/d", "AWSCURRENT"),
    "file:/run/secrets/my key": SecretRef("file", "/run/secrets/my key"),
    "file:C:\\keys": SecretRef("file", "C:\\keys"),
    "file:///etc/x": SecretRef("file", "///etc/x"),
    "env:a%40b%23c%25d": SecretRef("env", "a@b#c%d"),
    "env:a%2523": SecretRef("env", "a%23"),
    "env:a#%25@%40": SecretRef("env", "a", "%", "@"),
    "env:ключ": SecretRef("env", "ключ"),
    "a:b": SecretRef("a", "b"),
    "p" + "-" * 62 + ":x": SecretRef("p" + "-" * 62, "x"),
}


@pytest.mark.parametrize(("text", "ref"), READ.items(), ids=READ)
def test_a_reference_is_read_and_written_in_its_one_spelling(text, ref):
    assert SecretRef.parse(text) == ref
    assert str(ref) == text
    assert f"{ref}" == text


UNREADABLE = [
    "",
    ":",
    "env",
    "env:",
    ":path",
    "Env:path",
    "1env:path",
    "-env:path",
    "e_nv:path",
    "énv:path",
    "env :path",
    " env:path",
    "env:path ",
    "env: path",
    "env:pa\0th",
    "env:pa\nth",
    "env:path\n",
    "env:pa\u200bth",
    "env:pa\u202eth",
    "env:pa\ud800th",
    "env:pa\x1b[2Jth",
    "env:path#",
    "env:path@",
    "env:path#@1",
    "env:path@1#field",
    "env:path#a#b",
    "env:path@1@2",
    "env:path# a",
    "env:path@1 ",
    "env:pa%th",
    "env:pa%2",
    "env:path%",
    "env:pa%41th",
    "env:path#%zz",
    "env:path@%00",
    "env:#field",
    "e" * 64 + ":path",
    "env:" + "x" * 2045,
]


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_is_not_a_reference_is_refused_with_a_hint(text):
    with pytest.raises(RefError) as caught:
        SecretRef.parse(text)
    assert "provider:path" in caught.value.hint
    assert not caught.value.retryable


@pytest.mark.parametrize("thing", [None, 1, b"env:path", ["env:path"], SecretRef("env", "path")])
def test_what_is_not_text_is_refused(thing):
    with pytest.raises(RefError):
        SecretRef.parse(thing)


PASTED = {
    "as the whole": lambda: SecretRef.parse(canary()),
    "with a line break": lambda: SecretRef.parse("env:" + canary() + "\n"),
    "with a NUL": lambda: SecretRef.parse("env:" + canary() + "\0"),
    "with a bad escape": lambda: SecretRef.parse("env:" + canary() + "%zz"),
    "as the field": lambda: SecretRef.parse("env:a#" + canary() + " "),
    "as the version": lambda: SecretRef.parse("env:a@" + canary() + "\t"),
    "as the provider": lambda: SecretRef.parse(canary() + ":a "),
    "too long": lambda: SecretRef.parse("env:" + canary() * 99),
    "as bytes": lambda: SecretRef.parse(canary().encode()),
    "as a part": lambda: SecretRef("env", canary() + "\n"),
    "as a field part": lambda: SecretRef("env", "a", canary() + "\n"),
    "as a version part": lambda: SecretRef("env", "a", version=canary() + "\n"),
    "as a provider part": lambda: SecretRef(canary().upper(), "a"),
    "as bytes in a part": lambda: SecretRef("env", canary().encode()),
    "as a long part": lambda: SecretRef("env", canary() * 99),
    "by replace": lambda: dataclasses.replace(SecretRef("env", "a"), path=canary() + "\n"),
}


@pytest.mark.parametrize("use", PASTED.values(), ids=PASTED)
def test_a_secret_pasted_as_a_reference_is_in_no_message_and_no_frame(use):
    with pytest.raises(RefError) as caught:
        use()
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    own = [frame for frame in shown.stack if not frame.filename.endswith("dataclasses.py")]
    text = "".join(f"{frame.line} {frame.locals}" for frame in own) + "".join(
        shown.format_exception_only()
    )
    assert canary().lower() not in text.lower()
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_a_part_that_could_not_be_read_again_is_refused():
    longest = SecretRef("env", "%" * 681 + "x")
    assert len(str(longest)) == 2048
    assert SecretRef.parse(str(longest)) == longest
    with pytest.raises(RefError, match="2048"):
        SecretRef("env", "%" * 682)


@pytest.mark.parametrize(
    "parts", [("env", ""), ("env", "a", ""), ("env", "a", None, ""), ("", "a")]
)
def test_an_empty_part_is_refused(parts):
    with pytest.raises(RefError):
        SecretRef(*parts)


@pytest.mark.parametrize("parts", [("env", None), (None, "a"), ("env", 1), ("env", "a", 1)])
def test_a_part_that_is_not_text_is_refused(parts):
    with pytest.raises(RefError):
        SecretRef(*parts)


def test_references_sort_with_and_without_a_field_or_version():
    wanted = ["a:a", "a:a@1", "a:a#b", "a:a#b@1", "a:b", "b:a"]
    refs = [SecretRef.parse(text) for text in wanted]
    mixed = refs[3:] + refs[:3]
    assert [str(ref) for ref in sorted(mixed)] == wanted
    assert refs[0] < refs[1] <= refs[1] < refs[2]
    assert refs[2] > refs[0] >= refs[0]
    with pytest.raises(TypeError):
        refs[0] < "a:a"  # noqa: B015 - the operator under test


def test_references_are_values():
    one, other = SecretRef("env", "a"), SecretRef.parse("env:a")
    assert one == other
    assert hash(one) == hash(other)
    assert one != SecretRef("env", "a", version="1")
    assert {one: 1}[other] == 1
    assert one != "env:a"
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.path = "b"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_references_survive_pickle_and_copies(protocol):
    ref = SecretRef("vault", "a#b", "c@d", "1%")
    assert pickle.loads(pickle.dumps(ref, protocol)) == ref  # noqa: S301 - our own bytes
    assert copy.copy(ref) == copy.deepcopy(ref) == ref
    assert dataclasses.replace(ref, version=None) == SecretRef("vault", "a#b", "c@d")
    assert json.loads(json.dumps(dataclasses.asdict(ref)))["field"] == "c@d"
