"""`Idempotency-Key`: one act and one answer, whatever is repeated, raced or killed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from toy import OWNER, OutOfToys, Shelf

from tollkeeper.base.clock import MovableClock
from tollkeeper.base.errors import IdempotencyKeyReused, RateLimited, RequestInProgress
from tollkeeper.db import Connection, Database
from tollkeeper.http import Answer, Idempotency, Run

GOOD = {"name": "car", "price": 1.5}
PATHS = pytest.mark.parametrize("path", ["toys", "fast"])
DONE = Answer(201, [("content-type", "application/json")], b'{"a":1}')


@pytest.fixture
def idempotency(database: Database, clock: MovableClock) -> Idempotency:
    return Idempotency(database, clock)


async def send(
    client: aiohttp.ClientSession, path: str, key: str | None = None, **more: Any
) -> tuple[int, Any, dict[str, str]]:
    headers = {"idempotency-key": key} if key is not None else {}
    body = {**GOOD, **more}
    async with client.post(path, json=body, headers=headers) as response:
        shown = await response.json(content_type=None)
        return response.status, shown, {name.lower(): v for name, v in response.headers.items()}


@PATHS
async def test_the_same_again_gets_the_first_answer(
    client: aiohttp.ClientSession, shelf: Shelf, path: str
) -> None:
    first = await send(client, path, "k1")
    second = await send(client, path, "k1")
    assert shelf.made == ["car"]
    assert first[0] == second[0] == 201
    assert "idempotent-replayed" not in first[2]
    assert second[2]["idempotent-replayed"] == "true"
    assert second[2]["content-type"] == first[2]["content-type"] == "application/json"
    assert second[2]["x-request-id"] != first[2]["x-request-id"]
    if path == "fast":
        assert second[1] == first[1]
        assert first[1]["secret"] is not None  # the run's id


async def test_a_secret_is_not_shown_twice(
    client: aiohttp.ClientSession, owner: Connection
) -> None:
    first = await send(client, "toys", "k1")
    second = await send(client, "toys", "k1")
    assert first[1]["secret"] == "shh"
    assert second[1] == {**first[1], "secret": None}
    found = await owner.execute("SELECT body FROM idempotency")
    assert b"shh" not in (await found.fetchall())[0][0]


@PATHS
async def test_the_same_key_for_something_else_is_refused(
    client: aiohttp.ClientSession, shelf: Shelf, path: str
) -> None:
    await send(client, path, "k1")
    status, problem, _ = await send(client, path, "k1", name="bus")
    assert (status, problem["code"]) == (422, "idempotency_key_reused")
    assert shelf.made == ["car"]


async def test_another_callers_key_does_not_get_the_answer(
    client: aiohttp.ClientSession, shelf: Shelf
) -> None:
    await send(client, "toys", "k1")
    headers = {"idempotency-key": "k1", "x-key": uuid4().hex}
    async with client.post("toys", json=GOOD, headers=headers) as response:
        assert response.status == 422
    async with client.post("toys?x=1", json=GOOD, headers={"idempotency-key": "k1"}) as response:
        assert response.status == 400
    assert shelf.made == ["car"]


@PATHS
async def test_without_a_key_everything_happens_again(
    client: aiohttp.ClientSession, shelf: Shelf, path: str
) -> None:
    await send(client, path)
    await send(client, path)
    assert shelf.made == ["car", "car"]


@PATHS
async def test_twenty_at_once_do_one_act(
    client: aiohttp.ClientSession, shelf: Shelf, path: str
) -> None:
    answers = await asyncio.gather(*(send(client, path, "k1") for _ in range(20)))
    assert shelf.made == ["car"]
    for status, problem, headers in answers:
        assert status in (201, 409)
        if status == 409:
            assert problem["code"] == "request_in_progress"
            assert headers["x-should-retry"] == "true"
            assert headers["retry-after"] == "1"


@PATHS
@pytest.mark.parametrize(
    "error", [RuntimeError("x"), OutOfToys("No toys"), RateLimited("Slow down")], ids=repr
)
async def test_what_may_change_is_not_remembered(
    client: aiohttp.ClientSession, shelf: Shelf, path: str, error: Exception
) -> None:
    shelf.fail_with.append(error)
    assert (await send(client, path, "k1"))[0] in (402, 429, 500)
    assert (await send(client, path, "k1", name="bus"))[0] == 422
    status, _, headers = await send(client, path, "k1")
    assert status == 201
    assert "idempotent-replayed" not in headers
    assert shelf.made == ["car"]


async def test_a_body_that_was_refused_leaves_the_key_free(
    client: aiohttp.ClientSession, shelf: Shelf
) -> None:
    assert (await send(client, "toys", "k1", name=""))[0] == 400
    assert (await send(client, "toys", "k1"))[0] == 201
    assert shelf.made == ["car"]


async def test_an_answer_without_a_body_is_remembered(
    client: aiohttp.ClientSession, shelf: Shelf
) -> None:
    for replayed in (None, "true"):
        async with client.delete("toys/car", headers={"idempotency-key": "d"}) as response:
            assert response.status == 204
            assert response.headers.get("idempotent-replayed") == replayed
    assert shelf.made == ["-car"]


@PATHS
@pytest.mark.parametrize("key", ["x" * 256, "", "a b", "a\tb", "é"])
async def test_a_key_that_cannot_be_one(client: aiohttp.ClientSession, path: str, key: str) -> None:
    status, problem, _ = await send(client, path, key)
    assert status == 400
    assert "Idempotency-Key" in problem["details"]


async def test_a_day_later_the_key_is_free(
    client: aiohttp.ClientSession, shelf: Shelf, clock: MovableClock
) -> None:
    await send(client, "toys", "k1")
    clock.advance(timedelta(hours=23, minutes=59))
    assert (await send(client, "toys", "k1"))[2]["idempotent-replayed"] == "true"
    clock.advance(timedelta(minutes=1))
    assert (await send(client, "toys", "k1", name="bus"))[0] == 201
    assert shelf.made == ["car", "bus"]


async def begun(idempotency: Idempotency, what: bytes = b"r") -> Run:
    run = await idempotency.begin(OWNER, "k", what)
    assert isinstance(run, Run)
    return run


async def test_a_run_that_was_left_behind_is_taken_over(
    idempotency: Idempotency, clock: MovableClock
) -> None:
    first = await begun(idempotency)
    with pytest.raises(RequestInProgress):
        await idempotency.begin(OWNER, "k", b"r")
    clock.advance(timedelta(seconds=60))
    with pytest.raises(IdempotencyKeyReused):
        await idempotency.begin(OWNER, "k", b"other")
    second = await begun(idempotency)
    assert second.run_id == first.run_id
    # The first one was only slow: what it says now counts no more.
    await idempotency.finish(first, Answer(200, [], b"late"))
    await idempotency.release(first)
    with pytest.raises(RequestInProgress):
        await idempotency.begin(OWNER, "k", b"r")
    await idempotency.finish(second, DONE)
    assert await idempotency.begin(OWNER, "k", b"r") == DONE


async def test_one_of_many_takes_over(idempotency: Idempotency, clock: MovableClock) -> None:
    await begun(idempotency)
    clock.advance(timedelta(seconds=61))
    outcomes = await asyncio.gather(
        *(idempotency.begin(OWNER, "k", b"r") for _ in range(20)), return_exceptions=True
    )
    assert sum(isinstance(outcome, Run) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, RequestInProgress) for outcome in outcomes) == 19


async def test_a_released_run_keeps_its_id(idempotency: Idempotency) -> None:
    first = await begun(idempotency)
    await idempotency.release(first)
    assert (await begun(idempotency)).run_id == first.run_id


async def test_organizations_do_not_share_keys(idempotency: Idempotency) -> None:
    await begun(idempotency)
    assert isinstance(await idempotency.begin(uuid4(), "k", b"other"), Run)


async def test_expired_keys_are_swept(idempotency: Idempotency, clock: MovableClock) -> None:
    await idempotency.finish(await begun(idempotency), DONE)
    assert await idempotency.sweep() == 0
    clock.advance(timedelta(hours=24))
    assert await idempotency.sweep() == 1
    assert await idempotency.sweep() == 0
