"""orq.ai's page "Credits", section by section, against `./dev example orq`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx
from openai import APIStatusError, OpenAI, RateLimitError

from running import Site
from walking import Walker, exact, until, walk

MODEL = "gpt-5-mini"
HI: Any = [{"role": "user", "content": "[[sandbox: tokens=40]] Hi"}]
ADDRESS = {
    "country": "NL",
    "line1": "Keizersgracht 1",
    "city": "Amsterdam",
    "postalCode": "1015 CN",
}
TAX_ID = {"type": "eu_vat", "value": "NL004495445B01"}
# package.toml
INCLUDED, PER_TRACE = 1_000, Decimal("0.0005")


def test_orq(place: Site) -> None:
    with walk(place, "orq") as orq:
        without_credit_all_requests_are_blocked(orq)
        add_credits(orq)
        available_credits(orq)
        payment_method_and_auto_top_up(orq)
        transaction_history(orq)
        invoices(orq)
        traces_beyond_the_package(orq)
        zero_blocks_every_project_until_credit_is_added(orq)
        limits_of_keys_and_budgets(orq)


def without_credit_all_requests_are_blocked(orq: Walker) -> None:
    assert orq.balance() == 0
    blocked = refused(orq, orq.keys["inference"])
    assert blocked is not None
    assert (blocked.status_code, blocked.code) == (402, "insufficient_credits")


def add_credits(orq: Walker) -> None:
    """Add Credits: enter an amount, a tax id, a payment method, name and address, confirm."""
    # "Credit purchases have a minimum amount of $5."
    few = orq.post("/billing/purchases", {"amount": 4.99}, status=400)
    assert few["code"] == "amount_out_of_range"
    # "Select the country and applicable tax ID type, then enter the number."
    types = orq.lists("/billing/tax-id-types", country="NL")
    assert TAX_ID["type"] in [one["type"] for one in types]
    wrong = {"amount": 5, "billingAddress": ADDRESS, "taxId": {**TAX_ID, "value": "NL1"}}
    assert "value" in orq.post("/billing/purchases", wrong, status=400)["details"]["taxId"]
    # "Provide a name and billing address. Required for payment processing."
    nobody = orq.post("/billing/purchases", {"amount": 5}, status=400)
    assert "billingAddress" in nobody["details"]
    # "… or add a new card", on the processor's page.
    order = {"amount": 5, "billingAddress": ADDRESS, "taxId": TAX_ID, "checkout": "hosted"}
    begun = orq.post("/billing/purchases", {**order, "savePaymentMethod": True})
    assert begun["status"] == "requires_payment"
    httpx.post(begun["actionUrl"], data={"number": "4242424242424242"}, timeout=30)
    # "Credits are added to the balance immediately."
    until(lambda: orq.get(f"/billing/purchases/{begun['id']}")["status"] == "succeeded")
    assert orq.balance() == 5


def available_credits(orq: Walker) -> None:
    """Available credits: shared across all projects, consumed by tokens and model pricing."""
    began = orq.balance()
    spent = call(orq, orq.keys["inference"]) + call(orq, new_key(orq, "Another project"))
    assert orq.balance() == began - spent


def call(orq: Walker, key: str) -> Decimal:
    """Call a model without a key of one's own, and return the cost: tokens by price."""
    with OpenAI(base_url=orq.base_url, api_key=key) as client:
        answer: Any = client.chat.completions.create(model=MODEL, messages=HI, max_tokens=50)
        priced: Any = client.models.retrieve(MODEL)
    prices = {one["unit"]: exact(one["price"]) / one["per"] for one in priced.pricing["units"]}
    usage = answer.usage
    cost = usage.prompt_tokens * prices["input"] + usage.completion_tokens * prices["output"]
    assert exact(answer.cost) == cost > 0
    return cost


def new_key(orq: Walker, project: str) -> str:
    project_id = orq.post("/projects", {"name": project})["id"]
    made = orq.post("/api-keys", {"name": project, "projectId": project_id})
    return made["secret"]


def payment_method_and_auto_top_up(orq: Walker) -> None:
    """Payment Method, and Auto Top-up."""
    (card,) = orq.lists("/billing/payment-methods")
    removed = orq.ask("DELETE", f"/billing/payment-methods/{card['id']}")
    assert removed.status_code == 204, removed.text
    # "At least one payment method is required to enable auto top-up."
    wanted = {"enabled": True, "threshold": 50, "amount": 200}
    refused = orq.put("/billing/auto-top-up", wanted, status=409)
    assert refused["code"] == "auto_top_up_needs_method"
    orq.add_card()
    saved = orq.put("/billing/auto-top-up", wanted)
    assert (saved["enabled"], saved["threshold"], saved["amount"]) == (True, 50, 200)
    # "A top-up is triggered when the balance falls below this amount", which it is already.
    until(lambda: orq.balance() > 200)
    assert orq.put("/billing/auto-top-up", {"enabled": False})["enabled"] is False


