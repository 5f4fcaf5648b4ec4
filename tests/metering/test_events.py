"""`POST /metering/events` over real HTTP: each event once, each with its own result (M7)."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from metered import DOLLAR, GPT
from shop import Customer, Reply, Shop, open_shop
from test_charges import records, wallet_of

from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.base.settings import Settings
from tollkeeper.db import Database
from tollkeeper.orgs import archive_project, revoke_key
from tollkeeper.pricing import PriceVersion, publish

PATH = "/metering/events"
NDJSON = "application/x-ndjson"
BATCH = "application/cloudevents-batch+json"


def event(event_id: str, **more: Any) -> dict[str, Any]:
    said: dict[str, Any] = {
        "id": event_id,
        "provider": "openai",
        "model": "gpt-5",
        "usage": {"input": 1000, "output": 200},
        **more,
    }
    return {name: value for name, value in said.items() if value is not None}


def cloud(event_id: str, **more: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": "/agents/sql",
        "type": "generate_sql",
        "datacontenttype": "application/json",
        "someextension": "kept by others",
        "data": {"usage": {"request": 1}},
        **more,
    }


def results(reply: Reply) -> list[str]:
    assert reply.status == 200, reply.body
    return [result["status"] for result in reply.json["results"]]


async def test_events_are_charged(shop: Shop, customer: Customer) -> None:
    reply = await shop.post(PATH, customer.inference, [event("a"), event("b")])
    assert reply.status == 200
    assert reply.body == (
        b'{"accepted":2,"duplicate":0,"rejected":0,"results":['
        b'{"id":"a","status":"accepted"},{"id":"b","status":"accepted"}]}'
    )
    assert (await wallet_of(shop, customer.purse)).posted == 100 * DOLLAR - 2 * 3_250_000
    assert {record["request_id"] for record in await records(shop, customer.purse)} == {"a", "b"}


async def test_each_is_taken_once(shop: Shop, customer: Customer) -> None:
    batch = [event("a"), event("b"), event("a"), event("a", source="other")]
    reply = await shop.post(PATH, customer.inference, batch)
    assert results(reply) == ["accepted", "accepted", "duplicate", "accepted"]
    replies = await asyncio.gather(*(shop.post(PATH, customer.inference, batch) for _ in range(8)))
    for again in replies:
        assert results(again) == ["duplicate"] * 4
        assert again.json["duplicate"] == 4
    assert len(await records(shop, customer.purse)) == 3
    other = [event("a", usage={"input": 7})]
    reply = await shop.post(PATH, customer.inference, other)
    assert results(reply) == ["rejected"]
    assert reply.json["results"][0]["code"] == "idempotency_key_reused"


async def test_unique_within_an_organization_and_mode(shop: Shop, customer: Customer) -> None:
    other = await shop.customer()
    for key in (customer.admin, customer.test_admin, other.admin):
        assert results(await shop.post(PATH, key, [event("a")])) == ["accepted"]
    names = [("ab", "c"), ("a", "bc"), ("", "a/b"), ("a", "/b"), ("a/", "b")]
    batch = [event(event_id, source=source) for source, event_id in names]
    assert results(await shop.post(PATH, customer.admin, batch)) == ["accepted"] * 5


async def test_the_past_always_posts_and_blocks_what_comes_next(shop: Shop) -> None:
    customer = await shop.customer(5_000_000)
    reply = await shop.post(PATH, customer.inference, [event(str(n)) for n in range(3)])
    assert results(reply) == ["accepted"] * 3
    assert (await wallet_of(shop, customer.purse)).posted == 5_000_000 - 3 * 3_250_000
    charge = event("x")
    del charge["id"]
    reply = await shop.post("/metering/charges", customer.inference, charge)
    assert (reply.status, reply.json["available"]) == (402, 0)


async def test_one_bad_event_spoils_no_other(shop: Shop, customer: Customer) -> None:
    soon, long_ago = "2026-11-20T12:06:00Z", "2026-08-01T00:00:00Z"
    batch: list[Any] = [
        event("good"),
        event("gone", model="gpt-99"),
        event("odd", usage={"furlong": 1}),
        event("minus", usage={"input": -1}),
        event("empty", usage={}),
        event("soon", time=soon),
        event("old", time=long_ago),
        event("when", time="yesterday"),
        event("naked", time="2026-11-20T11:00:00"),
        event("extra", price=1),
        event("nul", input="a\0b"),
        event("named", organizationId="org_" + "0" * 32),
        event("line", organizationId="org_" + "0" * 32 + "\n"),
        {"usage": {"input": 1}},
        5,
        event("last", time="2026-11-20T13:00:00+02:00"),
    ]
    reply = await shop.post(PATH, customer.inference, batch)
    assert results(reply) == ["accepted", *["rejected"] * 14, "accepted"]
    said = {result["id"]: result for result in reply.json["results"]}
    assert said["gone"]["code"] == said["odd"]["code"] == "model_not_priced"
    assert said["minus"]["code"] == "invalid_usage"
    assert "future" in said["soon"]["reason"]
    assert "90 days" in said["old"]["reason"]
    assert "price" in said["extra"]["reason"]
    assert said["named"]["code"] == "forbidden"
    assert said["line"]["code"] == "invalid_request"
    assert said[None]["code"] == "invalid_request"
    assert (reply.json["accepted"], reply.json["rejected"]) == (2, 14)
    _, last = await records(shop, customer.purse)
    assert last["started_at"].startswith("2026-11-20T11:00:00")
    assert last["recorded_at"].startswith("2026-11-20T12:00:00")


async def test_what_only_looks_like_nul_is_taken(shop: Shop, customer: Customer) -> None:
    for kind in ("application/json", NDJSON):
        batch = [event(f"{kind}-1", input="a\\u0000"), event(f"{kind}-2", tags={"a": "\0"})]
        body = json.dumps(batch) if kind != NDJSON else "\n".join(map(json.dumps, batch))
        reply = await shop.post(PATH, customer.inference, body.encode(), content_type=kind)
        assert results(reply) == ["accepted", "rejected"]
        assert "U+0000" in reply.json["results"][1]["reason"]


async def test_of_ten_thousand_wrong_ones_the_first_twenty_are_explained(
    shop: Shop, customer: Customer
) -> None:
    """All faults of one take a thousand times as long to find as the first, and others wait."""
    reply = await shop.post(PATH, customer.inference, [{"id": "x", "price": 1}] * 10_000)
    assert reply.json["rejected"] == 10_000
    reasons = [one["reason"] for one in reply.json["results"]]
    (explained,), (first,) = set(reasons[:20]), set(reasons[20:])
    assert explained.count(": ") > first.count(": ") >= 1, (explained, first)
    for wrong in (event("x", input="\0"), 5):
        reply = await shop.post(PATH, customer.inference, [wrong] * 10_000)
        assert reply.json["rejected"] == 10_000
        assert reply.json["results"][-1]["reason"]


async def test_rated_at_the_price_of_its_time(shop: Shop, customer: Customer) -> None:
    output = GPT.rates["output"]
    rates = {"input": output, "output": output}
    dearer = PriceVersion(
        provider="openai",
        model="gpt-5",
        effective_from=shop.clock.now() + timedelta(seconds=1),
        source="a test",
        rates=rates,
    )
    async with shop.database.transaction() as tx:
        await publish(tx, [dearer], "a test", shop.clock.now())
    await shop.books.refresh()
    shop.clock.advance(timedelta(hours=1))
    batch = [event("then", time="2026-11-20T12:00:00Z"), event("now")]
    assert results(await shop.post(PATH, customer.inference, batch)) == ["accepted"] * 2
    amounts = [record["amount"] for record in await records(shop, customer.purse)]
    assert amounts == [3_250_000, 12_000_000]


async def test_ndjson(shop: Shop, customer: Customer) -> None:
    lines = [json.dumps(event("a")), "", json.dumps(event("b")), "{broken", "[]", "  "]
    body = "\r\n".join(lines).encode()
    reply = await shop.post(PATH, customer.inference, body, content_type=NDJSON)
    assert results(reply) == ["accepted", "accepted", "rejected", "rejected"]


async def test_cloud_events(shop: Shop, customer: Customer) -> None:
    batch = [
        cloud("1"),
        cloud(
            "2", time="2026-11-20T11:59:00Z", data={"sku": "generate_sql", "usage": {"second": 3}}
        ),
        cloud("1"),
        cloud("3", specversion="0.3"),
        cloud("4", data={"usage": {"request": 1}, "price": 1}),
        cloud("5", type="unknown"),
    ]
    reply = await shop.post(PATH, customer.inference, batch, content_type=BATCH)
    assert results(reply) == ["accepted", "accepted", "duplicate", *["rejected"] * 3]
    single = msgspec.json.encode(cloud("6"))
    kind = "application/cloudevents+json; charset=utf-8"
    assert results(await shop.post(PATH, customer.inference, single, content_type=kind)) == [
        "accepted"
    ]
    first, second, third = await records(shop, customer.purse)
    assert (first["operation"], first["amount"]) == ("generate_sql", 20_000_000)
    assert second["started_at"].startswith("2026-11-20T11:59:00")
    assert third["request_id"] == "6"


async def test_a_subject_names_who_pays(shop: Shop, customer: Customer) -> None:
    named = customer.named
    subject = f"{named['organizationId']}/{named['projectId']}"
    batch = [cloud("1", subject=subject), cloud("2", subject="acme"), cloud("3")]
    reply = await shop.post(PATH, shop.operator, batch, content_type=BATCH)
    assert results(reply) == ["accepted", "rejected", "rejected"]
    (record,) = await records(shop, customer.purse)
    assert record["project_id"] == str(customer.project_id)


async def test_an_operator_reports_for_many(shop: Shop, customer: Customer) -> None:
    other = await shop.customer()
    batch = [
        event("1", apiKey=customer.inference),
        event("2", **other.named),
        event("3", **other.named, livemode=False),
        event("4", apiKey="tk_live_" + "x" * 43),
        event("5"),
    ]
    reply = await shop.post(PATH, shop.operator, batch)
    assert results(reply) == ["accepted"] * 3 + ["rejected"] * 2
    assert [r.get("code") for r in reply.json["results"][3:]] == [
        "invalid_api_key",
        "invalid_request",
    ]
    for purse in (customer.purse, other.purse, other.test_purse):
        assert len(await records(shop, purse)) == 1


async def test_the_past_posts_whatever_became_of_its_key_and_project(shop: Shop) -> None:
    revoked, archived = await shop.customer(), await shop.customer()
    now = shop.clock.now()
    async with shop.database.transaction() as tx:
        await revoke_key(tx, revoked.org_id, revoked.key_ids[revoked.inference], now)
        await archive_project(tx, archived.org_id, archived.project_id, now)
    async with asyncio.timeout(20):
        for key in (revoked.inference, archived.inference):
            while (  # noqa: ASYNC110 (a ring hears of it within a second)
                await shop.post("/metering/charges", key, {})
            ).status != 401:
                await asyncio.sleep(0.05)
    batch = [
        event("1", apiKey=revoked.inference),
        event("2", apiKey=archived.inference),
        event("3", **archived.named),
        event("4", **archived.named | {"projectId": show_id("prj", uuid7())}),
    ]
    reply = await shop.post(PATH, shop.operator, batch)
    assert results(reply) == ["accepted"] * 3 + ["rejected"]
    (record,) = await records(shop, revoked.purse)
    assert record["key_id"] == str(revoked.key_ids[revoked.inference])
    assert len(await records(shop, archived.purse)) == 2
    for path in ("/metering/charges", "/metering/holds"):
        for said, status in ((batch[0], 401), (batch[2], 404)):
            call = {**said, "requestId": said["id"]}
            if path == "/metering/holds":
                call["estimate"] = call.pop("usage")
            del call["id"]
            assert (await shop.post(path, shop.operator, call)).status == status


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "application/json"),
        (b"{}", "application/json"),
        (b"[", "application/json"),
        (b"[1,]", "application/json"),
        (b"\xff", "application/json"),
        (b"[" * 200_000, "application/json"),
        (b"5", BATCH),
        (b"a,b", "text/csv"),
    ],
)
async def test_what_is_no_list(
    shop: Shop, customer: Customer, body: bytes, content_type: str
) -> None:
    reply = await shop.post(PATH, customer.inference, body, content_type=content_type)
    assert reply.status == 400, reply.body
    assert reply.json["code"] == "invalid_request"


async def test_nothing_is_a_list_too(shop: Shop, customer: Customer) -> None:
    reply = await shop.post(PATH, customer.inference, [])
    assert reply.json == {"accepted": 0, "duplicate": 0, "rejected": 0, "results": []}


@pytest.mark.parametrize("kind", ["array", "ndjson", "cloud"])
async def test_so_many_and_no_more(database: Database, clock: MovableClock, kind: str) -> None:
    few = msgspec.structs.replace(Settings().metering, events_limit=5)
    settings = msgspec.structs.replace(Settings(), metering=few)
    async with open_shop(database, clock, settings) as shop:
        customer = await shop.customer()

        async def send(count: int) -> Reply:
            if kind == "cloud":
                batch = [cloud(str(n)) for n in range(count)]
                return await shop.post(PATH, customer.inference, batch, content_type=BATCH)
            events = [event(str(n)) for n in range(count)]
            if kind == "array":
                return await shop.post(PATH, customer.inference, events)
            body = b"\n".join(map(msgspec.json.encode, events))
            return await shop.post(PATH, customer.inference, body, content_type=NDJSON)

        assert (await send(6)).status == 400
        assert await records(shop, customer.purse) == []
        assert results(await send(5)) == ["accepted"] * 5


async def test_ten_thousand(shop: Shop, customer: Customer) -> None:
    batch = [event(str(n), usage={"input": n}) for n in range(10_000)]
    reply = await shop.post(PATH, customer.inference, batch)
    assert reply.json["accepted"] == 10_000
    again = await shop.post(PATH, customer.inference, batch)
    assert again.json["duplicate"] == 10_000
    cost = sum((n * 1_250_000_000 * 2 + 1_000_000) // 2_000_000 for n in range(10_000))
    assert (await wallet_of(shop, customer.purse)).posted == 100 * DOLLAR - cost
    reply = await shop.post(PATH, customer.inference, [*batch, event("one more")])
    assert reply.status == 400


async def test_more_debt_than_a_balance_can_hold(shop: Shop, customer: Customer) -> None:
    huge = [event(str(n), usage={"output": 10**14}) for n in range(4)]
    reply = await shop.post(PATH, customer.inference, huge)
    assert results(reply) == ["accepted", "accepted", "rejected", "rejected"]
    assert reply.json["results"][2]["code"] == "balance_too_large"
