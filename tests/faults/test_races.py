"""Many at once, over HTTP, from four processes: the money stops them, exactly where it ends."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from bench import Bench, at_once, bench
from books import held
from service import Service, service

from standin import cost_nanos

WORKERS = 4
CALLS, PAID = 200, 37
BALANCE = "0.37"
CENT = Decimal("0.01")
SQL = {"sku": "generate_sql", "usage": {"request": 1}}


@pytest.fixture(scope="module")
def running(run_directory: Path) -> Iterator[Service]:
    directory = run_directory / f"races-{uuid4().hex[:8]}"
    directory.mkdir(mode=0o711)
    with service(directory) as made:
        serving = made.serve(WORKERS)
        yield made
        assert serving.stop() == 0
        with made.site.books() as connection:
            assert held(connection) == (0, 0)
        verified = made.site.run("verify")
        assert verified.returncode == 0, verified.stdout


@pytest.fixture
async def calls(running: Service) -> AsyncIterator[Bench]:
    async with bench(running) as made:
        yield made


async def test_37_calls_of_200_pass_and_nothing_is_left(calls: Bench) -> None:
    acme = await calls.customer(BALANCE)
    before = len(calls.running.provider.heard)
    replies = await at_once(acme.chat(stream=bool(n % 2)) for n in range(CALLS))
    assert Counter(reply.status for reply in replies) == {200: PAID, 402: CALLS - PAID}
    assert {reply.cost for reply in replies if reply.status == 200} == {CENT}
    refused = [reply for reply in replies if reply.status == 402]
    assert {reply.code for reply in refused} == {"insufficient_credits"}
    assert {reply.json["error"]["metadata"]["available"] for reply in refused} == {0}
    assert {reply.headers["x-should-retry"] for reply in refused} == {"false"}
    assert await acme.wallet() == (0, 0)
    assert len(calls.running.provider.heard) - before == PAID, "refused calls are not sent"
    assert await asyncio.to_thread(acme.records) == [(10_000_000, "provider")] * PAID


async def test_37_charges_of_200_pass_and_nothing_is_left(calls: Bench) -> None:
    acme = await calls.customer(BALANCE)
    replies = await at_once(acme.meter("/charges", SQL) for _ in range(CALLS))
    assert Counter(reply.status for reply in replies) == {200: PAID, 402: CALLS - PAID}
    # Each balance that was told is one that there was.
    told = sorted(reply.json["balance"] for reply in replies if reply.status == 200)
    assert told == [CENT * n for n in range(PAID)]
    assert {reply.code for reply in replies if reply.status == 402} == {"insufficient_credits"}
    assert await acme.wallet() == (0, 0)


async def test_37_holds_of_200_pass_and_all_is_given_back(calls: Bench) -> None:
    acme = await calls.customer(BALANCE)
    wish = {"sku": "generate_sql", "estimate": {"request": 1}}
    replies = await at_once(acme.meter("/holds", wish) for _ in range(CALLS))
    assert Counter(reply.status for reply in replies) == {201: PAID, 402: CALLS - PAID}
    assert await acme.wallet() == (Decimal(BALANCE), Decimal(BALANCE))
    placed = [reply.json["id"] for reply in replies if reply.status == 201]
    voided = await at_once(acme.meter(f"/holds/{id_}", None, "DELETE") for id_ in placed * 3)
    assert {(reply.status, reply.json["state"]) for reply in voided} == {(200, "voided")}
    assert await acme.wallet() == (Decimal(BALANCE), 0)


async def test_a_request_id_charges_once_however_many_bring_it(calls: Bench) -> None:
    acme = await calls.customer("1")
    body = {**SQL, "requestId": "the one"}
    replies = await at_once(acme.meter("/charges", body) for _ in range(100))
    assert {reply.status for reply in replies} == {200}
    assert len({str(reply.json) for reply in replies}) == 1
    assert await acme.wallet() == (Decimal("0.99"), 0)


async def test_of_two_requests_under_one_id_one_is_charged(calls: Bench) -> None:
    acme = await calls.customer("1")
    bodies = [{**SQL, "requestId": "the one", "threadId": str(n % 2)} for n in range(100)]
    replies = await at_once(acme.meter("/charges", body) for body in bodies)
    assert Counter(reply.status for reply in replies) == {200: 50, 422: 50}
    assert {r.code for r in replies if r.status == 422} == {"idempotency_key_reused"}
    assert await acme.wallet() == (Decimal("0.99"), 0)


async def test_a_batch_sent_eight_times_at_once_is_taken_once(calls: Bench) -> None:
    acme = await calls.customer("10")
    batch = [{**SQL, "id": f"event-{n}"} for n in range(500)]
    replies = await at_once(acme.meter("/events", batch) for _ in range(8))
    assert sum(reply.json["accepted"] for reply in replies) == 500
    assert sum(reply.json["duplicate"] for reply in replies) == 3_500
    assert await acme.wallet() == (5, 0)


async def test_an_idempotency_key_calls_the_provider_once(calls: Bench) -> None:
    acme = await calls.customer("1")
    before = len(calls.running.provider.heard)
    told = {"pause": 0.2}
    replies = await at_once(acme.chat(told=told, idempotency_key="once") for _ in range(50))
    first = [r for r in replies if r.status == 200 and "Idempotent-Replayed" not in r.headers]
    assert len(first) == 1
    assert {reply.code for reply in replies if reply.status != 200} <= {"request_in_progress"}
    assert len(calls.running.provider.heard) - before == 1
    again = await acme.chat(told=told, idempotency_key="once")
    assert (again.status, again.json) == (200, first[0].json)
    assert await acme.wallet() == (Decimal("0.99"), 0)


async def test_a_hold_is_settled_once_whoever_voids_it_meanwhile(calls: Bench) -> None:
    acme = await calls.customer("10")
    for _ in range(10):
        wish = {"sku": "generate_sql", "maxAmount": 0.05}
        placed = (await acme.meter("/holds", wish)).json["id"]
        settle = (f"/holds/{placed}/settle", {"usage": {"request": 1}}, "POST")
        void = (f"/holds/{placed}", None, "DELETE")
        replies = await at_once(acme.meter(*(settle, void)[n % 2]) for n in range(20))
        assert {reply.status for reply in replies} == {200}
        assert {reply.cost for reply in replies if "cost" in reply.json} == {CENT}
    assert await acme.wallet() == (Decimal("9.9"), 0)


async def test_a_key_revoked_in_mid_flight_finishes_its_call_and_begins_no_other(
    calls: Bench,
) -> None:
    acme = await calls.customer("1")
    made = await asyncio.to_thread(
        calls.running.site.ask, "key", "create", "other", "--org", acme.organization_id
    )
    other = type(acme)(calls, acme.organization_id, acme.project_id, made["secret"])
    told = {"in": 10, "out": 80, "pause": 0.4}
    streams = [asyncio.create_task(other.chat("up-chat", stream=True, told=told)) for _ in "12345"]
    await asyncio.sleep(0.5)
    revoked = await calls.ask("DELETE", f"/api-keys/{made['id']}", acme.key)
    assert revoked.status == 204
    await asyncio.sleep(1)
    after = await at_once(other.chat() for _ in range(40))
    assert Counter(reply.status for reply in after) == {401: 40}
    assert not any(stream.done() for stream in streams)
    ended = await at_once(streams)
    cost = cost_nanos(10, 80)
    assert [reply.cost for reply in ended] == [Decimal(cost) / 10**9] * 5
    assert await asyncio.to_thread(acme.records) == [(cost, "provider")] * 5
    assert await acme.wallet() == (1 - Decimal(5 * cost) / 10**9, 0)


async def test_all_workers_took_part(calls: Bench) -> None:
    """The races above are between processes, not within one."""
    acme = await calls.customer("5")
    children = calls.running.site.children()
    used = {child.pid: sum(child.cpu_times()[:2]) for child in children}
    busy: set[int] = set()
    async with asyncio.timeout(20):
        while len(busy) < WORKERS:
            await at_once(acme.meter("/estimate", SQL) for _ in range(100))
            busy = {c.pid for c in children if sum(c.cpu_times()[:2]) - used[c.pid] > 0.05}
