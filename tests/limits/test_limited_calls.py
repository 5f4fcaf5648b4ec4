"""Calls meet their limits on the way: refused by name, counted exactly, shown at once."""

from __future__ import annotations

import asyncio
from typing import Any

from tollkeeper.base.ids import show_id
from whole import Answer, Customer, Whole

CHAT = {
    "model": "sandbox-small",
    "messages": [{"role": "user", "content": "Hello"}],
    "max_tokens": 20,
    "user": "ada",
}


async def add(whole: Whole, customer: Customer, **said: Any) -> str:
    made = await whole.ask("POST", "/budgets", customer.keys["live ADMIN"], said)
    assert made.status == 201, made.text
    return made.json["id"]


async def call(whole: Whole, customer: Customer, **other: Any) -> Answer:
    body = {**CHAT, **other}
    return await whole.ask("POST", "/chat/completions", customer.keys["test INFERENCE"], body)


async def test_a_spent_budget_refuses_and_is_named(whole: Whole, customer: Customer) -> None:
    key_id = show_id("key", customer.key_ids["test INFERENCE"])
    tiny = await add(whole, customer, name="CI", amount=0, period="day", apiKeyId=key_id)
    refused = await call(whole, customer)
    assert (refused.status, refused.headers["x-should-retry"]) == (402, "false")
    error = refused.json["error"]
    assert error["code"] == "api_key_spend_limit_exceeded"
    assert error["metadata"]["limitSource"] == f"api_key:{tiny}"
    assert error["metadata"]["resetsAt"] == "2026-11-22T00:00:00Z"
    shown = (await whole.ask("GET", f"/budgets/{tiny}", customer.keys["test ADMIN"])).json
    assert (shown["used"], shown["held"]) == (0, 0)


async def test_a_rate_holds_for_calls_at_once(whole: Whole, customer: Customer) -> None:
    rate = await add(
        whole, customer, name="Rate", measure="requests", amount=3, period="minute", each="endUser"
    )
    answers = await asyncio.gather(*(call(whole, customer) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [200] * 3 + [429] * 5
    late = next(answer for answer in answers if answer.status == 429)
    assert late.headers["retry-after"] == "30"
    assert late.headers["x-ratelimit-limit"] == "3"
    assert late.headers["x-ratelimit-remaining"] == "0"
    assert late.json["error"]["code"] == "rate_limit_exceeded"
    assert (await call(whole, customer, user="bob")).status == 200
    path = f"/budgets/{rate}/counters"
    counters = (await whole.ask("GET", path, customer.keys["test ADMIN"])).json["data"]
    assert [(one["subject"], one["used"], one["held"]) for one in counters] == [
        ("ada", 3, 0),
        ("bob", 1, 0),
    ]
