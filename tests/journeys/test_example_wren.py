"""Wren AI's page "API Usage Billing", section by section, against `./dev example wren`."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from running import Site
from tollkeeper_client import InsufficientCredits, Tollkeeper, Unauthenticated
from walking import Walker, exact, paste, stays, until, walk


class WrenApi:
    """Two endpoints of Wren's own API, metered by the Python client as its maker would."""

    def __init__(self, toll: Tollkeeper) -> None:
        self._toll = toll
        self.worked = 0

    def generate_sql(self, key: str, question: str, thread: str | None = None) -> dict[str, object]:
        thread = thread or str(uuid4())
        once = {"request": 1}
        with self._toll.charge(sku="generate_sql", estimate=once, customer_key=key) as charge:
            self.worked += 1
            if "weather" in question:
                error = "NON_SQL_QUERY"
                charge.used({}, input=question, thread_id=thread, status=400, error=error)
                return {"code": error, "threadId": thread}
            charge.used(once, input=question, thread_id=thread, duration_ms=420)
        return {"sql": "SELECT 1", "threadId": thread}

    def run_sql(self, key: str, sql: str, times: int) -> None:
        usage = {"request": times}
        self._toll.charge_now(usage, sku="run_sql", customer_key=key, input=sql)
        self.worked += 1


def test_wren(place: Site) -> None:
    with (
        walk(place, "wren") as wren,
        Tollkeeper(wren.keys["operator"], wren.base_url.removesuffix("/api/v1")) as toll,
    ):
        api = WrenApi(toll)
        how_to_access(wren)
        free_credits_of_its_plans(wren, api)
        api_credit_usage(wren, api)
        auto_recharge(wren, api)
        usage_logs(wren, api)
        free_credits_that_are_not_spent(wren)
        what_its_readme_tries(place, wren)


def how_to_access(wren: Walker) -> None:
    """How to Access: billing is the organization's; a key that only spends does not see it."""
    for path in ("/billing/balance", "/billing/auto-top-up", "/billing/usage-records"):
        assert wren.ask("GET", path).status_code == 200
        assert wren.ask("GET", path, by="inference").status_code == 401


def free_credits_of_its_plans(wren: Walker, api: WrenApi) -> None:
    """What its page on plans adds: credit once for 14 days and each month, spent before bought."""
    until(lambda: wren.balance() == Decimal("1.00"))
    monthly, once = sorted(wren.lists("/billing/lots"), key=lambda lot: lot["granted"])
    assert (once["granted"], monthly["granted"]) == (Decimal("0.8"), Decimal("0.2"))
    activated, now = moment(once["arrivedAt"]), datetime.now(UTC)
    assert abs(moment(once["expiresAt"]) - activated - timedelta(days=14)) < timedelta(minutes=1)
    assert moment(monthly["expiresAt"]) == first_of_the_month_after(now)
    wren.add_card()
    assert wren.post("/billing/purchases", {"amount": 10})["balanceAfter"] == 11
    api.run_sql(wren.keys["inference"], "SELECT 1", times=190)
    drawn = {lot["kind"]: [] for lot in wren.lists("/billing/lots")}
    for lot in wren.lists("/billing/lots"):
        drawn[lot["kind"]].append(exact(lot["drawn"]))
    assert sum(drawn["promotional"]) == Decimal("0.95")
    assert drawn["purchased"] == [0]


def api_credit_usage(wren: Walker, api: WrenApi) -> None:
    """API Credit Usage: a balance, more of it, and no requests without it."""
    key = wren.keys["inference"]
    # Credit Balance
    assert wren.balance() == Decimal("10.05")
    # Purchase API Credits
    bought = wren.post("/billing/purchases", {"amount": 5})
    assert (bought["status"], wren.balance()) == ("succeeded", Decimal("15.05"))
    # Auto Recharge: off, and the balance at 0
    assert wren.get("/billing/auto-top-up")["enabled"] is False
    api.run_sql(key, "SELECT * FROM orders", times=3010)
    assert wren.get("/billing/balance")["posted"] == 0
    assert wren.get("/billing/balance")["canConsume"] is False
    worked = api.worked
    with pytest.raises(InsufficientCredits) as refused:
        api.generate_sql(key, "How many orders were there?")
    assert (refused.value.required, refused.value.available) == (Decimal("0.02"), 0)
    assert api.worked == worked, "the request was processed"
    assert wren.get("/billing/balance")["posted"] == 0


def auto_recharge(wren: Walker, api: WrenApi) -> None:
    """Auto Recharge: strictly below the threshold the amount is bought, and added."""
    key = wren.keys["inference"]
    wren.post("/billing/purchases", {"amount": 10})
    # 3. and 4.: the least that may be set
    low = {"enabled": True, "threshold": 4.99, "amount": 14.99}
    faults = wren.put("/billing/auto-top-up", low, status=400)["details"]
    assert set(faults) == {"_errors", "threshold", "amount"}
    # 2. and 5.: on, and saved
    wren.put("/billing/auto-top-up", {"enabled": True, "threshold": 5, "amount": 15})
    saved = wren.get("/billing/auto-top-up")
    assert (saved["enabled"], saved["state"]) == (True, "active")
    assert (saved["threshold"], saved["amount"]) == (5, 15)
    # At the threshold it is not below it.
    api.run_sql(key, "SELECT * FROM customers", times=1000)
    stays(lambda: wren.balance() == 5)
    api.generate_sql(key, "Who are the best customers?")
    until(lambda: wren.balance() == Decimal("19.98"))
    newest = wren.lists("/billing/transactions")[0]
    assert (newest["type"], newest["amount"]) == ("Auto Top-up", 15)
    # Off again, and down to 0: nothing is bought, and requests are not processed.
    wren.put("/billing/auto-top-up", {"enabled": False, "threshold": 5, "amount": 15})
    api.run_sql(key, "SELECT * FROM visits", times=3996)
    worked = api.worked
    with pytest.raises(InsufficientCredits):
        api.generate_sql(key, "Who came most often?")
    stays(lambda: wren.get("/billing/balance")["posted"] == 0)
    assert api.worked == worked


