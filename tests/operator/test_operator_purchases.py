"""Money that goes back by an operator's word, and disputes as operators see them."""

from __future__ import annotations

from typing import Any

from tollkeeper.base.ids import read_id
from whole import Answer, Customer, Whole


async def buy(whole: Whole, customer: Customer, amount: int = 25) -> dict[str, Any]:
    key = customer.keys["test ADMIN"]
    bought: dict[str, Any] = (
        await whole.ask("POST", "/billing/purchases", key, {"amount": amount})
    ).json
    assert bought["status"] == "succeeded"
    return bought


async def refund(whole: Whole, customer: Customer, purchase: str, **body: Any) -> Answer:
    path = f"/organizations/{customer.id}/purchases/{purchase}/refunds"
    headers = {"idempotency_key": body.pop("key")} if "key" in body else {}
    return await whole.operate("POST", path, {"reason": "Asked for it", **body}, **headers)


async def posted(whole: Whole, customer: Customer) -> Any:
    answer = await whole.ask("GET", "/billing/balance", customer.keys["test ADMIN"])
    return answer.json["posted"]


async def test_a_purchase_is_refunded_in_parts_with_credit_notes(
    whole: Whole, customer: Customer
) -> None:
    bought = await buy(whole, customer)
    part = await refund(whole, customer, bought["id"], amount=10, key="once")
    assert (part.status, part.json["status"], part.json["amount"]) == (201, "succeeded", 10)
    again = await refund(whole, customer, bought["id"], amount=10, key="once")
    assert again.json == part.json
    assert await posted(whole, customer) == 25
    rest = await refund(whole, customer, bought["id"])
    assert (rest.json["amount"], await posted(whole, customer)) == (15, 10)
    key = customer.keys["test ADMIN"]
    read = (await whole.ask("GET", f"/billing/purchases/{bought['id']}", key)).json
    assert read["status"] == "refunded"
    documents = (await whole.ask("GET", "/billing/invoices", key)).json["data"]
    assert [(one["type"], one["total"]) for one in documents] == [
        ("credit_note", 15),
        ("credit_note", 10),
        ("invoice", 25),
    ]
    audited = (await whole.operate("GET", "/audit-log")).json["data"]
    assert [row["what"] for row in audited].count("purchase.refund") == 2


async def test_what_is_spent_needs_force(whole: Whole, customer: Customer) -> None:
    bought = await buy(whole, customer)
    path = f"/organizations/{customer.id}/adjustments"
    taken = {"amount": -20, "reason": "spent", "livemode": False}
    assert (await whole.operate("POST", path, taken)).status == 201
    refused = await refund(whole, customer, bought["id"])
    assert (refused.status, refused.json["code"]) == (402, "insufficient_credits")
    assert "force it" in refused.json["detail"]
    assert (await refund(whole, customer, bought["id"], force=True)).status == 201
    assert await posted(whole, customer) == -10


async def test_refunds_that_cannot_be_say_why(whole: Whole, customer: Customer) -> None:
    bought = await buy(whole, customer)
    for body, status, code in [
        ({"amount": 25.01}, 409, "refund_refused"),
        ({"amount": 0}, 400, "invalid_request"),
        ({"amount": 1.001}, 400, "amount_not_payable"),
    ]:
        answer = await refund(whole, customer, bought["id"], **body)
        assert (answer.status, answer.json["code"]) == (status, code)
    stranger = await whole.customer()
    assert (await refund(whole, stranger, bought["id"])).status == 404
    assert await posted(whole, customer) == 35


async def test_purchases_are_listed_page_by_page(whole: Whole, customer: Customer) -> None:
    made = [(await buy(whole, customer, amount))["id"] for amount in (5, 6, 7)]
    path = f"/organizations/{customer.id}/purchases"
    first = (await whole.operate("GET", f"{path}?livemode=false&limit=2")).json
    rest = (
        await whole.operate("GET", f"{path}?livemode=false&limit=2&cursor={first['nextCursor']}")
    ).json
    assert [one["id"] for one in first["data"] + rest["data"]] == made[::-1]
    assert (await whole.operate("GET", path)).json["data"] == []
    own = await whole.ask("GET", "/billing/purchases", customer.keys["test ADMIN"])
    assert [one["id"] for one in own.json["data"]] == made[::-1]
    assert (await whole.operate("GET", "/organizations/org_x/purchases")).status == 404


async def test_disputes_are_listed_newest_first(whole: Whole, customer: Customer) -> None:
    bought = [await buy(whole, customer, amount) for amount in (5, 6)]
    async with whole.database.transaction() as tx:
        for n, one in enumerate(bought):
            purchase_id = read_id("pur", one["id"])
            await tx.execute(
                "INSERT INTO dispute (org_id, dispute_id, payment_id, livemode, processor, ref,"
                " status, amount_minor, currency, reason, opened_at)"
                " VALUES (%s, gen_random_uuid(), %s, false, 'sandbox', %s, 'open', 500, 'USD',"
                " 'fraudulent', now() + make_interval(secs => %s))",
                (customer.org_id, purchase_id, f"dp_{n}", n),
            )
    first = (await whole.operate("GET", "/disputes?limit=1")).json
    rest = (await whole.operate("GET", f"/disputes?limit=1&cursor={first['nextCursor']}")).json
    listed = first["data"] + rest["data"]
    assert [one["purchaseId"] for one in listed] == [one["id"] for one in bought[::-1]]
    assert (listed[0]["reference"], listed[0]["organizationId"]) == ("dp_1", customer.id)
    assert (await whole.operate("GET", "/disputes?status=lost")).json["data"] == []
