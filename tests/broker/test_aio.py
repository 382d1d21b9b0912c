"""The asyncio face: same leases, one call, many loops, nobody's cancellation."""

from __future__ import annotations

import asyncio
import threading

import pytest

from broker.world import MINUTE, until
from secretkit.broker.aio import AsyncBroker
from secretkit.errors import AccessDeniedError, ProviderUnavailableError


@pytest.fixture
def face(world):
    return AsyncBroker(world.broker)


def test_a_hit_is_answered_without_a_suspension(world, face):
    world.broker.lease("claude")
    answering = face.lease("claude")
    with pytest.raises(StopIteration) as stopped:  # a coroutine that never waits ends at once
        answering.send(None)
    assert stopped.value.value is world.broker.lease("claude")


def test_five_hundred_threads_and_five_hundred_tasks_make_one_call(world, face):
    world.source.gate.clear()
    got = []
    threads = [threading.Thread(target=lambda: got.append(world.value())) for _ in range(500)]
    for thread in threads:
        thread.start()

    async def everybody():
        tasks = [asyncio.create_task(face.lease("claude")) for _ in range(500)]
        await asyncio.sleep(0)
        world.source.gate.set()
        return await asyncio.gather(*tasks)

    leases = asyncio.run(everybody())
    for thread in threads:
        thread.join()
    assert world.source.calls == 1
    assert got == ["key-1"] * 500
    assert len({lease.id for lease in leases}) == 1


def test_cancelling_the_first_caller_cancels_nothing(world, face):
    world.source.gate.clear()

    async def story():
        first = asyncio.create_task(face.lease("claude"))
        second = asyncio.create_task(face.lease("claude"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        world.source.gate.set()
        return await second

    assert asyncio.run(story()).generation == 1
    assert world.source.calls == 1


def test_two_loops_at_once_share_the_call(world, face):
    world.source.gate.clear()
    got = []
    loops = [
        threading.Thread(target=lambda: got.append(asyncio.run(face.lease("claude"))))
        for _ in range(2)
    ]
    for loop in loops:
        loop.start()
    until(lambda: world.source.calls == 1, what="the one call")
    world.source.gate.set()
    for loop in loops:
        loop.join(10)
    assert len(got) == 2
    assert world.source.calls == 1


def test_two_runs_in_a_row_work(world, face):
    assert asyncio.run(face.lease("claude")) is asyncio.run(face.lease("claude"))
    world.clock.advance(11 * MINUTE)
    assert asyncio.run(face.lease("claude")).generation == 1


def test_a_loop_that_is_gone_when_the_call_lands_harms_nobody(world, face):
    world.source.gate.clear()

    async def gives_up():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(face.lease("claude"), 0.01)

    asyncio.run(gives_up())
    world.source.gate.set()
    assert world.value() == "key-1"


def test_a_failure_reaches_every_task_as_its_own_error(world, face):
    world.source.gate.clear()
    world.source.fail = ProviderUnavailableError("down")

    async def everybody():
        tasks = [asyncio.create_task(face.lease("claude")) for _ in range(100)]
        await asyncio.sleep(0)
        world.source.gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    errors = asyncio.run(everybody())
    assert {type(error) for error in errors} == {ProviderUnavailableError}
    assert len({id(error) for error in errors}) == 100
    assert world.source.calls == 1


def test_refresh_and_get_and_peek_work_as_in_the_blocking_face(world, face):
    async def story():
        assert face.peek("claude") is None
        assert (await face.get("claude")).reveal() == "key-1"
        world.source.value = "key-2"
        assert (await face.refresh("claude", seen=1)).generation == 2
        world.source.fail = ProviderUnavailableError("down")
        assert (await face.refresh("claude", seen=2)).generation == 2
        world.clock.advance(2 * MINUTE)
        world.source.fail = AccessDeniedError("no")
        with pytest.raises(AccessDeniedError):
            await face.refresh("claude", seen=2)

    asyncio.run(story())
    assert face.names() == ("claude",)
    assert face.status()[0].last_error.startswith("AccessDeniedError")


def test_on_change_runs_in_the_loop_that_asked(world, face):
    async def story():
        seen = []
        stop = face.on_change("claude", lambda change: seen.append(threading.get_ident()))
        await face.lease("claude")
        await asyncio.sleep(0.01)
        stop()
        return seen

    assert asyncio.run(story()) == [threading.get_ident()]


def test_leaving_the_block_closes_the_broker(world):
    async def story():
        async with AsyncBroker(world.broker) as broker:
            await broker.lease("claude")

    asyncio.run(story())
    assert world.broker.peek("claude") is None
