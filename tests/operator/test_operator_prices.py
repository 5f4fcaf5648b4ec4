"""An operator's prices: published with a date, in force everywhere, never changed."""

from __future__ import annotations

import asyncio
from typing import Any

from whole import Answer, Customer, Whole

FILE: dict[str, Any] = {
    "provider": "own",
    "source": "our price list",
    "models": {"generate_sql": {"prices": [{"from": "always", "rates": {"request": 0.25}}]}},
}


async def publish(whole: Whole, file: dict[str, Any], **more: Any) -> Answer:
    return await whole.operate("POST", "/prices", {"file": file, "reason": "new price", **more})


async def test_a_published_price_is_listed_and_sold_by(whole: Whole) -> None:
    answer = await publish(whole, FILE)
    assert (answer.status, answer.json["published"]) == (201, 1)
    async with asyncio.timeout(10):
        while True:
            listed = await whole.operate("GET", "/prices?provider=own")
            if listed.json["data"]:
                break
    (price,) = listed.json["data"]
    assert price["model"] == "generate_sql"
    assert price["rates"] == {"request": {"price": "0.25", "per": 1}}
    assert price["source"] == "our price list"
    audit = await whole.operate("GET", "/audit-log")
    (noted,) = [row for row in audit.json["data"] if row["what"] == "price.publish"]
    assert noted["details"] == {"versions": 1, "models": ["own/generate_sql"]}


async def test_the_same_prices_again_change_nothing(whole: Whole) -> None:
    await publish(whole, FILE)
    again = await publish(whole, FILE)
    assert (again.status, again.json["published"]) == (201, 0)
    audit = await whole.operate("GET", "/audit-log")
    assert [row["what"] for row in audit.json["data"]].count("price.publish") == 1


async def test_a_price_that_was_in_force_is_not_changed_behind_anybody(whole: Whole) -> None:
    await publish(whole, FILE)
    rates = {"from": "2026-01-01", "rates": {"request": 0.5}}
    later = {**FILE, "models": {"generate_sql": {"prices": [rates]}}}
    refused = await publish(whole, later)
    assert (refused.status, refused.json["code"]) == (422, "price_version_conflict")
    assert (await publish(whole, later, backdate=True)).json["published"] == 1


async def test_every_fault_of_a_file_is_named(whole: Whole) -> None:
    broken = {
        "provider": "own",
        "models": {"x": {"prices": [{"from": "someday", "rates": {"request": -1}}]}},
    }
    answer = await publish(whole, broken)
    assert (answer.status, answer.json["code"]) == (400, "invalid_prices")
    assert len(answer.json["details"]) > 2


async def test_a_model_s_history_needs_its_provider(whole: Whole) -> None:
    answer = await whole.operate("GET", "/prices?model=sandbox-small")
    assert answer.status == 400
    history = await whole.operate("GET", "/prices?provider=sandbox&model=sandbox-small")
    assert [row["model"] for row in history.json["data"]] == ["sandbox-small"]


async def test_an_import_is_seen_before_it_is_published(whole: Whole) -> None:
    preview = await whole.operate("GET", "/prices/import?provider=mistral")
    assert preview.status == 200
    assert preview.json["new"] > 10
    assert preview.json["changed"] == 0
    body = {"providers": ["mistral"], "reason": "first import"}
    done = await whole.operate("POST", "/prices/import", body)
    assert (done.status, done.json["published"] >= preview.json["new"]) == (201, True)
    async with asyncio.timeout(10):
        while (await whole.operate("GET", "/prices/import?provider=mistral")).json["new"]:
            pass


async def test_an_unknown_provider_is_refused(whole: Whole) -> None:
    answer = await whole.operate("GET", "/prices/import?provider=nobody")
    assert (answer.status, answer.json["code"]) == (400, "invalid_request")
    assert "providers" in answer.json["details"]


async def test_customers_do_not_publish(whole: Whole, customer: Customer) -> None:
    body = {"file": FILE, "reason": "cheaper"}
    answer = await whole.ask("POST", "/operator/prices", customer.keys["live ADMIN"], body)
    assert answer.status == 401


async def mark_up(whole: Whole, **more: Any) -> Any:
    return await whole.operate("POST", "/markups", {"reason": "margin", **more})


async def cost_becomes(whole: Whole, customer: Customer, cost: str) -> None:
    """Wait until a call of the SKU costs this: prices are read anew every second."""
    asked = {"sku": "generate_sql", "usage": {"request": 1}}
    async with asyncio.timeout(10):
        while True:
            told = await whole.ask("POST", "/metering/estimate", customer.keys["test ADMIN"], asked)
            if told.status == 200 and str(told.json["cost"]) == cost:
                return
            await asyncio.sleep(0.05)


async def test_a_mark_up_is_sold_by_from_its_moment_and_can_be_taken_away(
    whole: Whole, customer: Customer
) -> None:
    await publish(whole, FILE)
    set_ = await mark_up(whole, provider="own", model="generate_sql", percent=20, fixed=0.01)
    assert (set_.status, set_.json["percent"], set_.json["fixed"]) == (201, 20, "0.01")
    to_come = await mark_up(whole, percent=-10, **{"from": "2100-01-01T00:00:00Z"})
    assert to_come.status == 201
    await cost_becomes(whole, customer, "0.31")
    assert (await mark_up(whole, provider="own", model="generate_sql", remove=True)).status == 201
    await cost_becomes(whole, customer, "0.25")
    listed = (await whole.operate("GET", "/markups")).json["data"]
    assert [(row["model"], row["percent"]) for row in listed] == [
        ("", -10),
        ("generate_sql", None),
        ("generate_sql", 20),
    ]


async def test_a_mark_up_that_cannot_be_is_refused_by_the_field(whole: Whole) -> None:
    for said, field in (
        ({"percent": 5, "from": "2020-01-01T00:00:00Z"}, "from"),
        ({"percent": 1.23456}, "percent"),
        ({"percent": 5, "model": "gpt-5"}, "provider"),
        ({"percent": 5, "plan": "pro", "provider": "openai"}, "plan"),
        ({"fixed": -1}, "fixed"),
    ):
        refused = await mark_up(whole, **said)
        assert refused.status == 400, (said, refused.json)
        assert field in refused.json["details"], (said, refused.json)
