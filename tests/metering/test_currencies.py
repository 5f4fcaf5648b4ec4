"""A call is charged to the first wallet that covers it (V2), and says so everywhere (V1, V5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from metered import DOLLAR, Purse, open_purse
from shop import Customer, Reply, Shop, open_shop

from tollkeeper import ledger, metering
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.money import PositiveMoneyIn
from tollkeeper.base.settings import Currency, Settings
from tollkeeper.db import Connection, Database
from tollkeeper.ledger import Wallet

CHARGES, HOLDS, EVENTS = "/metering/charges", "/metering/holds", "/metering/events"
# $0.00325, of which 1000 input tokens are $0.00125 and 200 output tokens $0.002.
TOKENS = {"provider": "openai", "model": "gpt-5", "usage": {"input": 1000, "output": 200}}
# At $0.30 it is 0.010833333… DIEM.
IN_DIEM = 10_833_334


@pytest.fixture
async def shop(database: Database, clock: MovableClock) -> AsyncIterator[Shop]:
    currencies = {
        "USD": Currency(),
        "DIEM": Currency(usd_value=PositiveMoneyIn(300_000_000)),
        "BUNDLED_CREDITS": Currency(usd_value=PositiveMoneyIn(DOLLAR)),
    }
    async with open_shop(database, clock, Settings(currencies=currencies)) as opened:
        yield opened


async def opened(shop: Shop, customer: Customer, currency: str, amount: int) -> Purse:
    return await open_purse(
        shop.database,
        shop.clock,
        amount,
        org_id=customer.org_id,
        livemode=True,
        currency=currency,
    )


async def posted(shop: Shop, *purses: Purse) -> list[int]:
    return [(await wallet_in(shop, purse)).posted for purse in purses]


async def wallet_in(shop: Shop, purse: Purse) -> Wallet:
    async with shop.database.connection() as connection:
        return await ledger.find_wallet(connection, purse.org_id, purse.wallet_id)


async def all_is_well(shop: Shop) -> None:
    async with shop.database.connection() as connection:
        assert [finding async for finding in metering.verify_costs(connection)] == []
        assert [finding async for finding in ledger.verify(connection, shop.clock)] == []


def said(reply: Reply, *names: str) -> tuple[Any, ...]:
    assert reply.status < 300, reply.body
    return tuple(reply.json[name] for name in names)


async def test_the_first_wallet_that_covers_is_charged(shop: Shop) -> None:
    customer = await shop.customer(DOLLAR)
    key = customer.inference
    bundled = await opened(shop, customer, "BUNDLED_CREDITS", 4_000_000)
    diem = await opened(shop, customer, "DIEM", 2 * IN_DIEM)
    body = {**TOKENS, "requestId": "one"}
    first = await shop.post(CHARGES, key, body)
    assert said(first, "cost", "currency", "balance") == (0.010833334, "DIEM", 0.010833334)
    second = await shop.post(CHARGES, key, TOKENS)
    assert said(second, "cost", "currency") == (0.010833334, "DIEM")
    third = await shop.post(CHARGES, key, TOKENS)
    assert said(third, "cost", "currency", "balance") == (0.00325, "BUNDLED_CREDITS", 0.00075)
    last_body = {**TOKENS, "requestId": "four"}
    fourth = await shop.post(CHARGES, key, last_body)
    assert said(fourth, "cost", "currency") == (0.00325, "USD")
    # The same request again finds its first charge, in whichever wallet that was.
    assert (await shop.post(CHARGES, key, body)).body == first.body
    assert (await shop.post(CHARGES, key, last_body)).body == fourth.body
    assert await posted(shop, diem, bundled, customer.purse) == [0, 750_000, 996_750_000]
    await all_is_well(shop)


async def test_a_call_nobody_covers_is_refused_in_dollars(shop: Shop) -> None:
    customer = await shop.customer(1_000_000)
    diem = await opened(shop, customer, "DIEM", IN_DIEM - 1)
    reply = await shop.post(CHARGES, customer.inference, TOKENS)
    assert reply.status == 402
    members = {name: reply.json[name] for name in ("code", "required", "available", "currency")}
    assert members == {
        "code": "insufficient_credits",
        "required": 0.00325,
        "available": 0.001,
        "currency": "USD",
    }
    # What is known of an organization's wallets may be old: before it is refused, it is asked.
    bundled = await opened(shop, customer, "BUNDLED_CREDITS", 5_000_000)
    charged = await shop.post(CHARGES, customer.inference, TOKENS)
    assert said(charged, "currency") == ("BUNDLED_CREDITS",)
    async with shop.database.transaction() as tx:
        await ledger.freeze(tx, customer.org_id, bundled.wallet_id, "fraud")
    assert (await shop.post(CHARGES, customer.inference, TOKENS)).status == 402
    assert await posted(shop, diem, customer.purse) == [IN_DIEM - 1, 1_000_000]


async def test_a_frozen_wallet_is_passed_over(shop: Shop) -> None:
    customer = await shop.customer(DOLLAR)
    diem = await opened(shop, customer, "DIEM", DOLLAR)
    async with shop.database.transaction() as tx:
        await ledger.freeze(tx, customer.org_id, diem.wallet_id, "under review")
    charged = await shop.post(CHARGES, customer.inference, TOKENS)
    assert said(charged, "currency") == ("USD",)
    found = (await shop.get("/billing/balance", customer.admin)).json
    assert (found["consumptionCurrency"], found["balances"]["diem"]) == ("USD", 1)
    async with shop.database.transaction() as tx:
        await ledger.freeze(tx, customer.org_id, customer.purse.wallet_id, "dispute")
    refused = await shop.post(CHARGES, customer.inference, TOKENS)
    assert (refused.status, refused.json["code"]) == (402, "wallet_frozen")
    await shop.post(EVENTS, customer.inference, [{**TOKENS, "id": "past"}])
    assert await posted(shop, diem, customer.purse) == [DOLLAR, DOLLAR - 2 * 3_250_000]


async def test_a_hold_is_settled_where_it_was_placed(shop: Shop) -> None:
    customer = await shop.customer(DOLLAR)
    diem = await opened(shop, customer, "DIEM", 40_000_000)
    key = customer.inference
    asked = {"provider": "openai", "model": "gpt-5", "maxAmount": 0.01, "requestId": "job"}
    placed = await shop.post(HOLDS, key, asked)
    assert said(placed, "amount", "currency") == (0.033333334, "DIEM")
    # What comes next does not fit beside it, and is held in dollars; neither is held twice.
    other = await shop.post(HOLDS, key, {**asked, "requestId": "other"})
    assert said(other, "amount", "currency") == (0.01, "USD")
    for first, request_id in ((placed, "job"), (other, "other")):
        again = await shop.post(HOLDS, key, {**asked, "requestId": request_id})
        assert again.body == first.body
    assert (await wallet_in(shop, diem)).held == 33_333_334
    assert (await wallet_in(shop, customer.purse)).held == 10_000_000
    path = f"{HOLDS}/{placed.json['id']}/settle"
    used = {"usage": TOKENS["usage"]}
    settled = await shop.post(path, key, used)
    assert said(settled, "cost", "currency", "balance") == (0.010833334, "DIEM", 0.029166666)
    assert (await shop.post(path, key, used)).body == settled.body
    settled = await shop.post(f"{HOLDS}/{other.json['id']}/settle", key, used)
    assert said(settled, "cost", "currency") == (0.00325, "USD")
    stranger = await shop.customer()
    assert (await shop.post(path, stranger.inference, used)).status == 404
    assert (await shop.ask("DELETE", f"{HOLDS}/{other.json['id']}", key)).json["state"] == "settled"
    assert (await wallet_in(shop, diem)).held == (await wallet_in(shop, customer.purse)).held == 0
    await all_is_well(shop)


async def test_past_usage_goes_below_zero_in_dollars_only(shop: Shop) -> None:
    customer, plain = await shop.customer(4_000_000), await shop.customer(0)
    diem = await opened(shop, customer, "DIEM", IN_DIEM)
    events = [{**TOKENS, "id": f"e{n}"} for n in range(3)]
    reply = await shop.post(EVENTS, customer.inference, events)
    assert reply.json["accepted"] == 3, reply.body
    again = await shop.post(EVENTS, customer.inference, events)
    assert again.json["duplicate"] == 3
    assert await posted(shop, diem, customer.purse) == [0, -2_500_000]
    named = [{**event, **plain.named, "livemode": True} for event in events]
    both = [*named, *({**TOKENS, **customer.named, "id": f"x{n}"} for n in range(3))]
    assert (await shop.post(EVENTS, shop.operator, both)).json["accepted"] == 6
    assert await posted(shop, plain.purse, diem) == [-9_750_000, 0]
    await all_is_well(shop)


async def test_eight_at_once_never_take_more_than_there_is(shop: Shop) -> None:
    customer = await shop.customer(5 * 3_250_000)
    diem = await opened(shop, customer, "DIEM", 4 * IN_DIEM + 1)
    await shop.meter.purses.again(customer.org_id, livemode=True)

    async def work(number: int) -> list[str | int]:
        found: list[str | int] = []
        for turn in range(3):
            body = {**TOKENS, "requestId": f"{number}/{turn}"}
            if number % 2:
                reply = await shop.post(CHARGES, customer.inference, body)
            else:
                asked = {**body, "estimate": body["usage"]}
                del asked["usage"]
                reply = await shop.post(HOLDS, customer.inference, asked)
                if reply.status == 201:
                    path = f"{HOLDS}/{reply.json['id']}/settle"
                    reply = await shop.post(path, customer.inference, {"usage": body["usage"]})
            found.append(reply.json["currency"] if reply.status == 200 else reply.status)
        return found

    ended = [one for part in await asyncio.gather(*map(work, range(8))) for one in part]
    assert {kind: ended.count(kind) for kind in set(ended)} == {"DIEM": 4, "USD": 5, 402: 15}
    assert await posted(shop, diem, customer.purse) == [1, 0]
    await all_is_well(shop)


async def test_usage_and_balance_say_their_currency(shop: Shop) -> None:
    customer = await shop.customer(6 * DOLLAR)
    await opened(shop, customer, "DIEM", IN_DIEM)
    for _ in range(2):
        assert (await shop.post(CHARGES, customer.inference, TOKENS)).status == 200
    rows = (await shop.get("/billing/usage?currency=DIEM", customer.admin)).json["data"]
    shown = {row["sku"]: (row["amount"], row["pricePerUnitUsd"], row["currency"]) for row in rows}
    assert shown == {
        "gpt-5-llm-input-mtoken": (-0.004166667, 1.25, "DIEM"),
        "gpt-5-llm-output-mtoken": (-0.006666667, 10, "DIEM"),
    }
    rows = (await shop.get("/billing/usage", customer.admin)).json["data"]
    assert sorted(row["currency"] for row in rows) == ["DIEM", "DIEM", "USD", "USD"]
    assert (await shop.get("/billing/usage?currency=VCU", customer.admin)).status == 400
    found = (await shop.get("/billing/balance", customer.admin)).json
    assert found["balances"] == {"diem": 0, "bundledCredits": None, "usd": 5.99675}
    assert (found["consumptionCurrency"], found["available"]) == ("USD", 5.99675)
    await opened(shop, customer, "BUNDLED_CREDITS", 5 * DOLLAR)
    found = (await shop.get("/billing/balance", customer.admin)).json
    assert found["consumptionCurrency"] == "BUNDLED_CREDITS"
    assert (found["available"], found["canConsume"], found["lowBalance"]) == (5, True, True)
    records = (await shop.get("/billing/usage-records?currency=DIEM", customer.admin)).json["data"]
    (record,) = records
    in_full = await shop.get(f"/billing/usage-records/{record['id']}", customer.admin)
    assert in_full.json["formula"].endswith("= 0.010833334 DIEM, each worth 0.3 USD")
    assert sum(Decimal(str(line["amount"])) for line in in_full.json["lines"]) == Decimal(
        "0.010833334"
    )


async def test_what_a_currency_was_worth_cannot_be_changed_unnoticed(
    shop: Shop, owner: Connection
) -> None:
    customer = await shop.customer()
    await opened(shop, customer, "DIEM", DOLLAR)
    changes = {
        "detail = jsonb_set(detail, '{usdValue}', '400000000')": "amount",
        "detail = detail - 'usdValue'": "amount",
        "detail = jsonb_set(detail, '{usdValue}', '\"much\"')": "detail.rating",
        "detail = detail - 'currency'": "detail.currency",
        "amount = amount + 1": "amount",
    }
    for seq, change in enumerate(changes, 1):
        assert (await shop.post(CHARGES, customer.inference, TOKENS)).json["currency"] == "DIEM"
        await owner.execute(f"UPDATE usage_record SET {change} WHERE seq = {seq}".encode())
    async with shop.database.connection() as connection:
        found = [finding async for finding in metering.verify_costs(connection)]
    first = {finding.seq: finding.column for finding in reversed(found)}
    assert list(dict(sorted(first.items(), key=str)).values()) == list(changes.values())
