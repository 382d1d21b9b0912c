"""What a lease prints and refuses is in test_credential.py, with everything that holds a Secret."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import weakref
from datetime import UTC, datetime

import pytest

from secretkit.core.credential import ApiKey
from secretkit.core.lease import Lease
from secretkit.core.secret import Secret

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def lease() -> Lease:
    return Lease("l1", "claude", ApiKey(Secret("a" * 20)), 3, "me", "env:KEY", NOW, NOW)


def test_a_lease_is_its_own_context_and_stays_usable_afterwards():
    one = lease()
    with one as inside:
        assert inside is one
    assert one.credential.secret.reveal() == "a" * 20


def test_a_lease_is_its_own_asynchronous_context():
    async def use() -> Lease:
        async with lease() as inside:
            return inside

    assert asyncio.run(use()) == lease()


def test_an_error_inside_the_span_passes_through():
    async def use() -> None:
        async with lease():
            raise KeyError("async")

    with pytest.raises(KeyError, match="sync"), lease():
        raise KeyError("sync")
    with pytest.raises(KeyError, match="async"):
        asyncio.run(use())


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Lease)])
def test_no_field_of_a_lease_can_be_changed(name):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(lease(), name, None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        delattr(lease(), name)


def test_a_lease_can_be_referred_to_weakly_and_is_kept_by_nothing():
    one = lease()
    ghost = weakref.ref(one)
    assert ghost() is one
    del one
    gc.collect()
    assert ghost() is None
