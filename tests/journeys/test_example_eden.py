"""Eden AI's page "Buying Credits & Auto-Refill", section by section, and then what its pages on
monitoring and on tokens add, against `./dev example eden`.

Buying is tried with the tokens of test mode, whose cards are play; what a provider costs with live
tokens, whose providers are simulated.
"""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import openai
import pytest
from openai import OpenAI

from running import Site
from walking import Walker, exact, paste, stays, until, walk

PARIS = ZoneInfo("Europe/Paris")
HI: Any = [{"role": "user", "content": "Hi"}]
INVOICE = {"operation": "ocr__invoice_parser", "provider": "amazon", "model": "textract"}
CENT = Decimal("0.01")


def test_eden(place: Site) -> None:
    with walk(place, "eden") as eden:
        second = eden.post("/api-keys", {"name": "Second", "projectId": eden.project_id})
        purchasing_credits(eden, [eden.keys["inference"], second["secret"]])
        auto_refill(eden)
        checking_your_balance(eden)
        costs = understanding_costs(eden)
        insufficient_credits(eden)
        monitoring(eden, costs)
        sandbox_tokens(eden)
        tokens_with_a_balance(eden)
        what_its_readme_tries(place, eden)


def purchasing_credits(eden: Walker, tokens: list[str]) -> None:
    """Purchasing Credits: choose, pay, and it is there for all API tokens."""
    assert eden.balance() == 25
    # 3. Choose the amount; the platform's fee comes on top.
    quote = eden.post("/billing/quotes", {"amount": 10})
    assert (quote["credit"], quote["fee"], quote["total"]) == (10, exact("0.55"), exact("10.55"))
    ordered = {"amount": 10, "checkout": "hosted", "savePaymentMethod": True}
    purchase = eden.post("/billing/purchases", ordered)
    assert (purchase["status"], eden.balance()) == ("requires_payment", 25)
    # 4. Complete the payment.
    paid = httpx.post(purchase["actionUrl"], data={"number": "4242424242424242"}, timeout=30)
    assert paid.status_code == 303
    assert eden.get(f"/billing/purchases/{purchase['id']}")["status"] == "succeeded"
    # Shared across all tokens, immediately: each sees what the other has spent.
    assert eden.balance() == 35
    assert [parse_invoices(eden, token, 50)["balance"] for token in tokens] == [exact("34.5"), 34]


def auto_refill(eden: Walker) -> None:
    """Auto-Refill: below the threshold, so much is bought with the method on file."""
    (method,) = eden.lists("/billing/payment-methods")
    assert method["last4"] == "4242"
    # 2. to 4.: enabled, with a threshold and a refill amount
    eden.put("/billing/auto-top-up", {"enabled": True, "threshold": 20, "amount": 30})
    parse_invoices(eden, eden.keys["inference"], 1400)
    stays(lambda: eden.balance() == 20)
    parse_invoices(eden, eden.keys["inference"], 1)
    until(lambda: eden.balance() == exact("49.99"))
    newest = eden.lists("/billing/transactions")[0]
    assert (newest["type"], newest["amount"]) == ("Auto Top-up", 30)


def checking_your_balance(eden: Walker) -> None:
    """Checking Your Balance: programmatically."""
    balance = eden.get("/billing/balance")
    assert balance["balances"] == {"usd": exact("49.99")}
    assert balance["autoTopUp"] == {"enabled": True, "threshold": 20}


def understanding_costs(eden: Walker) -> dict[str, Decimal]:
    """Understanding Costs: each answer's `cost` is what the balance fell by."""
    token, costs = eden.keys["liveInference"], dict[str, Decimal]()
    with OpenAI(base_url=eden.base_url, api_key=token) as client:
        for provider, model in (("openai", "gpt-5-mini"), ("anthropic", "claude-sonnet-4-5")):
            before = eden.balance("liveAdmin")
            answer: Any = client.chat.completions.create(model=model, messages=HI, max_tokens=50)
            assert before - eden.balance("liveAdmin") == exact(answer.cost) > 0
            costs[provider] = exact(answer.cost)
            before = eden.balance("liveAdmin")
            *_, last = client.chat.completions.create(model=model, messages=HI, stream=True)
            streamed: Any = last
            assert before - eden.balance("liveAdmin") == exact(streamed.cost) > 0
            costs[provider] += exact(streamed.cost)
    before = eden.balance("liveAdmin")
    parsed = parse_invoices(eden, token, 3)
    assert before - eden.balance("liveAdmin") == parsed["cost"] == 3 * CENT
    return costs | {"amazon": parsed["cost"]}


