"""What the operator reports of a customer, the customer neither ends nor forestalls (M7)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from metered import DOLLAR
from shop import Customer, Shop
from test_charges import wallet_of
from test_holds import PATH as HOLDS
from test_holds import place, settle, void

from tollkeeper import ledger

CHARGES, EVENTS = "/metering/charges", "/metering/events"
SOLD = {"sku": "generate_sql"}
PAGE = {**SOLD, "usage": {"request": 1}}
NOTHING = {**SOLD, "usage": {}, "status": 500}


@pytest.mark.parametrize("expired", [False, True])
async def test_a_customer_does_not_end_the_operators_hold(
    shop: Shop, customer: Customer, expired: bool
) -> None:
    hold_id = await place(shop, shop.operator, apiKey=customer.inference, ttlSeconds=10)
    if expired:
        shop.clock.advance(timedelta(seconds=11))
        async with shop.database.connection() as connection:
            assert await ledger.expire_holds(connection, shop.clock.now()) == 1
    for key in (customer.inference, customer.admin):
        assert (await settle(shop, key, hold_id, {"usage": {}})).status == 404
        assert (await void(shop, key, hold_id)).status == 404
    settled = await settle(shop, shop.operator, hold_id)
    assert (settled.status, settled.json["cost"]) == (200, 0.00325)


@pytest.mark.parametrize("operator_first", [False, True])
async def test_a_customer_takes_no_name_from_the_operator(
    shop: Shop, customer: Customer, operator_first: bool
) -> None:
    own, told = (customer.inference, {}), (shop.operator, {"apiKey": customer.inference})
    for key, named in [told, own] if operator_first else [own, told]:
        said: Any = {**(NOTHING if key != shop.operator else PAGE), **named}
        for results in ("accepted", "duplicate"):
            reply = await shop.post(EVENTS, key, [{**said, "id": "job-1"}])
            assert reply.json[results] == 1, reply.body
        replies = [await shop.post(CHARGES, key, {**said, "requestId": "r-1"}) for _ in range(2)]
        assert {(reply.status, reply.body) for reply in replies} == {(200, replies[0].body)}
        ask = {**SOLD, **named, "estimate": {"request": 1}, "requestId": "r-2"}
        held = [await shop.post(HOLDS, key, ask) for _ in range(2)]
        assert {(reply.status, reply.body) for reply in held} == {(201, held[0].body)}
    wallet = await wallet_of(shop, customer.purse)
    assert wallet.posted == 100 * DOLLAR - 2 * 20_000_000
    assert wallet.held == 2 * 20_000_000


async def test_who_placed_a_hold_before_an_upgrade_settles_it_after(
    shop: Shop, customer: Customer
) -> None:
    """What is kept of it did not say yet who placed it."""
    for key, named in (
        (customer.inference, {}),
        (shop.operator, {"apiKey": customer.inference}),
    ):
        hold_id = await place(shop, key, **named)
        async with shop.database.connection() as connection:
            await connection.execute(
                "UPDATE hold SET context = context - 'by_operator' WHERE org_id = %s",
                (customer.org_id,),
            )
        assert (await settle(shop, key, hold_id)).status == 200
