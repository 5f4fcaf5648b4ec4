"""The Python client against the served application: whole lists, documents, accounts, operators."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from types import NoneType

import pytest

from tollkeeper_client import AsyncTollkeeper, InvalidRequest, NotFound, Tollkeeper, Unauthenticated
from whole import Customer

ADDRESS = {"country": "IE", "line1": "1 Main Street", "city": "Dublin", "postalCode": "D02 X285"}


async def test_lists_are_gone_through_whole(
    operator: AsyncTollkeeper, admin: AsyncTollkeeper, customer: Customer
) -> None:
    key = customer.keys["test INFERENCE"]
    ids = [
        (await operator.charge_now({"row": n}, sku="generate_sql", customer_key=key)).usage_id
        for n in range(1, 6)
    ]
    assert [record.id async for record in admin.usage_records(limit=2)] == ids[::-1]
    entries = [entry async for entry in admin.entries(limit=2)]
    assert [entry.seq for entry in entries] == [6, 5, 4, 3, 2, 1]
    assert sum(entry.amount for entry in entries) == (await admin.balance()).posted
    (lot,) = [lot async for lot in admin.lots()]
    assert lot.granted - lot.drawn == lot.left == (await admin.balance()).posted
    (project,) = [project async for project in admin.projects()]
    assert project.name == "Default"

    def in_sync() -> list[str]:
        with Tollkeeper(customer.keys["test ADMIN"], admin_url(admin)) as toll:
            return [record.id for record in toll.usage_records(limit=3)]

    assert await asyncio.to_thread(in_sync) == ids[::-1]


def admin_url(client: AsyncTollkeeper) -> str:
    return str(client._http.base_url)


async def test_invoices_and_statements_of_what_was_bought(admin: AsyncTollkeeper) -> None:
    with pytest.raises(NotFound):
        await admin.get_profile()
    profile = await admin.set_profile("Acme Ltd", ADDRESS, kind="business", emails=["a@acme.ie"])
    assert await admin.get_profile() == profile
    assert profile.address["postalCode"] == "D02 X285"
    assert (await admin.purchase_options()).currency == "USD"
    bought = await admin.create_purchase(20)
    assert [purchase.id async for purchase in admin.purchases()] == [bought.id]
    (invoice,) = [invoice async for invoice in admin.invoices(purchase_id=bought.id)]
    whole = await admin.get_invoice(invoice.id)
    assert (whole.number, whole.buyer.name, whole.total) == (
        invoice.number,
        "Acme Ltd",
        invoice.total,
    )
    assert (await admin.invoice_pdf(invoice.id)).startswith(b"%PDF-")
    statement = await admin.statement(f"{datetime.now(UTC):%Y-%m}")
    assert statement.closing == statement.opening + 10 + statement.purchases
    (paid,) = [one async for one in admin.transactions(limit=1)]
    assert paid.purchase_id == bought.id


async def test_payment_methods(admin: AsyncTollkeeper) -> None:
    opened = await admin.add_payment_method(checkout="hosted")
    assert opened.action_url is not None
    added = await admin.add_payment_method(token="pm_card_visa")
    (method,) = (await admin.list_payment_methods()).data
    assert added.payment_method == method
    assert await admin.set_default_payment_method(method.id) == method
    assert (await admin.open_portal()).startswith("http")
    await admin.remove_payment_method(method.id)
    assert (await admin.list_payment_methods()).data == []


async def test_keys_and_webhooks(admin: AsyncTollkeeper) -> None:
    (project,) = [project async for project in admin.projects()]
    made = await admin.create_api_key("spare", project.id, kind="INFERENCE", livemode=False)
    assert made.secret is not None
    assert made.secret.startswith(made.prefix)
    assert made.id in [known.id async for known in admin.api_keys()]
    await admin.revoke_api_key(made.id)
    hook = await admin.create_webhook("https://example.com/hook", types=["credit_balance_low"])
    assert hook.secret is not None
    assert hook.secret.startswith("whsec_")
    assert [known.id async for known in admin.webhooks()] == [hook.id]
    assert [sent async for sent in admin.deliveries(hook.id)] == []
    await admin.delete_webhook(hook.id)
    assert [notice async for notice in admin.notices(unread=True)] == []
    assert [member async for member in admin.members()] == []


async def test_operators(operator: AsyncTollkeeper, admin: AsyncTollkeeper) -> None:
    made = await operator.operator.create_organization("Acme", reason="a test")
    assert made.secret is not None
    granted = await operator.operator.grant(made.id, Decimal("5.5"), "welcome", label="free")
    assert (granted.amount, granted.balance_after) == (Decimal("5.5"), Decimal("5.5"))
    adjusted = await operator.operator.adjust(made.id, Decimal("-0.5"), "too much")
    assert adjusted.balance_after == 5
    (live,) = [b for b in await operator.operator.balances(made.id) if b.livemode]
    assert live.available == 5
    assert (await operator.operator.freeze(made.id, "looking into it")).frozen_reason is not None
    assert (await operator.operator.unfreeze(made.id, "all well")).frozen_reason is None
    assert (await operator.operator.set_overdraft(made.id, 2, "they are good")).overdraft == 2
    assert (await operator.operator.get_organization(made.id)).name == "Acme"
    assert made.id in [known.id async for known in operator.operator.organizations()]
    acts = [act.what async for act in operator.operator.audit_log() if act.organization_id]
    assert len(acts) >= 6
    assert [dispute async for dispute in operator.operator.disputes()] == []
    with pytest.raises(Unauthenticated):
        await admin.operator.grant(made.id, 1, "to myself")


async def test_money_goes_back(
    operator: AsyncTollkeeper, admin: AsyncTollkeeper, customer: Customer
) -> None:
    bought = await admin.create_purchase(20)
    refund = await operator.operator.refund_purchase(customer.id, bought.id, "wish", amount=5)
    assert (refund.purchase_id, refund.amount) == (bought.id, 5)
    mine = operator.operator.purchases(customer.id, livemode=False)
    assert [purchase.id async for purchase in mine] == [bought.id]


async def test_what_has_no_method_can_be_asked_for(admin: AsyncTollkeeper) -> None:
    balance = await admin.request(dict[str, object], "GET", "/billing/balance")
    assert balance["consumptionCurrency"] == "USD"
    (lot,) = [lot async for lot in admin.each(dict[str, object], "/billing/lots", {"limit": 1})]
    assert lot["left"] == 10
    project = await admin.request(dict[str, str], "POST", "/projects", {"name": "B"})
    assert await admin.request(NoneType, "DELETE", f"/projects/{project['id']}") is None
    with pytest.raises(InvalidRequest):
        await admin.request(dict[str, object], "GET", "/billing/lots", query={"nothing": 1})