def insufficient_credits(eden: Walker) -> None:
    """Insufficient Credits: 402 at zero, until credits are bought."""
    token = eden.keys["inference"]
    eden.put("/billing/auto-top-up", {"enabled": False, "threshold": 20, "amount": 30})
    parse_invoices(eden, token, 4999)
    assert eden.balance() == 0
    refused = eden.post("/metering/charges", INVOICE | {"usage": {"page": 1}}, by=token, status=402)
    assert refused["error"] == "Insufficient credits"
    assert (refused["required"], refused["available"]) == (CENT, 0)
    with (
        OpenAI(base_url=eden.base_url, api_key=token) as client,
        pytest.raises(openai.APIStatusError) as raised,
    ):
        client.chat.completions.create(model="gpt-5-mini", messages=HI, max_tokens=50)
    assert raised.value.status_code == 402
    assert raised.value.code == "insufficient_credits"
    # To resolve this, purchase more.
    assert eden.post("/billing/purchases", {"amount": 10})["status"] == "succeeded"
    assert parse_invoices(eden, token, 1)["balance"] == exact("9.99")


def monitoring(eden: Walker, costs: dict[str, Decimal]) -> None:
    """Its page on monitoring: costs per day, week, month, year by provider, feature, token."""
    token = eden.lists("/billing/usage-records", by="liveAdmin")[0]["keyId"]
    features = {
        "chat/completions": costs["openai"] + costs["anthropic"],
        "ocr__invoice_parser": costs["amazon"],
    }
    tables = {"provider": costs, "operation": features, "apiKey": {token: sum(costs.values())}}
    begin = (datetime.now(PARIS) - timedelta(days=300)).date().isoformat()
    asked = {"start": begin, "timezone": "Europe/Paris"}
    for granularity in ("day", "week", "month", "year"):
        for dimension, expected in tables.items():
            query = asked | {"granularity": granularity, "groupBy": dimension}
            rows = until(lambda query=query: eden.lists("/billing/costs", by="liveAdmin", **query))
            assert {row["group"][dimension]: row["cost"] for row in rows} == expected
    # One answer has them all, and the number of calls; each is a filter too.
    query = asked | {"granularity": "day", "groupBy": "apiKey,operation,provider"}
    rows = eden.lists("/billing/costs", by="liveAdmin", **query)
    assert sum(row["cost"] for row in rows) == sum(costs.values())
    calls = {row["group"]["provider"]: row["calls"] for row in rows}
    assert calls == {"openai": 2, "anthropic": 2, "amazon": 1}
    today = datetime.now(PARIS).replace(hour=0, minute=0, second=0, microsecond=0)
    assert {datetime.fromisoformat(row["start"]) for row in rows} == {today.astimezone(UTC)}
    (one,) = eden.lists("/billing/costs", by="liveAdmin", provider="amazon", **asked)
    assert one["cost"] == costs["amazon"]
    path = "/billing/costs?groupBy=provider"
    sheet = eden.ask("GET", path, by="liveAdmin", accept="text/csv").text
    lines = csv.DictReader(io.StringIO(sheet))
    assert {line["provider"]: exact(line["cost"]) for line in lines} == costs


def sandbox_tokens(eden: Walker) -> None:
    """Its page on tokens: those of the sandbox are simulated, and take nothing off the credit."""
    before = eden.balance("liveAdmin")
    with OpenAI(base_url=eden.base_url, api_key=eden.keys["inference"]) as client:
        answer: Any = client.chat.completions.create(model="gpt-5-mini", messages=HI)
    assert "simulated" in answer.choices[0].message.content
    assert eden.balance("liveAdmin") == before
    providers = eden.lists("/billing/costs", by="liveAdmin", groupBy="provider")
    assert "sandbox" not in {row["group"]["provider"] for row in providers}


def tokens_with_a_balance(eden: Walker) -> None:
    """The same page: a token may have an amount of its own, full again each month of Paris."""
    made = {"name": "With a balance", "projectId": eden.project_id}
    token = eden.post("/api-keys", made, by="liveAdmin")
    budget = {"name": "Token", "apiKeyId": token["id"], "amount": 0.05, "period": "month"}
    eden.post("/budgets", budget | {"timeZone": "Europe/Paris"}, by="liveAdmin")
    assert parse_invoices(eden, token["secret"], 4)["cost"] == 4 * CENT
    more = INVOICE | {"usage": {"page": 2}}
    refused = eden.post("/metering/charges", more, by=token["secret"], status=402)
    assert refused["code"] == "api_key_spend_limit_exceeded"
    assert refused["available"] == CENT
    again = datetime.fromisoformat(refused["resetsAt"]).astimezone(PARIS)
    assert (again.day, again.hour, again.minute) == (1, 0, 0)
    parse_invoices(eden, eden.keys["liveInference"], 2)


def what_its_readme_tries(place: Site, eden: Walker) -> None:
    _, called, buying, costs, refused = paste(place, "eden", eden.base_url)
    assert '"cost":0.000' in called
    assert '"cost":0.02,' in called
    assert '"fee":0.55' in buying
    assert '"status":"succeeded"' in buying
    assert '"provider":"anthropic"' in costs
    assert '"operation":"ocr__invoice_parser"' in costs
    assert '"error":"Insufficient credits"' in refused


def parse_invoices(eden: Walker, token: str, pages: int) -> Any:
    """A feature that is no model, charged by the page."""
    return eden.post("/metering/charges", INVOICE | {"usage": {"page": pages}}, by=token)
