"""`POST|PATCH|DELETE /billing/subscription`, from outside."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tollkeeper.invoices.fees import contained
from tollkeeper.profiles import Tax
from whole import Answer, Customer, Whole, whole_served

PLANS = {"free-served": 0, "pro-served": 2000, "team-served": 5000}


@pytest.fixture
async def whole(database_url: str) -> AsyncIterator[Whole]:
    async with whole_served(database_url) as served:
        yield served


async def publish(whole: Whole) -> None:
    for code, fee in PLANS.items():
        plan = {"code": code, "name": code.title(), "feeMinor": fee}
        answer = await whole.operate("POST", "/plans", {"plan": plan, "reason": "test"})
        assert answer.status in (200, 201), answer.text


async def test_a_customer_subscribes_changes_and_cancels(whole: Whole) -> None:
    await publish(whole)
    customer = await whole.customer()
    key = customer.keys["test ADMIN"]

    async def ask(method: str, body: Any = None, query: str = "") -> Answer:
        path = f"/billing/subscription{query}"
        return await whole.ask(method, path, key, body)

    missing = await ask("POST", {"plan": "pro-served"})
    assert (missing.status, missing.json["code"]) == (404, "payment_method_not_found")
    unknown = await ask("POST", {"plan": "nothing"})
    assert (unknown.status, unknown.json["code"]) == (404, "plan_not_found")
    card = await keep_card(whole, customer)
    begun = (await ask("POST", {"plan": "pro-served", "paymentMethodId": card})).json
    assert (begun["status"], begun["plan"], begun["fee"]) == ("active", "pro-served", 20)
    assert (begun["currency"], begun["interval"]) == ("USD", "month")
    await whole.app.rooms.plans.refresh()
    shown = (await ask("GET")).json
    assert shown["plan"]["code"] == "pro-served"
    dearer = (await ask("PATCH", {"plan": "team-served"})).json
    assert (dearer["plan"], dearer["nextPlan"], dearer["fee"]) == ("team-served", None, 50)
    other = await ask("POST", {"plan": "pro-served"})
    assert (other.status, other.json["code"]) == (409, "already_subscribed")
    ending = (await ask("DELETE")).json
    assert (ending["status"], ending["cancelsAtPeriodEnd"]) == ("active", True)
    over = (await ask("DELETE", query="?now=true")).json
    assert over["status"] == "cancelled"
    assert (await ask("POST", {"plan": "free-served"})).json["status"] == "none"
    assert (await ask("DELETE", query="?now=true")).json["status"] == "none"
    assert (await ask("DELETE")).json["code"] == "subscription_not_found"


async def test_each_fee_has_an_invoice_and_no_entry(whole: Whole) -> None:
    customer = await whole.customer()
    await publish(whole)
    key = customer.keys["test ADMIN"]
    before = (await whole.ask("GET", "/billing/entries", key)).json["data"]
    card = await keep_card(whole, customer)
    body = {"plan": "pro-served", "paymentMethodId": card}
    await whole.ask("POST", "/billing/subscription", key, body)
    invoices = (await whole.ask("GET", "/billing/invoices", key)).json["data"]
    assert [(one["total"], one["currency"]) for one in invoices] == [(20, "USD")]
    pdf = await whole.ask("GET", f"/billing/invoices/{invoices[0]['id']}", key)
    assert "Pro-Served" in pdf.text
    assert (await whole.ask("GET", "/billing/entries", key)).json["data"] == before


async def test_an_operator_credits_a_fee_that_was_given_back_at_the_processor(
    whole: Whole,
) -> None:
    customer = await whole.customer()
    await publish(whole)
    key = customer.keys["test ADMIN"]
    card = await keep_card(whole, customer)
    body = {"plan": "pro-served", "paymentMethodId": card}
    await whole.ask("POST", "/billing/subscription", key, body)
    (invoice,) = (await whole.ask("GET", "/billing/invoices", key)).json["data"]
    path = f"/organizations/{customer.id}/invoices/{invoice['id']}/credit-notes"
    once = {"idempotency_key": "once"}
    part = {"amount": 5.5, "reason": "Three days without service"}
    for _ in range(2):
        note = await whole.operate("POST", path, part, **once)
        assert note.status == 201, note.text
        assert (note.json["total"], note.json["type"]) == ("5.5", "credit_note")
        assert note.json["correctsId"] == invoice["id"]
    over = await whole.operate("POST", path, {"amount": 15, "reason": "x"})
    assert (over.status, over.json["code"]) == (409, "credit_note_refused")
    assert "At most 14.50 USD" in over.text
    rest = await whole.operate("POST", path, {"reason": "Left"})
    assert rest.json["total"] == "14.5"
    assert (await whole.operate("POST", path, {"reason": "Left"})).status == 409
    shown = await whole.ask("GET", f"/billing/invoices/{rest.json['id']}", key)
    assert [line["description"] for line in shown.json["lines"]] == ["Pro-Served"]
    rows = (await whole.operate("GET", "/audit-log")).json["data"]
    noted = [row for row in rows if row["what"] == "invoice.credit"]
    assert [(row["why"], row["details"]["amount"]) for row in noted] == [
        ("Left", "14.50 USD"),
        ("Three days without service", "5.50 USD"),
    ]
    await whole.ask("POST", "/billing/purchases", key, {"amount": 25})
    bought = (await whole.ask("GET", "/billing/invoices?type=invoice", key)).json["data"][0]
    other = f"/organizations/{customer.id}/invoices/{bought['id']}/credit-notes"
    refused = await whole.operate("POST", other, {"reason": "x"})
    assert (refused.status, refused.json["code"]) == (409, "credit_note_refused")


def test_taxes_are_contained_in_a_fee_to_the_cent() -> None:
    vat = Tax(label="VAT", rate_ppm=190_000)
    local = Tax(label="Local", rate_ppm=25_000)
    assert contained(2000, []) == (2000, ())
    for total in range(1, 3000):
        net, lines = contained(total, [vat, local])
        assert net + sum(line.tax_minor for line in lines) == total
    net, (line,) = contained(11_900, [vat])
    assert (net, line.tax_minor, line.base_minor) == (10_000, 1_900, 10_000)
    owed = Tax(label="VAT", rate_ppm=190_000, reverse_charge=True)
    assert contained(11_900, [owed])[0] == 11_900


async def test_only_an_admin_key_subscribes(whole: Whole) -> None:
    customer = await whole.customer()
    key = customer.keys["test INFERENCE"]
    answer = await whole.ask("POST", "/billing/subscription", key, {"plan": "free-served"})
    assert answer.status == 401


async def keep_card(whole: Whole, customer: Customer) -> str:
    body = {"token": "pm_card_visa"}
    answer = await whole.ask("POST", "/billing/payment-methods", customer.keys["test ADMIN"], body)
    ref: str = answer.json["paymentMethod"]["id"]
    return ref
