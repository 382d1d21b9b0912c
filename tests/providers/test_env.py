"""The env provider: what is missing, empty, misspelt, or JSON."""

import os
from datetime import timedelta

import pytest

from secretkit.core.ref import SecretRef
from secretkit.errors import ConfigError, RefError, SecretError, SecretNotFoundError
from secretkit.providers.env import EnvProvider
from secretkit.testing.context import provider_context
from secretkit.testing.contract import assert_no_trace

SECOND = timedelta(seconds=1)
VALUE = "sk-ant-api03-" + "v" * 30


def fetch(text: str, **environ: str):
    provider = EnvProvider.open({}, provider_context(environ=environ))
    return provider.fetch(SecretRef.parse(text), timeout=SECOND)


def test_a_variable_is_read_from_the_live_mapping() -> None:
    environ = {"A_KEY": "one"}
    provider = EnvProvider.open({}, provider_context(environ=environ))
    environ["A_KEY"] = "two"
    assert provider.fetch(SecretRef("env", "A_KEY"), timeout=SECOND).secret.reveal() == "two"


def test_an_empty_variable_says_that_it_is_set_but_empty() -> None:
    with pytest.raises(SecretError, match="set, but empty") as caught:
        fetch("env:A_KEY", A_KEY="")
    assert "unset A_KEY" in caught.value.hint


def test_the_other_vendor_word_is_in_the_hint_and_no_value() -> None:
    with pytest.raises(SecretNotFoundError) as caught:
        fetch("env:CLAUDE_API_KEY", ANTHROPIC_API_KEY=VALUE)
    assert "ANTHROPIC_API_KEY" in caught.value.hint
    assert_no_trace(caught.value, VALUE)
    assert VALUE not in caught.value.hint


@pytest.mark.parametrize("slip", ["ANTROPIC_API_KEY", "anthropic_api_key", "ANTHROPIC_APIKEY"])
def test_a_near_miss_is_in_the_hint(slip: str) -> None:
    with pytest.raises(SecretNotFoundError) as caught:
        fetch(f"env:{slip}", ANTHROPIC_API_KEY=VALUE)
    assert "did you mean ANTHROPIC_API_KEY" in caught.value.hint


def test_only_names_that_look_like_a_secret_are_near_misses() -> None:
    with pytest.raises(SecretNotFoundError) as caught:
        fetch("env:EDITOR", EDITORS="vi", **{"EDITOR\x1b_KEY": "x"})
    assert "did you mean" not in caught.value.hint
    assert "export EDITOR=" in caught.value.hint


def test_a_field_is_read_from_json() -> None:
    text = '{"api_key": "inner", "n": 1, "o": {}, "e": ""}'
    assert fetch("env:DOC#api_key", DOC=text).secret.reveal() == "inner"
    with pytest.raises(SecretNotFoundError) as caught:
        fetch("env:DOC#apikey", DOC=text)
    assert "#api_key" in caught.value.hint
    for field in ("n", "o", "e"):
        with pytest.raises(SecretError):
            fetch(f"env:DOC#{field}", DOC=text)


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '"x"', "null", "3", VALUE, '{"a": "1", "a": "2"}', "[" * 20_000, '{"a": NaN'],
)
def test_a_field_of_what_is_no_json_object_is_refused_without_the_value(text: str) -> None:
    with pytest.raises(SecretError, match="not a JSON object") as caught:
        fetch("env:DOC#a", DOC=text)
    if text == VALUE:
        assert_no_trace(caught.value, VALUE)


def test_a_field_with_a_lone_surrogate_is_refused_without_the_value() -> None:
    with pytest.raises(SecretError, match="surrogate") as caught:
        fetch("env:DOC#a", DOC='{"a": "\\ud800' + VALUE + '"}')
    assert_no_trace(caught.value, VALUE)


def test_bytes_that_are_not_text_are_refused() -> None:
    with pytest.raises(SecretError, match="surrogate") as caught:
        fetch("env:A_KEY", A_KEY=os.fsdecode(b"\xff" + VALUE.encode()))
    assert_no_trace(caught.value, VALUE)


def test_versions_and_impossible_names_are_refused() -> None:
    with pytest.raises(RefError, match="no versions"):
        fetch("env:A_KEY@2", A_KEY="x")
    with pytest.raises(RefError):
        fetch("env:A=B", A="x")


def test_it_takes_no_options() -> None:
    with pytest.raises(ConfigError):
        EnvProvider.open({"prefix": "X_"}, provider_context())
