"""`/metering/holds` over real HTTP: each ends once, and says the same however often (M6, M8)."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any

import pytest
from metered import DOLLAR, GPT
from shop import Customer, Reply, Shop
from test_charges import records, wallet_of

from tollkeeper import ledger
from tollkeeper.base.ids import uuid7
from tollkeeper.pricing import PriceVersion, publish

PATH = "/metering/holds"
PRICED = {"provider": "openai", "model": "gpt-5"}
ASK = {**PRICED, "estimate": {"input": 1000, "output": 500}}
DONE = {"usage": {"input": 1000, "output": 200}}


async def place(shop: Shop, key: str, **more: Any) -> str:
    reply = await shop.post(PATH, key, {**ASK, **more})
    assert reply.status == 201, reply.body
    return reply.json["id"]


async def settle(shop: Shop, key: str | None, hold_id: str, body: Any = None) -> Reply:
    return await shop.post(f"{PATH}/{hold_id}/settle", key, DONE if body is None else body)


async def void(shop: Shop, key: str | None, hold_id: str) -> Reply:
    return await shop.ask("DELETE", f"{PATH}/{hold_id}", key)


async def test_the_life_of_a_call(shop: Shop, customer: Customer) -> None:
    reply = await shop.post(PATH, customer.inference, {**ASK, "operation": "ask", "ttlSeconds": 60})
    assert reply.status == 201
    assert re.fullmatch(
        rb'\{"id":"hold_[0-9a-f]{64}","amount":0.00625,"currency":"USD",'
        rb'"expiresAt":"2026-11-20T12:01:00Z"\}',
        reply.body,
    )
    assert (await wallet_of(shop, customer.purse)).held == 6_250_000
    shop.clock.advance(timedelta(seconds=2))
    said = {**DONE, "input": "why?", "threadId": "t", "durationMs": 1900, "tags": {"a": "b"}}
    settled = await settle(shop, customer.inference, reply.json["id"], said)
    assert settled.status == 200
    assert re.fullmatch(
        rb'\{"cost":0.00325,"currency":"USD","balance":99.99675,"usageId":"use_[0-9a-f]{32}"\}',
        settled.body,
    )
    wallet = await wallet_of(shop, customer.purse)
    assert (wallet.posted, wallet.held) == (99_996_750_000, 0)
    (record,) = await records(shop, customer.purse)
    assert (record["operation"], record["thread_id"], record["held"]) == ("ask", "t", 6_250_000)
    assert record["started_at"].startswith("2026-11-20T12:00:00")
    assert record["recorded_at"].startswith("2026-11-20T12:00:02")
    assert record["late"] is False


async def test_the_same_hold_again(shop: Shop, customer: Customer) -> None:
    body = {**ASK, "requestId": "h-1"}
    first = await shop.post(PATH, customer.inference, body)
    shop.clock.advance(timedelta(seconds=30))
    replies = await asyncio.gather(*(shop.post(PATH, customer.inference, body) for _ in range(9)))
    assert {reply.body for reply in replies} == {first.body}
    assert {reply.status for reply in replies} == {201}
    assert (await wallet_of(shop, customer.purse)).held == 6_250_000
    for other in ({"estimate": {"input": 1}}, {"operation": "x"}, {"ttlSeconds": 5}):
        reply = await shop.post(PATH, customer.inference, {**body, **other})
        assert (reply.status, reply.json["code"]) == (422, "idempotency_key_reused"), other


async def test_the_same_hold_when_the_price_has_changed(shop: Shop, customer: Customer) -> None:
    body = {**ASK, "requestId": "h-1"}
    first = await shop.post(PATH, customer.inference, body)
    await make_dearer(shop)
    again = await shop.post(PATH, customer.inference, body)
    assert (again.status, again.body) == (201, first.body)


async def make_dearer(shop: Shop) -> None:
    at = shop.clock.now() + timedelta(seconds=1)
    output = GPT.rates["output"]
    rates = {"input": output, "output": output}
    dearer = PriceVersion(
        provider="openai", model="gpt-5", effective_from=at, source="a test", rates=rates
    )
    async with shop.database.transaction() as tx:
        await publish(tx, [dearer], "a test", shop.clock.now())
    await shop.books.refresh()
    shop.clock.advance(timedelta(seconds=2))


async def test_the_price_is_the_one_of_the_hold(shop: Shop, customer: Customer) -> None:
    hold_id = await place(shop, customer.inference)
    await make_dearer(shop)
    assert (await settle(shop, customer.inference, hold_id)).json["cost"] == 0.00325


async def test_settled_twice_is_settled_once(shop: Shop, customer: Customer) -> None:
    hold_id = await place(shop, customer.inference)
    replies = await asyncio.gather(*(settle(shop, customer.inference, hold_id) for _ in range(20)))
    assert {(reply.status, reply.body) for reply in replies} == {(200, replies[0].body)}
    assert len(await records(shop, customer.purse)) == 1
    reply = await settle(shop, customer.inference, hold_id, {"usage": {"input": 5}})
    assert (reply.status, reply.json["code"]) == (422, "idempotency_key_reused")
    body = {**ASK, "requestId": "again"}
    first = (await shop.post(PATH, customer.inference, body)).json["id"]
    await settle(shop, customer.inference, first)
    reply = await shop.post(PATH, customer.inference, body)
    assert (reply.status, reply.json["code"]) == (422, "already_charged")


async def test_voided(shop: Shop, customer: Customer) -> None:
    hold_id = await place(shop, customer.inference)
    for _ in range(2):
        reply = await void(shop, customer.inference, hold_id)
        assert (reply.status, reply.json) == (200, {"id": hold_id, "state": "voided"})
    assert (await wallet_of(shop, customer.purse)).held == 0


async def test_void_after_settle_says_settled(shop: Shop, customer: Customer) -> None:
    hold_id = await place(shop, customer.inference)
    await settle(shop, customer.inference, hold_id)
    reply = await void(shop, customer.inference, hold_id)
    assert (reply.status, reply.json["state"]) == (200, "settled")
    assert (await wallet_of(shop, customer.purse)).posted == 99_996_750_000


@pytest.mark.parametrize("how", ["expired", "voided"])
async def test_a_late_settlement_posts_and_says_so(
    shop: Shop, customer: Customer, how: str
) -> None:
    hold_id = await place(shop, customer.inference, ttlSeconds=10)
    if how == "voided":
        await void(shop, customer.inference, hold_id)
    else:
        shop.clock.advance(timedelta(seconds=11))
        async with shop.database.connection() as connection:
            assert await ledger.expire_holds(connection, shop.clock.now()) == 1
        assert (await void(shop, customer.inference, hold_id)).json["state"] == "expired"
    first = await settle(shop, customer.inference, hold_id)
    again = await settle(shop, customer.inference, hold_id)
    assert first.json["late"] is True
    assert (again.status, again.body) == (200, first.body)
    (record,) = await records(shop, customer.purse)
    assert (record["late"], record["amount"]) == (True, 3_250_000)


async def test_a_settlement_may_pass_its_hold_and_zero(shop: Shop) -> None:
    customer = await shop.customer(5_000_000)
    hold_id = await place(shop, customer.inference, estimate={"input": 1000})
    reply = await settle(shop, customer.inference, hold_id, {"usage": {"output": 1000}})
    assert (reply.json["cost"], reply.json["balance"]) == (0.01, -0.005)
    reply = await shop.post(PATH, customer.inference, ASK)
    assert (reply.status, reply.json["available"]) == (402, 0)


async def test_parallel_holds_never_pass_the_balance(shop: Shop) -> None:
    customer = await shop.customer(37 * 6_250_000)
    replies = await asyncio.gather(*(shop.post(PATH, customer.inference, ASK) for _ in range(80)))
    assert [reply.status for reply in replies].count(201) == 37
    wallet = await wallet_of(shop, customer.purse)
    assert (wallet.held, wallet.available) == (37 * 6_250_000, 0)


async def test_a_refused_hold_says_what_is_there(shop: Shop) -> None:
    customer = await shop.customer(6_000_000)
    reply = await shop.post(PATH, customer.inference, ASK)
    assert reply.status == 402
    assert (reply.json["required"], reply.json["available"]) == (0.00625, 0.006)
    assert reply.json["code"] == "insufficient_credits"
    await shop.meter.drain()
    (record,) = await records(shop, customer.purse)
    assert (record["status"], record["amount"]) == (402, 0)


async def test_an_amount_instead_of_an_estimate(shop: Shop, customer: Customer) -> None:
    body = {"operation": "generate_sql", "maxAmount": 0.05}
    reply = await shop.post(PATH, customer.inference, body)
    assert (reply.status, reply.json["amount"]) == (201, 0.05)
    reply = await settle(
        shop, customer.inference, reply.json["id"], {"usage": {"request": 2}, "operation": "other"}
    )
    assert reply.json["cost"] == 0.04
    (record,) = await records(shop, customer.purse)
    assert (record["operation"], record["model"]) == ("other", "generate_sql")
    for body in (
        {**ASK, "maxAmount": 1},
        PRICED,
        {**PRICED, "maxAmount": -1},
        {**PRICED, "maxAmount": 1e30},
        {**PRICED, "maxAmount": 0.0000000001},
        {**PRICED, "maxAmount": "1"},
        {**ASK, "ttlSeconds": 0},
        {**ASK, "ttlSeconds": 86_401},
        {**ASK, "usage": {"input": 1}},
    ):
        assert (await shop.post(PATH, customer.inference, body)).status == 400, body


async def test_a_failed_call_costs_nothing(shop: Shop, customer: Customer) -> None:
    hold_id = await place(shop, customer.inference)
    body = {"usage": {}, "status": 503, "error": "overloaded"}
    reply = await settle(shop, customer.inference, hold_id, body)
    assert (reply.status, reply.json["cost"], reply.json["balance"]) == (200, 0, 100)
    wallet = await wallet_of(shop, customer.purse)
    assert (wallet.posted, wallet.held) == (100 * DOLLAR, 0)


async def test_usage_without_a_price_keeps_the_hold(shop: Shop, customer: Customer) -> None:
    hold_id = await place(shop, customer.inference)
    reply = await settle(shop, customer.inference, hold_id, {"usage": {"furlong": 1}})
    assert (reply.status, reply.json["code"]) == (422, "model_not_priced")
    assert (await settle(shop, customer.inference, hold_id)).status == 200
    hold_id = await place(shop, customer.inference)
    for bad in ({}, {"usage": {"input": -1}}, {"usage": {}, "cost": 1}, b"["):
        assert (await settle(shop, customer.inference, hold_id, bad)).status == 400, bad


async def test_who_may_end_it(shop: Shop, customer: Customer) -> None:
    hold_id = await place(shop, customer.inference)
    other = await shop.customer()
    for key in (other.admin, other.inference, customer.test_admin):
        assert (await settle(shop, key, hold_id)).status == 404
        assert (await void(shop, key, hold_id)).status == 404
    assert (await settle(shop, None, hold_id)).status == 401
    assert (await settle(shop, shop.operator, hold_id)).status == 200
    for key in (other.admin, customer.test_admin):
        assert (await settle(shop, key, hold_id)).status == 404, "nor see what it came to"
        assert (await void(shop, key, hold_id)).status == 404
    assert (await settle(shop, customer.admin, hold_id)).status == 200
    hold_id = await place(shop, shop.operator, **customer.named)
    for key in (customer.inference, customer.admin):
        assert (await settle(shop, key, hold_id)).status == 404
        assert (await void(shop, key, hold_id)).status == 404
    assert (await void(shop, shop.operator, hold_id)).status == 200


async def test_what_the_gateway_holds_nobody_ends_here(shop: Shop, customer: Customer) -> None:
    """It says nothing of itself for a settlement; voided, its call would run without it."""
    placed = customer.purse.hold(6_250_000)
    assert (await shop.meter.hold(placed)).outcome == "placed"
    hold_id = f"hold_{placed.org_id.hex}{placed.hold_id.hex}"
    for key in (customer.admin, shop.operator):
        assert (await void(shop, key, hold_id)).status == 404
        assert (await settle(shop, key, hold_id)).status == 404
    assert (await wallet_of(shop, customer.purse)).held == 6_250_000
    await shop.meter.settle(customer.purse.charge(1, placed.hold_id, hold_id=placed.hold_id))
    assert (await void(shop, customer.admin, hold_id)).status == 404
    assert (await settle(shop, customer.admin, hold_id)).status == 404


@pytest.mark.parametrize("hold_id", ["hold_1", "hold_" + "0" * 64, "x", "hold_" + "G" * 64])
async def test_what_is_no_hold(shop: Shop, customer: Customer, hold_id: str) -> None:
    assert (await settle(shop, customer.inference, hold_id)).status == 404
    assert (await void(shop, shop.operator, hold_id)).status == 404


async def test_an_idempotency_key_names_a_hold(shop: Shop, customer: Customer) -> None:
    first = await shop.post(PATH, customer.inference, ASK, idempotency_key="k")
    again = await shop.post(PATH, customer.inference, ASK, idempotency_key="k")
    assert first.body == again.body
    assert again.headers["idempotent-replayed"] == "true"
    assert (await wallet_of(shop, customer.purse)).held == 6_250_000
    path = f"{PATH}/{first.json['id']}/settle"
    settled = await shop.post(path, customer.inference, DONE, idempotency_key="s")
    replayed = await shop.post(path, customer.inference, DONE, idempotency_key="s")
    assert (settled.status, replayed.body) == (200, settled.body)


async def test_a_process_whose_prices_are_a_second_old(shop: Shop, customer: Customer) -> None:
    """Another process may place a hold by a price that this one has not read yet."""
    rates = {"request": GPT.rates["input"]}
    new = PriceVersion(
        provider="own",
        model="brand_new",
        effective_from=shop.clock.now(),
        source="a test",
        rates=rates,
    )
    async with shop.database.transaction() as tx:
        await publish(tx, [new], "a test", shop.clock.now())
    old = shop.books.book
    await shop.books.refresh()
    hold_id = await place(
        shop,
        customer.inference,
        **dict.fromkeys(PRICED),
        sku="brand_new",
        estimate={"request": 5},
        requestId=f"r-{uuid7()}",
    )
    shop.books._book = old
    reply = await settle(shop, customer.inference, hold_id, {"usage": {"request": 1_000_000}})
    assert (reply.status, reply.json["cost"]) == (200, 1.25)