def usage_logs(wren: Walker, api: WrenApi) -> None:
    """Usage Logs: each request of the organization, with its columns, filters and details."""
    key, question = wren.keys["inference"], "Which city orders most?"
    wren.post("/billing/purchases", {"amount": 5})
    other_project = wren.post("/projects", {"name": "Second"})["id"]
    other_key = wren.post("/api-keys", {"name": "Second", "projectId": other_project})["secret"]
    began = datetime.now(UTC)
    thread = str(api.generate_sql(key, question)["threadId"])
    api.generate_sql(key, "And the least?", thread)
    api.generate_sql(key, "What is the weather?")
    api.generate_sql(other_key, "How many are there?")
    with pytest.raises(Unauthenticated):
        api.generate_sql("tk_test_of_nobody", "Who am I?")

    ours = wren.lists("/billing/usage-records", start=began.isoformat())
    said = [row["input"] for row in ours]
    assert said == ["How many are there?", "What is the weather?", "And the least?", question]
    assert [row["projectId"] for row in ours] == [other_project, *[wren.project_id] * 3]
    # Timestamp, API Type, Question / SQL, Project ID, Thread ID, Cost
    row = ours[-1]
    assert began <= moment(row["timestamp"]) <= datetime.now(UTC)
    assert (row["operation"], row["input"]) == ("generate_sql", question)
    assert (row["projectId"], row["threadId"]) == (wren.project_id, thread)
    assert row["cost"] == Decimal("0.02")
    sql = wren.lists("/billing/usage-records", operation="run_sql")
    assert {row["input"].split()[0] for row in sql} == {"SELECT"}

    # Its history filters them by status, API type and thread, and opens a row's details.
    in_thread = wren.lists("/billing/usage-records", threadId=thread, operation="generate_sql")
    assert [row["input"] for row in in_thread] == ["And the least?", question]
    wrong = wren.lists("/billing/usage-records", status="400")
    assert [(row["input"], row["cost"]) for row in wrong] == [("What is the weather?", 0)]
    assert wrong[0]["error"] == "NON_SQL_QUERY"
    refused = until(lambda: wren.lists("/billing/usage-records", status="402"))
    assert {row["cost"] for row in refused} == {0}
    failed = wren.lists("/billing/usage-records", status="error")
    assert {row["id"] for row in failed} == {row["id"] for row in [*wrong, *refused]}
    details = wren.get(f"/billing/usage-records/{row['id']}")
    assert (details["status"], details["durationMs"]) == (200, 420)
    (line,) = details["lines"]
    assert (line["sku"], line["amount"]) == ("generate_sql", Decimal("0.02"))

    # Unauthenticated requests are not in it; the costs of all that are make up what was spent.
    everything = wren.ask("GET", "/billing/usage-records", by="admin", accept="text/csv").text
    rows = list(csv.DictReader(io.StringIO(everything)))
    assert "Who am I?" not in {row["input"] for row in rows}
    spent = wren.get("/billing/balance")["lifetimeSpent"]
    assert sum(Decimal(row["cost"]) for row in rows) == spent


def free_credits_that_are_not_spent(wren: Walker) -> None:
    """The same page on plans: they expire. Here after two seconds, as nobody waits for 14 days."""
    before = wren.balance()
    soon = datetime.now(UTC) + timedelta(seconds=2)
    gift = {"amount": 0.8, "expiresAt": soon.isoformat(), "livemode": False, "reason": "a trial"}
    wren.post(f"/operator/organizations/{wren.organization_id}/grants", gift, by="operator")
    until(lambda: wren.lists("/billing/entries", kind="expiry"), 60)
    assert wren.balance() == before
    (lapsed,) = wren.lists("/billing/lots", state="expired")
    assert (lapsed["granted"], lapsed["expired"], lapsed["left"]) == (exact("0.8"), exact("0.8"), 0)


def what_its_readme_tries(place: Site, wren: Walker) -> None:
    _, bought, charged, recharging, logs = paste(place, "wren", wren.base_url)
    assert '"label":"Free credits of the month"' in bought
    assert '"status":"succeeded"' in bought
    assert '"cost":0.02,' in charged
    assert '"error":"Insufficient credits"' in charged
    assert "must be from 15 to 100000" in recharging
    assert '"state":"active"' in recharging
    assert '"input":"Which customers order most?"' in logs
    assert '"formula":"generate_sql: 1 x 0.02' in logs
    assert '"status":402' in logs


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def first_of_the_month_after(now: datetime) -> datetime:
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)