def transaction_history(orq: Walker) -> None:
    """Transaction History: purchases only, by date, time, type and amount; a filter by type."""
    rows = orq.lists("/billing/transactions")
    assert [(row["type"], row["amount"]) for row in rows] == [("Auto Top-up", 200), ("Purchase", 5)]
    assert all(row["timestamp"].endswith("Z") for row in rows)
    for kind in ("Purchase", "Auto Top-up"):
        (only,) = orq.lists("/billing/transactions", type=kind)
        assert only["type"] == kind


def invoices(orq: Walker) -> None:
    """Each credit purchase generates an invoice, to be downloaded from its row."""
    for row in orq.lists("/billing/transactions"):
        (invoice,) = orq.lists("/billing/invoices", purchaseId=row["purchaseId"])
        assert invoice["total"] == row["amount"]
        whole = orq.get(f"/billing/invoices/{invoice['id']}")
        assert f"VAT ID {TAX_ID['value']}" in str(whole["buyer"])
        document = orq.ask("GET", f"/billing/invoices/{invoice['id']}/pdf")
        assert document.content.startswith(b"%PDF-")
        assert invoice["number"] in document.headers["content-disposition"]


def traces_beyond_the_package(orq: Walker) -> None:
    """When the traces included in the package are exceeded, they are deducted from credits."""
    began = orq.balance()
    report_traces(orq, "the first week", INCLUDED - 100)
    assert orq.balance() == began
    (allowance,) = orq.lists("/allowances")
    assert (allowance["allowance"], allowance["left"]) == ("traces", 100)
    report_traces(orq, "the second week", 300)
    assert orq.balance() == began - 200 * PER_TRACE
    # The calls of models do not draw from it.
    call(orq, orq.keys["inference"])
    (allowance,) = orq.lists("/allowances")
    assert (allowance["used"], allowance["left"]) == (INCLUDED, 0)


def report_traces(orq: Walker, name: str, traces: int) -> None:
    event = {
        "id": name,
        "organizationId": orq.organization_id,
        "projectId": orq.project_id,
        "livemode": False,
        "sku": "trace",
        "usage": {"trace": traces},
    }
    assert orq.post("/metering/events", [event], by="operator")["accepted"] == 1


def zero_blocks_every_project_until_credit_is_added(orq: Walker) -> None:
    """When the balance reaches zero, all requests are blocked until credits are added."""
    other = new_key(orq, "A third project")
    report_traces(orq, "a flood", int(orq.balance() / PER_TRACE) + 1)
    assert -PER_TRACE < orq.balance() <= 0
    for key in (orq.keys["inference"], other):
        blocked = refused(orq, key)
        assert blocked is not None
        assert blocked.status_code == 402
    assert orq.post("/billing/purchases", {"amount": 10})["status"] == "succeeded"
    for key in (orq.keys["inference"], other):
        call(orq, key)


def limits_of_keys_and_budgets(orq: Walker) -> None:
    """API key limits and budgets: cost, tokens, requests a minute; alerts; reset by hand."""
    secret = new_key(orq, "Limited")
    key_id = id_of(orq, "Limited")
    daily = {"name": "Cost limit", "apiKeyId": key_id, "amount": 0.0005, "period": "day"}
    budget = orq.post("/budgets", {**daily, "alertPercents": [40]})
    for period in ("week", "month"):
        orq.post("/budgets", {**daily, "period": period, "amount": 1})
    for scope in ({"projectId": orq.project_id}, {"each": "endUser"}, {"model": "gpt-*"}, {}):
        orq.post("/budgets", {"name": "Budget", "amount": 5, "period": "month", **scope})
    assert len(orq.lists("/budgets")) == 7
    blocked = until(lambda: refused(orq, secret))
    assert (blocked.status_code, blocked.code) == (402, "api_key_spend_limit_exceeded")
    assert limit_source(blocked) == f"api_key:{budget['id']}"
    told = until(lambda: alert(orq))
    assert (told["limitName"], told["percent"]) == ("Cost limit", 40)
    # The counter is reset by hand, and the key works again.
    orq.post(f"/budgets/{budget['id']}/reset", {})
    until(lambda: not refused(orq, secret))
    # "Requests/Min", and tokens.
    hasty = new_key(orq, "Hasty")
    rate = {"name": "Requests/Min", "apiKeyId": id_of(orq, "Hasty"), "period": "minute"}
    orq.post("/budgets", {**rate, "measure": "requests", "amount": 1})
    orq.post("/budgets", {**rate, "measure": "tokens", "amount": 100_000})
    until(lambda: isinstance(refused(orq, hasty), RateLimitError))


def id_of(orq: Walker, name: str) -> str:
    return next(key["id"] for key in orq.lists("/api-keys") if key["name"] == name)


def alert(orq: Walker) -> Any:
    notices = orq.lists("/notifications")
    return next((one["data"] for one in notices if one["type"] == "usage_limit_reached"), None)


def refused(orq: Walker, key: str) -> APIStatusError | None:
    """Call a model, and return what it is refused with."""
    with OpenAI(base_url=orq.base_url, api_key=key, max_retries=0) as client:
        try:
            client.chat.completions.create(model=MODEL, messages=HI, max_tokens=50)
        except APIStatusError as error:
            return error
    return None


def limit_source(error: APIStatusError) -> str:
    return error.response.json()["error"]["metadata"]["limitSource"]
