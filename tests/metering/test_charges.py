"""`POST /metering/charges` and `/metering/estimate` over real HTTP (M6, M7)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from metered import DOLLAR, GPT, Purse
from shop import Customer, Shop, open_shop

from tollkeeper import ledger
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import read_id, show_id, uuid7
from tollkeeper.base.settings import Settings
from tollkeeper.db import Database
from tollkeeper.ledger import Wallet
from tollkeeper.pricing import PriceVersion, Rate, publish

PATH = "/metering/charges"
TOKENS = {"provider": "openai", "model": "gpt-5", "usage": {"input": 1000, "output": 200}}
COST = 0.00325


async def wallet_of(shop: Shop, purse: Purse) -> Wallet:
    async with shop.database.connection() as connection:
        return await ledger.find_wallet(connection, purse.org_id, purse.wallet_id)


async def records(shop: Shop, purse: Purse) -> list[dict[str, Any]]:
    async with shop.database.connection() as connection:
        cursor = await connection.execute(
            "SELECT to_jsonb(u) FROM usage_record u WHERE wallet_id = %s ORDER BY seq",
            (purse.wallet_id,),
        )
        return [row[0] for row in await cursor.fetchall()]


async def test_a_call_is_charged(shop: Shop, customer: Customer) -> None:
    reply = await shop.post(PATH, customer.inference, TOKENS)
    assert reply.status == 200, reply.body
    usage_id = reply.json["usageId"]
    assert reply.body == (
        b'{"cost":0.00325,"currency":"USD","balance":99.99675,"usageId":"%s"}' % usage_id.encode()
    )
    assert read_id("use", usage_id)
    wallet = await wallet_of(shop, customer.purse)
    assert (wallet.posted, wallet.held) == (99_996_750_000, 0)


async def test_the_record_says_all_of_it(shop: Shop, customer: Customer) -> None:
    body = {
        "sku": "generate_sql",
        "usage": {"request": 1, "second": 90.5},
        "input": "How many rows?" * 100,
        "threadId": "thread-7",
        "operation": "ask",
        "status": 201,
        "durationMs": 1234,
        "tags": {"team": "data"},
        "endUser": "ada",
        "requestId": "r-1",
    }
    reply = await shop.post(PATH, customer.inference, body)
    assert reply.status == 200, reply.body
    (record,) = await records(shop, customer.purse)
    said = {name: record[name] for name in ("operation", "thread_id", "status", "duration_ms")}
    assert said == {
        "operation": "ask",
        "thread_id": "thread-7",
        "status": 201,
        "duration_ms": 1234,
    }
    assert (record["provider"], record["model"]) == ("own", "generate_sql")
    assert (record["source"], record["request_id"]) == ("reported", "r-1")
    assert record["project_id"] == str(customer.project_id)
    assert record["key_id"] == str(customer.key_ids[customer.inference])
    detail = record["detail"]
    assert detail["input"] == ("How many rows?" * 100)[:200]
    assert (detail["endUser"], detail["tags"]) == ("ada", {"team": "data"})
    assert detail["rating"]["usage"] == {"request": 1, "second": "90.5"}
    assert detail["rating"]["cost"] == record["amount"] == 21_508_333


async def test_the_same_request_is_one_charge(shop: Shop, customer: Customer) -> None:
    body = {**TOKENS, "requestId": "once"}
    replies = await asyncio.gather(*(shop.post(PATH, customer.inference, body) for _ in range(20)))
    assert {reply.status for reply in replies} == {200}
    assert len({reply.body for reply in replies}) == 1
    assert (await wallet_of(shop, customer.purse)).posted == 99_996_750_000
    other = {**body, "usage": {"input": 1001}}
    reply = await shop.post(PATH, customer.inference, other)
    assert (reply.status, reply.json["code"]) == (422, "idempotency_key_reused")
    spaced = msgspec.json.format(msgspec.json.encode(dict(reversed(body.items()))))
    reply = await shop.post(PATH, customer.inference, spaced)
    assert reply.body == replies[0].body, "how it is written is no other content"


async def test_one_request_id_in_test_and_live(shop: Shop, customer: Customer) -> None:
    body = {**TOKENS, "requestId": "same"}
    live = await shop.post(PATH, customer.admin, body)
    test = await shop.post(PATH, customer.test_admin, body)
    assert live.status == test.status == 200
    assert live.json["usageId"] != test.json["usageId"]
    assert (await wallet_of(shop, customer.test_purse)).posted == 99_996_750_000


async def test_an_idempotency_key_gets_the_first_answer(shop: Shop, customer: Customer) -> None:
    first = await shop.post(PATH, customer.inference, TOKENS, idempotency_key="k-1")
    again = await shop.post(PATH, customer.inference, TOKENS, idempotency_key="k-1")
    assert first.body == again.body
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert len(await records(shop, customer.purse)) == 1
    other = {**TOKENS, "usage": {"input": 1}}
    reply = await shop.post(PATH, customer.inference, other, idempotency_key="k-1")
    assert (reply.status, reply.json["code"]) == (422, "idempotency_key_reused")


async def test_without_credit_it_is_refused(shop: Shop) -> None:
    customer = await shop.customer(3_000_000)
    reply = await shop.post(PATH, customer.inference, TOKENS)
    assert reply.status == 402
    assert reply.headers["x-should-retry"] == "false"
    said = {name: reply.json[name] for name in ("code", "error", "required", "available")}
    assert said == {
        "code": "insufficient_credits",
        "error": "Insufficient credits",
        "required": COST,
        "available": 0.003,
    }
    assert (reply.json["currency"], reply.json["limitSource"]) == ("USD", "balance")
    assert (await wallet_of(shop, customer.purse)).posted == 3_000_000
    await shop.meter.drain()
    (record,) = await records(shop, customer.purse)
    assert (record["status"], record["amount"], record["source"]) == (402, 0, "none")
    assert record["detail"]["error"].startswith("insufficient_credits: ")


async def test_exactly_what_fits_succeeds(shop: Shop) -> None:
    customer = await shop.customer(7 * 3_250_000)
    replies = await asyncio.gather(
        *(shop.post(PATH, customer.inference, TOKENS) for _ in range(60))
    )
    assert [reply.status for reply in replies].count(200) == 7
    assert [reply.status for reply in replies].count(402) == 53
    assert (await wallet_of(shop, customer.purse)).posted == 0


async def test_a_refused_request_may_be_made_again(shop: Shop) -> None:
    customer = await shop.customer(0)
    body = {**TOKENS, "requestId": "later"}
    assert (await shop.post(PATH, customer.inference, body)).status == 402
    assert (await shop.post(PATH, customer.inference, body, idempotency_key="k")).status == 402
    async with shop.database.transaction() as tx:
        posting = ledger.Posting(
            org_id=customer.org_id,
            wallet_id=customer.purse.wallet_id,
            entry_id=uuid7(),
            kind=ledger.EntryKind.PURCHASE,
            amount=DOLLAR,
            lot=ledger.NewLot(kind=ledger.LotKind.PURCHASED),
        )
        await ledger.post(tx, posting, shop.clock.now())
    again = await shop.post(PATH, customer.inference, body, idempotency_key="k")
    assert again.status == 200
    assert (await shop.post(PATH, customer.inference, body)).json == again.json


async def test_somebody_who_hammers_does_not_fill_the_log(shop: Shop) -> None:
    customer = await shop.customer(0)
    await asyncio.gather(*(shop.post(PATH, customer.inference, TOKENS) for _ in range(100)))
    await shop.meter.drain()
    assert 0 < len(await records(shop, customer.purse)) <= 40


async def test_frozen(shop: Shop, customer: Customer) -> None:
    async with shop.database.transaction() as tx:
        await ledger.freeze(tx, customer.org_id, customer.purse.wallet_id, "dispute")
    reply = await shop.post(PATH, customer.inference, TOKENS)
    assert (reply.status, reply.json["code"]) == (402, "wallet_frozen")


class TestWhoPays:
    async def test_an_operator_names_a_key(self, shop: Shop, customer: Customer) -> None:
        body = {**TOKENS, "apiKey": customer.inference}
        assert (await shop.post(PATH, shop.operator, body)).status == 200
        (record,) = await records(shop, customer.purse)
        assert record["key_id"] == str(customer.key_ids[customer.inference])

    async def test_an_operator_names_a_project(self, shop: Shop, customer: Customer) -> None:
        assert (await shop.post(PATH, shop.operator, {**TOKENS, **customer.named})).status == 200
        body = {**TOKENS, **customer.named, "livemode": False}
        assert (await shop.post(PATH, shop.operator, body)).status == 200
        (live,) = await records(shop, customer.purse)
        (test,) = await records(shop, customer.test_purse)
        assert live["key_id"] is test["key_id"] is None
        assert live["project_id"] == str(customer.project_id)

    async def test_an_operator_must_name_somebody(self, shop: Shop, customer: Customer) -> None:
        reply = await shop.post(PATH, shop.operator, TOKENS)
        assert (reply.status, "organizationId" in reply.json["details"]) == (400, True)
        body = {**TOKENS, "organizationId": customer.named["organizationId"]}
        reply = await shop.post(PATH, shop.operator, body)
        assert (reply.status, "projectId" in reply.json["details"]) == (400, True)
        body = {**TOKENS, **customer.named, "apiKey": customer.inference}
        reply = await shop.post(PATH, shop.operator, body)
        assert reply.status == 400
        assert reply.json["details"].keys() >= {"organizationId", "projectId"}

    async def test_whom_nobody_knows(self, shop: Shop, customer: Customer) -> None:
        body = {**TOKENS, "apiKey": "tk_live_" + "x" * 43}
        assert (await shop.post(PATH, shop.operator, body)).status == 401
        body = {**TOKENS, **customer.named, "projectId": show_id("prj", uuid7())}
        reply = await shop.post(PATH, shop.operator, body)
        assert (reply.status, reply.json["code"]) == (404, "project_not_found")

    async def test_a_customer_spends_for_itself(self, shop: Shop, customer: Customer) -> None:
        other = await shop.customer()
        for named in (
            {"organizationId": other.named["organizationId"]},
            {"projectId": other.named["projectId"]},
            {"apiKey": other.inference},
            {"apiKey": customer.admin},
            {"livemode": False},
        ):
            reply = await shop.post(PATH, customer.inference, {**TOKENS, **named})
            assert (reply.status, reply.json["code"]) == (403, "forbidden"), named
        reply = await shop.post(PATH, customer.inference, {**TOKENS, **customer.named})
        assert reply.status == 200

    async def test_nobody_without_a_key(self, shop: Shop) -> None:
        for key in (None, "tk_live_wrong", "tk_op_" + "x" * 43):
            assert (await shop.post(PATH, key, TOKENS)).status == 401


def says(**more: Any) -> dict[str, Any]:
    return {**TOKENS, **more}


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        (says(sku="generate_sql"), 400, "provider"),
        ({"usage": {"input": 1}}, 400, "sku"),
        ({"usage": {"input": 1}, "model": "gpt-5"}, 400, "provider"),
        ({"usage": {"input": 1}, "provider": "openai"}, 400, "model"),
        (says(usage={}), 400, "usage"),
        (says(usage={"input": -1}), 400, "usage"),
        (says(usage={"input": 10**16}), 400, "usage"),
        (says(usage={"input": 1.0000000001}), 400, "usage"),
        (says(usage={"input": "many"}), 400, "usage"),
        (says(usage={"input": "NaN"}), 400, "usage"),
        (says(usage={"input": None}), 400, "usage"),
        (says(usage={"input": True}), 400, "usage"),
        (says(usage={"input": 10**15, "output": 10**15}), 400, "usage"),
        (says(usage={f"u{n}": 1 for n in range(51)}), 400, "usage"),
        (says(usage=[1]), 400, "usage"),
        (says(status=99), 400, "status"),
        (says(durationMs=2**31), 400, "durationMs"),
        (says(durationMs=-1), 400, "durationMs"),
        (says(requestId=""), 400, "requestId"),
        (says(requestId="x" * 256), 400, "requestId"),
        (says(threadId="x" * 257), 400, "threadId"),
        (says(input="a\0b"), 400, "input"),
        (says(tags={"a": 1}), 400, "tags"),
        (says(tags={f"t{n}": "x" for n in range(51)}), 400, "tags"),
        (says(amount=1), 400, "amount"),
        ([], 400, "_errors"),
        (b"", 400, "_errors"),
        (b"{", 400, "_errors"),
        (b'{"usage":{"input":NaN}}', 400, "_errors"),
        (b"\xff\xfe", 400, "_errors"),
        (b'{"usage":' + b"[" * 100_000, 400, "_errors"),
        (says(usage={"pages": 1}), 422, None),
        (says(model="gpt-99"), 422, None),
        ({"sku": "nothing", "usage": {"request": 1}}, 422, None),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_bad_input(
    shop: Shop, customer: Customer, body: Any, status: int, named: str | None
) -> None:
    reply = await shop.post(PATH, customer.inference, body)
    assert reply.status == status, reply.body
    if named is None:
        assert reply.json["code"] == "model_not_priced"
    else:
        assert reply.json["details"][named]
    assert (await wallet_of(shop, customer.purse)).posted == 100 * DOLLAR


async def test_all_faults_at_once(shop: Shop, customer: Customer) -> None:
    body = says(status=1, threadId="", extra=1, usage={"input": []}, tags=5)
    reply = await shop.post(PATH, customer.inference, body)
    assert reply.status == 400
    details = reply.json["details"]
    assert details.keys() == {"_errors", "status", "threadId", "extra", "usage", "tags"}
    assert details["usage"]["input"]["_errors"]


async def test_a_failure_costs_nothing_and_is_logged(shop: Shop, customer: Customer) -> None:
    body = says(usage={}, status=500, error="the model broke")
    reply = await shop.post(PATH, customer.inference, body)
    assert (reply.status, reply.json["cost"]) == (200, 0)
    (record,) = await records(shop, customer.purse)
    assert (record["status"], record["detail"]["error"]) == (500, "the model broke")


async def test_a_huge_body_is_not_read(database: Database, clock: MovableClock) -> None:
    small = msgspec.structs.replace(Settings().server, max_body_bytes=2000)
    settings = msgspec.structs.replace(Settings(), server=small)
    async with open_shop(database, clock, settings) as shop:
        customer = await shop.customer()
        reply = await shop.post(PATH, customer.inference, b"x" * 2001)
        assert (reply.status, reply.json["code"]) == (413, "payload_too_large")
        assert (await shop.post(PATH, customer.inference, TOKENS)).status == 200


async def test_previews_can_be_switched_off(database: Database, clock: MovableClock) -> None:
    closed = msgspec.structs.replace(Settings().gateway, input_preview=False)
    settings = msgspec.structs.replace(Settings(), gateway=closed)
    async with open_shop(database, clock, settings) as shop:
        customer = await shop.customer()
        await shop.post(PATH, customer.inference, {**TOKENS, "input": "a secret"})
        (record,) = await records(shop, customer.purse)
        assert "input" not in record["detail"]


async def test_prices_are_those_of_the_moment(shop: Shop, customer: Customer) -> None:
    later = shop.clock.now() + timedelta(hours=1)
    dearer = PriceVersion(
        provider="openai",
        model="gpt-5",
        effective_from=later,
        source="a test",
        rates={"input": GPT.rates["output"], "output": GPT.rates["output"]},
    )
    async with shop.database.transaction() as tx:
        await publish(tx, [dearer], "a test", shop.clock.now())
    await shop.books.refresh()
    assert (await shop.post(PATH, customer.inference, TOKENS)).json["cost"] == COST
    shop.clock.advance(timedelta(hours=1))
    assert (await shop.post(PATH, customer.inference, TOKENS)).json["cost"] == 0.012


async def test_what_a_call_of_a_model_costs_by_being_made(shop: Shop, customer: Customer) -> None:
    searching = PriceVersion(
        provider="perplexity",
        model="sonar",
        effective_from=shop.clock.now(),
        source="a test",
        rates={"input": GPT.rates["input"], "request": Rate(5_000_000, 1)},
    )
    async with shop.database.transaction() as tx:
        await publish(tx, [searching], "a test", shop.clock.now())
    await shop.books.refresh()
    sold = {"provider": "perplexity", "model": "sonar"}
    reply = await shop.post(PATH, customer.inference, {**sold, "usage": {"input": 1000}})
    assert reply.json["cost"] == 0.00625
    usage = {"input": 1000, "request": 2}
    reply = await shop.post(PATH, customer.inference, {**sold, "usage": usage})
    assert reply.json["cost"] == 0.01125
    sku = {"sku": "generate_sql", "usage": {"second": 60}}
    assert (await shop.post(PATH, customer.inference, sku)).json["cost"] == 0.001


async def test_an_estimate_costs_nothing(shop: Shop, customer: Customer) -> None:
    reply = await shop.post("/metering/estimate", customer.inference, TOKENS)
    assert reply.status == 200
    assert reply.body == (
        b'{"cost":0.00325,"currency":"USD","lines":['
        b'{"sku":"gpt-5-llm-input-mtoken","unit":"input","quantity":1000,"price":1.25,'
        b'"per":1000000,"amount":0.00125},'
        b'{"sku":"gpt-5-llm-output-mtoken","unit":"output","quantity":200,"price":10,'
        b'"per":1000000,"amount":0.002}]}'
    )
    body = {"operation": "generate_sql", "estimate": {"second": 90.5}}
    reply = await shop.post("/metering/estimate", shop.operator, body)
    assert reply.json["cost"] == 0.001508333
    assert b'"quantity":90.5' in reply.body
    assert await records(shop, customer.purse) == []
    body = {"operation": "generate_sql", "estimate": {"second": 1}, "usage": {"second": 1}}
    assert (await shop.post("/metering/estimate", shop.operator, body)).status == 400
    body = {"operation": "generate_sql", "usage": {"inches": 1}}
    assert (await shop.post("/metering/estimate", shop.operator, body)).status == 422


async def test_other_methods(shop: Shop, customer: Customer) -> None:
    reply = await shop.get(PATH, customer.inference)
    assert (reply.status, reply.headers["allow"]) == (405, "POST")
