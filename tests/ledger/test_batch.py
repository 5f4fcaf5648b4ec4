"""The batcher: what arrives together travels together, and everybody gets an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from tollkeeper.ledger import Batcher
from tollkeeper.ledger.batch import MAX_BATCH


class Road:
    """Notes what travels on it; a test may keep it closed or let it break."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.fault: BaseException | None = None
        self.answers = 0
        self.under_way = 0
        self.most_under_way = 0

    async def travel(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.open.wait()
        finally:
            self.under_way -= 1
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault
        return [item * 10 for item in items][: len(items) - self.answers]


@pytest.fixture
async def road() -> Road:
    return Road()


@pytest.fixture
async def batcher(road: Road) -> AsyncIterator[Batcher[int, int]]:
    batcher = Batcher[int, int](road.travel)
    yield batcher
    road.open.set()
    await batcher.drain()


async def test_each_gets_its_own_answer(batcher: Batcher[int, int]) -> None:
    assert await asyncio.gather(*(batcher.submit(n) for n in range(50))) == [
        n * 10 for n in range(50)
    ]


async def test_what_arrives_together_travels_together(
    batcher: Batcher[int, int], road: Road
) -> None:
    await asyncio.gather(*(batcher.submit(n) for n in range(5)))
    assert road.batches == [[0, 1, 2, 3, 4]]


async def test_what_arrives_meanwhile_is_the_next_batch_in_order(
    batcher: Batcher[int, int], road: Road
) -> None:
    road.open.clear()
    first = batcher.submit(1)
    await asyncio.sleep(0.01)
    rest = [batcher.submit(n) for n in range(2, 6)]
    assert batcher.waiting == 4
    road.open.set()
    assert await asyncio.gather(first, *rest) == [10, 20, 30, 40, 50]
    assert road.batches == [[1], [2, 3, 4, 5]]


async def test_one_batch_at_a_time_and_none_too_large(
    batcher: Batcher[int, int], road: Road
) -> None:
    count = 3 * MAX_BATCH + 7
    answers = await asyncio.gather(*(batcher.submit(n) for n in range(count)))
    assert answers == [n * 10 for n in range(count)]
    assert [len(batch) for batch in road.batches] == [MAX_BATCH] * 3 + [7]
    assert road.most_under_way == 1


async def test_a_fault_is_heard_by_all_of_its_batch_and_nobody_else(
    batcher: Batcher[int, int], road: Road
) -> None:
    road.open.clear()
    road.fault = ZeroDivisionError("gone")
    first = [batcher.submit(1), batcher.submit(2)]
    await asyncio.sleep(0.01)
    second = batcher.submit(3)
    road.open.set()
    heard = await asyncio.gather(*first, return_exceptions=True)
    assert [type(each) for each in heard] == [ZeroDivisionError, ZeroDivisionError]
    assert await second == 30


async def test_answers_that_are_missing_are_a_fault_and_leave_nobody_waiting(
    batcher: Batcher[int, int], road: Road
) -> None:
    road.answers = 1
    async with asyncio.timeout(5):
        heard = await asyncio.gather(batcher.submit(1), batcher.submit(2), return_exceptions=True)
    assert [type(each) for each in heard] == [ValueError, ValueError]
    road.answers = 0
    assert await batcher.submit(3) == 30


async def test_whoever_goes_away_leaves_the_item_to_travel(
    batcher: Batcher[int, int], road: Road
) -> None:
    road.open.clear()
    gone, stays = asyncio.ensure_future(batcher.submit(1)), batcher.submit(2)
    await asyncio.sleep(0.01)
    gone.cancel()
    road.open.set()
    assert await stays == 20
    assert road.batches == [[1, 2]]


async def test_whoever_goes_away_before_the_batch_leaves_the_item_to_travel(
    batcher: Batcher[int, int], road: Road
) -> None:
    road.open.clear()
    first = batcher.submit(1)
    await asyncio.sleep(0.01)
    batcher.submit(2).cancel()
    road.open.set()
    await first
    await batcher.drain()
    assert road.batches == [[1], [2]]


async def test_draining_waits_for_all_that_was_submitted(
    batcher: Batcher[int, int], road: Road
) -> None:
    road.open.clear()
    futures = [batcher.submit(n) for n in range(3)]
    draining = asyncio.ensure_future(batcher.drain())
    await asyncio.sleep(0.01)
    futures.append(batcher.submit(9))
    assert not draining.done()
    road.open.set()
    await draining
    assert all(future.done() for future in futures)
    await batcher.drain()


async def test_whoever_stops_draining_does_not_stop_the_work(
    batcher: Batcher[int, int], road: Road
) -> None:
    road.open.clear()
    future = batcher.submit(1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await batcher.drain()
    road.open.set()
    assert await future == 10


@pytest.mark.parametrize("batches", [1, 2])
async def test_a_loop_that_shuts_down_leaves_nobody_waiting(batches: int) -> None:
    """As `asyncio.run` does at its end, to every task."""
    road = Road()
    road.open.clear()
    batcher = Batcher[int, int](road.travel)
    others = asyncio.all_tasks()
    futures = [batcher.submit(1)]
    await asyncio.sleep(0.01)
    if batches == 2:
        futures.append(batcher.submit(2))
    (worker,) = [task for task in asyncio.all_tasks() - others if "_work" in repr(task)]
    worker.cancel()
    heard = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(each) for each in heard] == [asyncio.CancelledError] * batches
    assert batcher.waiting == 0
    road.open.set()
    assert await batcher.submit(3) == 30, "it works again, if anybody is still there"


async def test_a_road_that_is_cancelled_from_inside_leaves_nobody_waiting(
    batcher: Batcher[int, int], road: Road
) -> None:
    road.fault = asyncio.CancelledError()
    async with asyncio.timeout(5):
        heard = await asyncio.gather(batcher.submit(1), return_exceptions=True)
    assert [type(each) for each in heard] == [asyncio.CancelledError]
    assert await batcher.submit(3) == 30
