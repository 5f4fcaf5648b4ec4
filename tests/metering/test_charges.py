"""`POST /metering/charges` over real HTTP."""

from __future__ import annotations

from shop import Customer, Shop


async def test_a_call_is_charged(shop: Shop, customer: Customer) -> None:
    body = {"sku": "generate_sql", "usage": {"request": 1, "second": 90.5}, "input": "How many?"}
    reply = await shop.post("/metering/charges", customer.inference, body)
    assert reply.status == 200, reply.body
    assert reply.json["cost"] == 0.021508333
