"""KV of a real OpenBao: documents, fields, versions, compare-and-swap, listing, policies."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from secretkit.core.ref import SecretRef
from secretkit.core.secret import Secret
from secretkit.errors import (
    AccessDeniedError,
    ProviderError,
    RefError,
    SecretError,
    SecretNotFoundError,
)
from secretkit.ports import Listable, Versioned, Writable
from vaulted import bao, fresh, opened

__all__ = ["bao"]

WAIT = timedelta(seconds=10)


@pytest.fixture
def path():
    return fresh("doc")


@pytest.fixture(params=["kv", "old"])
def mount(request):
    return request.param


def ref(text):
    return SecretRef.parse(f"vault:{text}")


def document(provider, text):
    return json.loads(provider.fetch(ref(text), timeout=WAIT).secret.reveal())


def test_a_document_without_a_field_is_its_json(bao, mount, path):
    provider = opened(bao)
    provider.write(ref(f"{mount}/{path}"), Secret('{"a": "1", "b": {"c": [2]}}'))
    assert document(provider, f"{mount}/{path}") == {"a": "1", "b": {"c": [2]}}
    assert provider.fetch(ref(f"{mount}/{path}#a"), timeout=WAIT).secret == Secret("1")
    with pytest.raises(SecretError, match="not text"):
        provider.fetch(ref(f"{mount}/{path}#b"), timeout=WAIT)


def test_writing_a_field_leaves_the_others(bao, mount, path):
    provider = opened(bao)
    provider.write(ref(f"{mount}/{path}"), Secret('{"a": "1", "b": "2"}'))
    provider.write(ref(f"{mount}/{path}#a"), Secret("new"))
    assert document(provider, f"{mount}/{path}") == {"a": "new", "b": "2"}


def test_deleting_a_field_leaves_the_others_and_the_last_takes_the_document(bao, mount, path):
    provider = opened(bao)
    provider.write(ref(f"{mount}/{path}"), Secret('{"a": "1", "b": "2"}'))
    provider.delete(ref(f"{mount}/{path}#a"))
    assert document(provider, f"{mount}/{path}") == {"b": "2"}
    with pytest.raises(SecretNotFoundError):
        provider.delete(ref(f"{mount}/{path}#a"))
    provider.delete(ref(f"{mount}/{path}#b"))
    with pytest.raises(SecretNotFoundError):
        document(provider, f"{mount}/{path}")


def test_a_document_is_deleted_with_all_its_versions(bao, path):
    provider = opened(bao)
    for value in ("1", "2"):
        provider.write(ref(f"kv/{path}#a"), Secret(value))
    provider.delete(ref(f"kv/{path}"))
    for text in (f"kv/{path}#a", f"kv/{path}#a@1"):
        with pytest.raises(SecretNotFoundError):
            provider.fetch(ref(text), timeout=WAIT)


@pytest.mark.parametrize("value", ["text", "[1]", '"a"', "{"])
def test_what_is_no_document_is_not_written_as_one(bao, mount, path, value):
    with pytest.raises(SecretError, match="no JSON object") as caught:
        opened(bao).write(ref(f"{mount}/{path}"), Secret(value))
    assert "#FIELD" in caught.value.hint


def test_versions_are_read_by_their_number(bao, path):
    provider = opened(bao)
    for value in ("one", "two", "three"):
        provider.write(ref(f"kv/{path}#a"), Secret(value))
    assert provider.fetch(ref(f"kv/{path}#a@2"), timeout=WAIT).secret == Secret("two")
    assert provider.fetch(ref(f"kv/{path}#a"), timeout=WAIT).version == "3"
    assert provider.version(ref(f"kv/{path}"), timeout=WAIT) == "3"
    with pytest.raises(SecretNotFoundError):
        provider.fetch(ref(f"kv/{path}#a@9"), timeout=WAIT)


def test_a_deleted_and_a_destroyed_version_say_so(bao, path):
    provider = opened(bao)
    for value in ("one", "two"):
        provider.write(ref(f"kv/{path}#a"), Secret(value))
    bao.write(f"kv/delete/{path}", versions=[2])
    bao.write(f"kv/destroy/{path}", versions=[1])
    for text in (f"kv/{path}#a", f"kv/{path}#a@1"):
        with pytest.raises(SecretNotFoundError, match="deleted or destroyed") as caught:
            provider.fetch(ref(text), timeout=WAIT)
        assert "undelete" in caught.value.hint


def test_a_write_compares_with_the_version_that_is_there(bao, path):
    provider = opened(bao)
    first = provider.write(ref(f"kv/{path}"), Secret('{"a": "1"}'), expected_version="0")
    bao.write(f"kv/data/{path}", data={"a": "of somebody else"})
    for text in (f"kv/{path}", f"kv/{path}#a"):
        value = Secret('{"a": "2"}')
        with pytest.raises(ProviderError, match="another version"):
            provider.write(ref(text), value, expected_version=first.version)
    assert document(provider, f"kv/{path}") == {"a": "of somebody else"}


def test_a_mount_that_requires_compare_and_swap_takes_a_field(bao, path):
    bao.write("kv/config", cas_required=True)
    try:
        provider = opened(bao)
        provider.write(ref(f"kv/{path}#a"), Secret("1"))
        provider.write(ref(f"kv/{path}#a"), Secret("2"))
        assert document(provider, f"kv/{path}") == {"a": "2"}
        with pytest.raises(ProviderError, match="which version") as caught:
            provider.write(ref(f"kv/{path}"), Secret("{}"))
        assert "--expect-version" in caught.value.hint
        provider.write(ref(f"kv/{path}"), Secret('{"a": "3"}'), expected_version="2")
    finally:
        bao.write("kv/config", cas_required=False)


def test_names_are_those_of_the_mount_with_folders_and_without_what_was_deleted(bao, path):
    provider = opened(bao, mount="kv")
    for name in ("b", "a/deep/one", "gone"):
        provider.write(ref(f"kv/{path}/{name}#x"), Secret("value"))
    bao.write(f"kv/delete/{path}/gone", versions=[1])
    ours = [one for one in provider.names() if one.name.startswith(f"kv/{path}/")]
    assert [one.name for one in ours] == [f"kv/{path}/a/deep/one", f"kv/{path}/b"]
    assert all(one.version == "1" and one.created_at for one in ours)


def test_without_a_mount_every_kv_mount_is_listed(bao, path):
    opened(bao).write(ref(f"old/{path}#x"), Secret("value"))
    opened(bao).write(ref(f"kv/{path}#x"), Secret("value"))
    names = {one.name for one in opened(bao).names()}
    assert {f"old/{path}", f"kv/{path}"} <= names


def test_version_one_has_no_versions_and_its_provider_says_so(bao, path):
    stated = opened(bao, kv_version="1")
    assert isinstance(stated, Writable)
    assert not isinstance(stated, Listable | Versioned)
    stated.write(ref(f"old/{path}#a"), Secret("1"))
    for text in (f"old/{path}#a@1", f"old/{path}@2"):
        with pytest.raises(RefError, match="no versions"):
            stated.fetch(ref(text), timeout=WAIT)
    with pytest.raises(RefError, match="no versions"):
        opened(bao).version(ref(f"old/{path}"), timeout=WAIT)


@pytest.mark.parametrize("text", ["kv/a@1", "kv/a#b@1"])
def test_a_version_is_neither_written_nor_deleted(bao, text):
    with pytest.raises(RefError):
        opened(bao).write(ref(text), Secret("{}"))
    with pytest.raises(RefError):
        opened(bao).delete(ref(text))


# -- mounts and policies ---------------------------------------------------------------------------


def test_a_mount_with_a_slash_in_it_is_found_or_stated(bao, path):
    place = f"team/{fresh('kv')}"
    bao.write(f"sys/mounts/{place}", type="kv", options={"version": "2"})
    bao.write(f"{place}/data/{path}", data={"a": "1"})
    for options in ({}, {"kv_version": "2", "mount": place}):
        provider = opened(bao, **options)
        assert document(provider, f"{place}/{path}") == {"a": "1"}
    with pytest.raises(RefError, match="does not start with the mount"):
        provider.fetch(ref(f"other/{path}#a"), timeout=WAIT)


def test_a_stated_version_asks_for_no_mount(bao, path):
    bao.policy("just-this", f'path "kv/data/{path}" {{ capabilities = ["read"] }}')
    bao.write(f"kv/data/{path}", data={"a": "1"})
    token = bao.token(policies=["just-this"], no_default_policy=True)
    provider = opened(bao, token, kv_version="2")
    assert document(provider, f"kv/{path}") == {"a": "1"}


def test_a_policy_that_reads_one_path_is_enough_and_no_other_is_read(bao, path):
    bao.policy("only-this", f'path "kv/data/{path}" {{ capabilities = ["read"] }}')
    bao.write(f"kv/data/{path}", data={"a": "1"})
    provider = opened(bao, bao.token(policies=["only-this"]))
    assert document(provider, f"kv/{path}") == {"a": "1"}
    for text in (f"kv/{path}x#a", "old/a#a", "nowhere/a#a"):
        with pytest.raises(AccessDeniedError) as caught:
            provider.fetch(ref(text), timeout=WAIT)
        assert caught.value.ref == str(ref(text))
        assert caught.value.hint
    with pytest.raises(AccessDeniedError):
        provider.write(ref(f"kv/{path}#a"), Secret("2"))


def test_a_mount_that_became_another_version_is_noticed_after_one_failure(bao, path):
    place = fresh("swap")
    bao.write(f"sys/mounts/{place}", type="kv", options={"version": "1"})
    bao.write(f"{place}/{path}", a="1")
    provider = opened(bao)
    assert document(provider, f"{place}/{path}") == {"a": "1"}
    bao.ask("DELETE", f"sys/mounts/{place}")
    bao.write(f"sys/mounts/{place}", type="kv", options={"version": "2"})
    bao.write(f"{place}/data/{path}", data={"a": "2"})
    with pytest.raises(SecretNotFoundError):
        document(provider, f"{place}/{path}")
    assert document(provider, f"{place}/{path}") == {"a": "2"}
