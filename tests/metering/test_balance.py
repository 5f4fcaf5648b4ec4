"""`GET /billing/balance`, `/billing/entries` and `/billing/lots` (M13)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from metered import DOLLAR, open_purse, rated
from shop import Customer, Shop

from tollkeeper import ledger
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.ledger import Entry, EntryKind, LotKind, NewLot, Posting
from tollkeeper.metering.billing.balance import camel


async def post(shop: Shop, customer: Customer, kind: EntryKind, amount: int, **more: Any) -> Entry:
    posting = Posting(
        org_id=customer.org_id,
        wallet_id=customer.purse.wallet_id,
        entry_id=uuid7(),
        kind=kind,
        amount=amount,
        **more,
    )
    async with shop.database.transaction() as tx:
        return await ledger.post(tx, posting, shop.clock.now())


async def balance(shop: Shop, key: str) -> dict[str, Any]:
    reply = await shop.get("/billing/balance", key)
    assert reply.status == 200, reply.body
    return reply.json


async def test_the_balance(shop: Shop, customer: Customer) -> None:
    await post(shop, customer, EntryKind.PURCHASE, 20 * DOLLAR, lot=NewLot(kind=LotKind.PURCHASED))
    await shop.meter.hold(customer.purse.hold(3 * DOLLAR))
    await shop.meter.settle(customer.purse.charge(2 * DOLLAR))
    assert await balance(shop, customer.admin) == {
        "canConsume": True,
        "consumptionCurrency": "USD",
        "balances": {"usd": 118},
        "available": 115,
        "held": 3,
        "posted": 118,
        "lowBalance": False,
        "lifetimeAdded": 20,
        "lifetimeSpent": 2,
        "autoTopUp": {"enabled": False, "threshold": None},
    }
    assert (await balance(shop, customer.test_admin))["balances"] == {"usd": 100}


@pytest.mark.parametrize(
    ("left", "low", "can"),
    [(5_000_000_001, False, True), (5 * DOLLAR, True, True), (1, True, True), (0, True, False)],
)
async def test_low_and_empty(shop: Shop, left: int, low: bool, can: bool) -> None:
    customer = await shop.customer(left)
    found = await balance(shop, customer.admin)
    assert (found["lowBalance"], found["canConsume"]) == (low, can)


async def test_a_frozen_balance_cannot_be_consumed(shop: Shop, customer: Customer) -> None:
    async with shop.database.transaction() as tx:
        await ledger.freeze(tx, customer.org_id, customer.purse.wallet_id, "dispute")
    assert (await balance(shop, customer.admin))["canConsume"] is False


async def test_the_first_currency_with_credit_is_consumed(shop: Shop) -> None:
    shop.settings.currencies["BUNDLED_CREDITS"] = shop.settings.currencies["USD"]
    customer = await shop.customer(0)
    await open_purse(
        shop.database,
        shop.clock,
        7 * DOLLAR,
        org_id=customer.org_id,
        livemode=True,
        currency="BUNDLED_CREDITS",
    )
    found = await balance(shop, customer.admin)
    assert found["consumptionCurrency"] == "BUNDLED_CREDITS"
    assert found["balances"] == {"usd": 0, "bundledCredits": 7}
    assert (found["available"], found["canConsume"]) == (7, True)


def test_codes_as_members() -> None:
    assert [camel(code) for code in ("USD", "DIEM", "BUNDLED_CREDITS")] == [
        "usd",
        "diem",
        "bundledCredits",
    ]


@pytest.mark.parametrize("path", ["balance", "entries", "lots", "usage-records", "usage-history"])
async def test_inference_keys_do_not_read_billing(
    shop: Shop, customer: Customer, path: str
) -> None:
    assert (await shop.get(f"/billing/{path}", customer.inference)).status == 401
    assert (await shop.get(f"/billing/{path}", shop.operator)).status == 401
    assert (await shop.get(f"/billing/{path}?typo=1", customer.admin)).status == 400


async def test_entries(shop: Shop, customer: Customer) -> None:
    shop.clock.advance(timedelta(seconds=1))
    await shop.meter.settle(rated(customer.purse))
    bought = await post(
        shop, customer, EntryKind.PURCHASE, 5 * DOLLAR, lot=NewLot(kind=LotKind.PURCHASED)
    )
    reply = await shop.get("/billing/entries", customer.admin)
    assert reply.status == 200, reply.body
    first, second, third = reply.json["data"]
    assert first == {
        "id": show_id("ent", bought.entry_id),
        "seq": 3,
        "timestamp": "2026-11-20T12:00:01Z",
        "kind": "purchase",
        "amount": 5,
        "balanceAfter": 104.99675,
        "currency": "USD",
        "lotId": show_id("lot", bought.entry_id),
        "reason": None,
    }
    assert (second["kind"], second["amount"]) == ("consumption", -0.00325)
    assert (third["kind"], third["balanceAfter"]) == ("grant", 100)
    query = "kind=purchase&kind=grant"
    reply = await shop.get(f"/billing/entries?{query}&limit=1", customer.admin)
    assert [entry["seq"] for entry in reply.json["data"]] == [3]
    cursor = reply.json["nextCursor"]
    reply = await shop.get(f"/billing/entries?{query}&limit=1&cursor={cursor}", customer.admin)
    assert [entry["seq"] for entry in reply.json["data"]] == [1]
    assert reply.json["nextCursor"] is None
    reply = await shop.get("/billing/entries?limit=2", customer.admin, accept="text/csv")
    heading = b"id,seq,timestamp,kind,amount,balanceAfter,currency,lotId,reason\r\n"
    assert reply.body.startswith(heading)
    assert "x-next-cursor" in reply.headers
    for query in ("kind=gift", "currency=XYZ", "limit=501", f"cursor={cursor}"):
        assert (await shop.get(f"/billing/entries?{query}", customer.admin)).status == 400, query


async def test_lots(shop: Shop, customer: Customer) -> None:
    soon = shop.clock.now() + timedelta(days=1)
    lot = NewLot(kind=LotKind.PROMOTIONAL, priority=10, expires_at=soon, label="welcome")
    granted = await post(shop, customer, EntryKind.GRANT, 4 * DOLLAR, lot=lot)
    await shop.meter.settle(customer.purse.charge(1 * DOLLAR))
    reply = await shop.get("/billing/lots", customer.admin)
    assert reply.status == 200, reply.body
    first, second = reply.json["data"]
    assert (first["granted"], first["drawn"], first["left"]) == (100, 0, 100)
    assert second == {
        "id": show_id("lot", granted.entry_id),
        "kind": "promotional",
        "label": "welcome",
        "granted": 4,
        "drawn": 1,
        "expired": 0,
        "takenBack": 0,
        "left": 3,
        "currency": "USD",
        "priority": 10,
        "arrivedAt": "2026-11-20T12:00:00Z",
        "expiresAt": "2026-11-21T12:00:00Z",
        "state": "active",
    }
    page = (await shop.get("/billing/lots?limit=1", customer.admin)).json
    rest = await shop.get(f"/billing/lots?limit=1&cursor={page['nextCursor']}", customer.admin)
    assert page["data"] + rest.json["data"] == [first, second]
    shop.clock.advance(timedelta(days=2))
    async with shop.database.connection() as connection:
        await ledger.expire_due_lots(connection, shop.clock.now())
    second = (await shop.get("/billing/lots", customer.admin)).json["data"][1]
    assert (second["drawn"], second["expired"], second["left"]) == (1, 3, 0)
    assert (await shop.get("/billing/lots", customer.admin, accept="text/csv")).status == 200
