"""Buying credit in test mode: once, within the limits, and seen everywhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from tollkeeper import ledger
from tollkeeper.base.money import PositiveMoneyIn
from tollkeeper.base.settings import Credits, Settings
from tollkeeper.db import Connection
from tollkeeper.ledger import EntryKind, LotKind
from whole import DOLLAR, Answer, Customer, Whole, whole_served


async def buy(whole: Whole, customer: Customer, amount: Any, **headers: str) -> Answer:
    key = customer.keys["test ADMIN"]
    return await whole.ask("POST", "/billing/purchases", key, {"amount": amount}, **headers)


async def transactions(whole: Whole, customer: Customer, query: str = "") -> Answer:
    return await whole.ask("GET", f"/billing/transactions{query}", customer.keys["test ADMIN"])


async def test_a_quote_is_what_it_costs(whole: Whole, customer: Customer) -> None:
    key = customer.keys["test ADMIN"]
    answer = await whole.ask("POST", "/billing/quotes", key, {"amount": 25})
    assert answer.status == 200
    assert answer.json == {"credit": 25, "fee": 0, "tax": 0, "total": 25, "currency": "USD"}


async def test_bought_credit_is_there_at_once(whole: Whole, customer: Customer) -> None:
    answer = await buy(whole, customer, 25)
    assert answer.status == 201
    bought = answer.json
    assert (bought["status"], bought["amount"], bought["balanceAfter"]) == ("succeeded", 25, 35)
    path = f"/billing/purchases/{bought['id']}"
    assert (await whole.ask("GET", path, customer.keys["test ADMIN"])).json == bought
    async with whole.database.connection() as connection:
        wallets = await ledger.wallets_of(connection, customer.org_id)
        wallet = next(w for w in wallets if not w.livemode)
        (entry,) = await ledger.entries(
            connection, customer.org_id, wallet.wallet_id, limit=9, kinds=[EntryKind.PURCHASE]
        )
        lots = await ledger.lots(connection, customer.org_id, wallet.wallet_id)
    assert (wallet.posted, entry.amount) == (35 * DOLLAR, 25 * DOLLAR)
    assert [
        (lot.kind, lot.amount, lot.expires_at) for lot in lots if lot.lot_id == entry.lot_id
    ] == [(LotKind.PURCHASED, 25 * DOLLAR, None)]


async def test_one_key_buys_once_however_often_it_is_sent(whole: Whole, customer: Customer) -> None:
    key = str(uuid4())
    answers = await asyncio.gather(
        *(buy(whole, customer, 10, idempotency_key=key) for _ in range(10))
    )
    assert {answer.status for answer in answers} <= {201, 409}
    assert len({answer.json["id"] for answer in answers if answer.status == 201}) == 1
    again = await buy(whole, customer, 10, idempotency_key=key)
    assert again.headers["idempotent-replayed"] == "true"
    assert len((await transactions(whole, customer)).json["data"]) == 1


async def test_a_purchase_whose_answer_was_lost_is_found_not_repeated(
    whole: Whole, customer: Customer, owner: Connection
) -> None:
    """The process died after the commit: the key is still there, its answer is not."""
    key = str(uuid4())
    first = await buy(whole, customer, 10, idempotency_key=key)
    await owner.execute(
        "UPDATE idempotency SET state = 'running', status = NULL, leased_until = now()"
        " WHERE key = %s",
        (key,),
    )
    again = await buy(whole, customer, 10, idempotency_key=key)
    assert again.json == first.json
    assert len((await transactions(whole, customer)).json["data"]) == 1


@pytest.mark.parametrize(
    ("amount", "why"),
    [
        (4.999999999, "must be from 5 to 1000"),
        (1000.000000001, "must be from 5 to 1000"),
        (0, "must be an amount above 0"),
        (-5, "must be an amount above 0"),
        ("5", "must be an amount above 0"),
    ],
)
async def test_amounts_outside_the_limits_are_refused(
    whole: Whole, customer: Customer, amount: Any, why: str
) -> None:
    for path in ("/billing/purchases", "/billing/quotes"):
        answer = await whole.ask("POST", path, customer.keys["test ADMIN"], {"amount": amount})
        assert answer.status == 400
        assert answer.json["details"]["amount"]["_errors"][0].startswith(why)
    assert (await transactions(whole, customer)).json["data"] == []


async def test_the_limits_themselves_may_be_bought(whole: Whole, customer: Customer) -> None:
    assert (await buy(whole, customer, 5)).status == 201
    assert (await buy(whole, customer, 1000)).status == 201


async def test_live_credit_needs_a_payment_processor(whole: Whole, customer: Customer) -> None:
    key = customer.keys["live ADMIN"]
    answer = await whole.ask("POST", "/billing/purchases", key, {"amount": 25})
    assert (answer.status, answer.json["code"]) == (422, "payments_not_configured")
    listed = await whole.ask("GET", "/billing/transactions?include=all", key)
    assert listed.json["data"] == []


async def test_an_inference_key_does_not_buy(whole: Whole, customer: Customer) -> None:
    key = customer.keys["test INFERENCE"]
    answer = await whole.ask("POST", "/billing/purchases", key, {"amount": 25})
    assert (answer.status, answer.json["code"]) == (401, "admin_key_required")


async def test_another_organization_s_purchase_is_not_found(
    whole: Whole, customer: Customer
) -> None:
    stranger = await whole.customer()
    bought = (await buy(whole, customer, 25)).json
    path = f"/billing/purchases/{bought['id']}"
    for key in (stranger.keys["test ADMIN"], customer.keys["live ADMIN"]):
        assert (await whole.ask("GET", path, key)).status == 404
    assert (await whole.ask("GET", "/billing/purchases/pur_x", key)).status == 404


async def test_transactions_are_purchases_unless_all_are_asked_for(
    whole: Whole, customer: Customer
) -> None:
    bought = (await buy(whole, customer, 25)).json
    (row,) = (await transactions(whole, customer)).json["data"]
    assert (row["type"], row["amount"], row["purchaseId"]) == ("Purchase", 25, bought["id"])
    everything = (await transactions(whole, customer, "?include=all")).json["data"]
    assert [(r["type"], r["amount"], r["balanceAfter"]) for r in everything] == [
        ("Purchase", 25, 35),
        ("Grant", 10, 10),
    ]
    grants = (await transactions(whole, customer, "?type=Grant")).json["data"]
    assert [r["description"] for r in grants] == ["Sandbox credit"]
    assert (await transactions(whole, customer, "?type=Auto%20Top-up")).json["data"] == []
    unknown = await transactions(whole, customer, "?type=Gift")
    assert (unknown.status, "type" in unknown.json["details"]) == (400, True)


async def test_transactions_go_on_where_the_page_before_ended(
    whole: Whole, customer: Customer
) -> None:
    for amount in (5, 6, 7):
        await buy(whole, customer, amount)
    first = (await transactions(whole, customer, "?limit=2")).json
    await buy(whole, customer, 8)  # arrives while the list is read
    rest = (await transactions(whole, customer, f"?limit=2&cursor={first['nextCursor']}")).json
    assert [row["amount"] for row in first["data"] + rest["data"]] == [7, 6, 5]
    assert rest["nextCursor"] is None


async def test_transactions_as_csv(whole: Whole, customer: Customer) -> None:
    await buy(whole, customer, 25)
    key = customer.keys["test ADMIN"]
    answer = await whole.ask("GET", "/billing/transactions", key, accept="text/csv")
    heading, row, *_ = answer.text.splitlines()
    assert heading == "id,timestamp,type,amount,currency,balanceAfter,purchaseId,description"
    assert ",Purchase,25,USD,35,pur_" in row


@pytest.fixture
async def wren(database_url: str) -> AsyncIterator[Whole]:
    """Wren's limits: at least 15."""
    limits = Credits(purchase_min_nanos=PositiveMoneyIn(15 * DOLLAR))
    async with whole_served(database_url, Settings(credits=limits)) as served:
        yield served


async def test_the_limits_are_settings(wren: Whole) -> None:
    customer = await wren.customer()
    assert (await buy(wren, customer, 14.99)).json["code"] == "amount_out_of_range"
    assert (await buy(wren, customer, 15)).status == 201


@pytest.fixture
async def strict(database_url: str) -> AsyncIterator[Whole]:
    async with whole_served(database_url, Settings(credits=Credits(address_required=True))) as one:
        yield one


async def test_who_buys_may_have_to_say_who_they_are(strict: Whole) -> None:
    customer = await strict.customer()
    refused = await buy(strict, customer, 15)
    assert (refused.status, list(refused.json["details"])) == (400, ["_errors", "billingAddress"])
    address = {"country": "IE", "line1": "1 Main Street", "city": "Dublin"}
    body = {"amount": 15, "billingAddress": address}
    key = customer.keys["test ADMIN"]
    assert (await strict.ask("POST", "/billing/purchases", key, body)).status == 201
    # From then on it is known.
    assert (await buy(strict, customer, 15)).status == 201
