"""Venice's page "Billing Usage API", and its siblings, against `./dev example venice`."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from openai import APIStatusError, OpenAI

from running import EXAMPLES, Site
from tollkeeper import ledger
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.settings_source import load_settings
from tollkeeper.credits.granting.recurring import give_due
from walking import Walker, exact, until, walk
from whole import Whole, whole_served

CURRENCIES = ["DIEM", "VCU", "BUNDLED_CREDITS", "USD"]
ENTRY = {
    *("timestamp", "sku", "pricePerUnitUsd", "units", "amount", "currency", "notes"),
    "inferenceDetails",
}
DETAILS = {"requestId", "inferenceExecutionTime", "promptTokens", "completionTokens"}
COLUMNS = [
    *("timestamp", "sku", "units", "pricePerUnitUsd", "amount", "currency", "notes"),
    *(f"inferenceDetails.{name}" for name in ("requestId", "inferenceExecutionTime")),
    *(f"inferenceDetails.{name}" for name in ("promptTokens", "completionTokens")),
]
ANALYTICS = [
    *("lookback", "byDate", "byModel", "byModelDaily", "topModels"),
    *("byKey", "byKeyDaily", "topKeyNames"),
]
# 20,000 tokens at $15 a million, and a few of input.
STORY: Any = [{"role": "user", "content": "[[sandbox: tokens=20000]] Tell me a story"}]
USAGE = "/billing/usage"


def test_venice(place: Site) -> None:
    with walk(place, "venice") as venice:
        balance_and_epochs(venice)
        spent = spending_order(venice)
        billing_usage(venice, spent)
        billing_usage_as_csv(venice)
        pagination(venice)
        usage_history(venice)
        usage_analytics(venice, spent)
        what_is_no_llm(venice)
        key_kinds(venice)
        consumption_limits_of_keys(venice)
        insufficient_balance(venice)


def balance_and_epochs(venice: Walker) -> None:
    """`GET /billing/balance`: what may be consumed, in which currency, of which allocation."""
    until(lambda: all(venice.get("/billing/balance")["balances"].values()))
    shown = venice.get("/billing/balance")
    assert (shown["canConsume"], shown["consumptionCurrency"]) == (True, "DIEM")
    assert shown["balances"] == {"diem": 1, "vcu": 5, "bundledCredits": 1, "usd": 2}
    assert (shown["diemEpochAllocation"], shown["vcuEpochAllocation"]) == (1, 5)
    assert shown["bundledCreditsEpochAllocation"] is None


async def test_the_next_epoch_brings_the_allocation_anew(database_url: str) -> None:
    """What is left of an epoch lapses at midnight UTC; here the clock can be moved."""
    clock = MovableClock(datetime(2091, 1, 30, 22, 30, tzinfo=UTC))
    settings = load_settings(EXAMPLES / "venice" / "tollkeeper.toml", {})
    async with whole_served(database_url, settings, clock) as whole:
        customer = await whole.customer()
        allocation = {"amount": 1, "every": "day", "currency": "DIEM", "reason": "staked"}
        said = {**allocation, "organizationId": customer.id, "livemode": False}
        assert (await whole.operate("POST", "/recurring-grants", said)).status == 201
        key = customer.keys["test ADMIN"]
        assert "diemEpochAllocation" in (await whole.ask("GET", "/openapi.json")).text
        for _ in range(2):
            await give_due(whole.database, clock)
            assert await diem_of(whole, key) == 1
            body = {"model": "sandbox-large", "messages": STORY, "max_tokens": 20_000}
            told = await whole.ask("POST", "/chat/completions", key, body)
            cost = Decimal(told.json["usage"]["cost_details"]["deducted"])
            assert await diem_of(whole, key) == 1 - cost
            clock.advance(timedelta(hours=2))
            async with whole.database.connection() as connection:
                await ledger.expire_due_lots(connection, clock.now())
            assert await diem_of(whole, key) == 0
            clock.advance(timedelta(hours=22))


async def diem_of(whole: Whole, key: str) -> Decimal:
    shown = (await whole.ask("GET", "/billing/balance", key)).json
    assert Decimal(shown["diemEpochAllocation"]) == 1
    return Decimal(shown["balances"]["diem"])


def tell(venice: Walker, key: str = "inference") -> Any:
    with OpenAI(base_url=venice.base_url, api_key=venice.keys.get(key, key)) as client:
        return client.chat.completions.create(
            model="sandbox-large", messages=STORY, max_tokens=20_000
        )


def spending_order(venice: Walker) -> dict[str, Decimal]:
    """Each call is charged to the first currency that covers it; return what went from each."""
    spent: dict[str, Decimal] = defaultdict(Decimal)
    paid: list[str] = []
    while "USD" not in paid:
        usage = tell(venice).usage
        details = usage.cost_details
        currency = details.get("currency", "USD")
        spent[currency] += exact(details["deducted"] if currency != "USD" else usage.cost)
        paid.append(currency)
    assert sorted(paid, key=CURRENCIES.index) == paid
    assert list(dict.fromkeys(paid)) == CURRENCIES
    left = venice.get("/billing/balance")
    # A VCU is worth a tenth of a dollar, and so much more of it is taken.
    assert spent["VCU"] == 10 * spent["USD"]
    assert left["balances"] == {
        "diem": 1 - spent["DIEM"],
        "vcu": 5 - spent["VCU"],
        "bundledCredits": 1 - spent["BUNDLED_CREDITS"],
        "usd": 2 - spent["USD"],
    }
    return spent


def billing_usage(venice: Walker, spent: dict[str, Decimal]) -> None:
    """`GET /billing/usage`: an entry per SKU of each inference, with exactly these fields."""
    whole = venice.get(USAGE)
    assert set(whole) == {"data", "pagination"}
    rows = whole["data"]
    assert whole["pagination"] == {"limit": 200, "page": 1, "total": len(rows), "totalPages": 1}
    for row in rows:
        assert set(row) == ENTRY
        assert set(row["inferenceDetails"]) == DETAILS
        # A debit is negative, and units are millions of tokens.
        assert row["amount"] < 0
        assert row["notes"] == "API Inference"
    newest = [row for row in rows if row["inferenceDetails"] == rows[0]["inferenceDetails"]]
    assert {row["sku"] for row in newest} == {
        "sandbox-large-llm-input-mtoken",
        "sandbox-large-llm-output-mtoken",
    }
    output = next(row for row in newest if row["sku"].endswith("output-mtoken"))
    assert (output["units"], output["pricePerUnitUsd"]) == (Decimal("0.02"), 15)
    assert output["inferenceDetails"]["completionTokens"] == 20_000
    assert output["amount"] == Decimal("-0.3")
    for currency in CURRENCIES:
        of_it = venice.lists(USAGE, currency=currency)
        assert {row["currency"] for row in of_it} == {currency}
        assert sum(row["amount"] for row in of_it) == -spent[currency]


def billing_usage_as_csv(venice: Walker) -> None:
    """`Accept: text/csv`: the same rows, the pagination in headers."""
    answer = venice.ask("GET", f"{USAGE}?limit=3", accept="text/csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == "attachment; filename=billing_usage.csv"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    wanted = venice.lists(USAGE, limit="3")
    assert list(rows[0]) == COLUMNS
    assert [Decimal(row["amount"]) for row in rows] == [row["amount"] for row in wanted]
    assert rows[0]["inferenceDetails.requestId"] == wanted[0]["inferenceDetails"]["requestId"]
    total = venice.get(USAGE)["pagination"]["total"]
    told = [answer.headers[f"x-pagination-{name}"] for name in ("limit", "page", "total")]
    assert told == ["3", "1", str(total)]
    assert int(answer.headers["x-pagination-total-pages"]) == -(-total // 3)


def pagination(venice: Walker) -> None:
    """Query parameters: limit up to 500, page from 1, sortOrder, startDate, endDate."""
    rows = venice.lists(USAGE, sortOrder="asc")
    assert rows == venice.lists(USAGE)[::-1]
    assert rows == [
        row
        for page in range(1, 9)
        for row in venice.lists(USAGE, sortOrder="asc", limit="5", page=str(page))
    ]
    first = rows[0]["timestamp"]
    assert venice.lists(USAGE, startDate=first, sortOrder="asc") == rows
    assert venice.lists(USAGE, endDate="2024-12-31T23:59:59.000Z") == []
    for name, value in {"limit": "501", "page": "0", "sortOrder": "up", "currency": "EUR"}.items():
        refused = venice.ask("GET", f"{USAGE}?{name}={value}")
        assert refused.status_code == 400
        assert isinstance(refused.json()["error"], str)
        assert refused.json()["details"][name]["_errors"]


def usage_history(venice: Walker) -> None:
    """`GET /billing/usage-history`: its successor; stable while new usage arrives."""
    rows = venice.lists(USAGE, sortOrder="asc")
    first = venice.get("/billing/usage-history", pageSize="10")
    tell(venice)
    found, cursor = first["data"], first["nextCursor"]
    while cursor:
        page = venice.get("/billing/usage-history", cursor=cursor)
        found, cursor = found + page["data"], page["nextCursor"]
    assert found == rows
    both = venice.ask("GET", f"/billing/usage-history?cursor={first['nextCursor']}&pageSize=10")
    assert both.status_code == 400


def usage_analytics(venice: Walker, spent: dict[str, Decimal]) -> None:
    """`GET /billing/usage-analytics`: by date, by model, by API key."""
    spent = {**spent, "USD": spent["USD"] * 2}  # One more story was told meanwhile.
    said = venice.get("/billing/usage-analytics")
    assert list(said) == ANALYTICS
    assert said["lookback"] == "7d"
    assert len(said["byDate"]) == 7
    for currency in CURRENCIES:
        assert sum(day[currency] for day in said["byDate"]) == spent[currency]
    (model,) = said["byModel"]
    assert (model["modelName"], model["unitType"]) == ("sandbox-large", "tokens")
    assert model["modelType"] == "LLM"
    totals = {
        "totalUsd": spent["USD"],
        "totalDiem": spent["DIEM"],
        "totalVcu": spent["VCU"],
        "totalBundledCredits": spent["BUNDLED_CREDITS"],
    }
    assert {name: model[name] for name in totals} == totals
    assert {one["type"] for one in model["breakdown"]} == {"Input", "Output"}
    assert sum(one["diem"] for one in model["breakdown"]) == spent["DIEM"]
    (key,) = said["byKey"]
    assert {name: key[name] for name in totals} == totals
    assert said["topModels"] == ["sandbox-large"]
    assert said["topKeyNames"] == [key["description"]]
    assert len(said["byModelDaily"]) == len(said["byKeyDaily"]) == 7
    assert venice.get("/billing/usage-analytics", lookback="400d")["lookback"] == "90d"


def what_is_no_llm(venice: Walker) -> None:
    """Tokens are "only present for LLM usage"; a picture is a unit."""
    with OpenAI(base_url=venice.base_url, api_key=venice.keys["inference"]) as client:
        client.images.generate(model="sandbox-image", prompt="A canal")
    newest = venice.lists(USAGE, limit="1")[0]
    assert (newest["sku"], newest["units"]) == ("sandbox-image-image-unit", 1)
    assert newest["amount"] * -1 == Decimal("0.04") == newest["pricePerUnitUsd"]
    details = newest["inferenceDetails"]
    assert details["requestId"]
    assert (details["promptTokens"], details["completionTokens"]) == (None, None)


def key_kinds(venice: Walker) -> None:
    """INFERENCE keys spend; ADMIN keys see billing too. Without a key, nobody."""
    for path in ("usage", "usage-history", "usage-analytics", "balance"):
        refused = venice.ask("GET", f"/billing/{path}", by="inference")
        assert (refused.status_code, refused.json()["code"]) == (401, "admin_key_required")
        assert isinstance(refused.json()["error"], str)
        assert venice.ask("GET", f"/billing/{path}", by="nobody").status_code == 401


def consumption_limits_of_keys(venice: Walker) -> None:
    """`consumptionLimit` of a key by epoch, month and lifetime: 402 with a code of its own."""
    made = venice.post("/api-keys", {"name": "Limited", "projectId": venice.project_id})
    limits = [("day", 0.5), ("month", 20), ("lifetime", 100)]
    for period, amount in limits:
        budget = {"name": f"By {period}", "apiKeyId": made["id"], "amount": amount}
        venice.post("/budgets", {**budget, "period": period})
    blocked = until(lambda: refused(venice, made["secret"]))
    assert (blocked.status_code, blocked.code) == (402, "api_key_spend_limit_exceeded")
    assert blocked.response.headers["x-should-retry"] == "false"
    # The account has a balance still, and another key may spend it.
    assert venice.get("/billing/balance")["canConsume"] is True
    assert refused(venice, venice.keys["inference"]) is None


def insufficient_balance(venice: Walker) -> None:
    blocked = until(lambda: refused(venice, venice.keys["inference"]))
    assert (blocked.status_code, blocked.code) == (402, "insufficient_credits")
    assert venice.post("/billing/purchases", {"amount": 5})["status"] == "succeeded"
    assert refused(venice, venice.keys["inference"]) is None


def refused(venice: Walker, key: str) -> APIStatusError | None:
    """Have a story told, and return what that is refused with."""
    try:
        tell(venice, key)
    except APIStatusError as error:
        return error
    return None
