"""The pages of usage in a browser: the chart, the reader's days, and calls as they come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from looking import looks_right, stays_in_place
from playwright.async_api import Page, expect
from windows import Window

from tollkeeper.base.ids import show_id
from whole import Customer

HOURS_AHEAD = 9  # of Tokyo


async def report(window: Window, customer: Customer, *events: dict[str, Any]) -> None:
    key = customer.keys["test INFERENCE"]
    answer = await window.whole.ask("POST", "/metering/events", key, list(events))
    assert answer.status < 300, answer.text


def event(name: str, at: datetime, **said: Any) -> dict[str, Any]:
    return {
        "id": name,
        "time": at.isoformat(),
        "provider": "sandbox",
        "model": "sandbox-small",
        "usage": {"input": 1000, "output": 2000},
        **said,
    }


async def ids_in(page: Page) -> set[str]:
    return set(
        await page.locator(".open-row").evaluate_all("all => all.map(one => one.textContent)")
    )


async def test_a_chart_tells_its_amounts_and_leads_to_its_calls(window: Window) -> None:
    customer = await window.whole.customer()
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    days = [noon - timedelta(days=n) for n in (1, 2, 2, 3)]
    models = ["sandbox-small", "sandbox-small", "sandbox-large", "sandbox-large"]
    await report(
        window,
        customer,
        *(event(f"e{n}", at, model=models[n], input=f"question {n}") for n, at in enumerate(days)),
    )
    page = await window.sign_in("owner", customer)
    await page.goto("/console/analytics?period=7d")
    bars = page.locator("a.bar")
    await expect(bars).to_have_count(7)
    await stays_in_place(page)
    await looks_right(page)

    both = bars.nth(4)
    await both.hover()
    tooltip = page.locator(".tooltip")
    await expect(tooltip).to_be_visible()
    for words in ("sandbox-small", "sandbox-large", "Total"):
        await expect(tooltip).to_contain_text(words)
    parts = both.locator(".part")
    await expect(parts).to_have_count(2)
    for amount in await parts.evaluate_all("all => all.map(one => one.dataset.amount)"):
        await expect(tooltip).to_contain_text(amount)
    # The keyboard goes from bar to bar; one of them is in the order of tabs.
    await page.locator("a.bar[tabindex='0']").focus()
    await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("ArrowLeft")
    await expect(bars.nth(4)).to_be_focused()
    await expect(tooltip).to_contain_text(f"{days[1]:%b} {days[1].day}")
    # A bar's name says what its tooltip says.
    assert "2 calls" in (await bars.nth(4).get_attribute("aria-label") or "")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/console/usage?**")
    await expect(page.locator(".open-row")).to_have_count(2)
    # One part of a bar leads to the calls of its group alone.
    await page.go_back()
    large = page.locator("a.bar").nth(4).locator("[data-key='0']")
    await large.click()
    await page.wait_for_url("**/console/usage?**model=sandbox-large**")
    await expect(page.locator(".open-row")).to_have_count(1)
    await expect(page.locator("tbody tr", has_text="question 2")).to_have_count(1)


async def test_without_script_the_chart_is_there_and_leads_on(window: Window) -> None:
    page = await window.sign_in("owner", script=False)
    await page.goto("/console/analytics?period=today")
    drawn = page.locator("a.bar:has(.part)")
    assert await drawn.count() >= 1
    assert "calls" in (await drawn.first.locator("title").text_content() or "")
    await drawn.first.click(force=True)
    assert urlsplit(page.url).path == "/console/usage"
    await expect(page.locator(".open-row").first).to_be_visible()


async def test_days_are_those_of_the_reader(window: Window) -> None:
    customer = await window.whole.customer()
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    # 20:00 of UTC is 05:00 of the next day in Tokyo.
    late = today - timedelta(days=3) + timedelta(hours=20)
    early = today - timedelta(days=3) + timedelta(hours=10)
    await report(window, customer, event("late", late), event("early", early))
    page = await window.sign_in("owner", customer, time_zone="Asia/Tokyo")
    await page.goto("/console/analytics?period=7d&compare=none")
    await page.wait_for_url("**zone=Asia%2FTokyo**")
    await expect(page.locator("#zone")).to_have_value("Asia/Tokyo")
    spent = await page.locator("a.bar:has(.part)").evaluate_all(
        "all => all.map(one => one.dataset.label)"
    )
    there = [at + timedelta(hours=HOURS_AHEAD) for at in (early, late)]
    assert [label.split(", ")[1] for label in spent] == [f"{at:%b} {at.day}" for at in there]
    await page.locator("a.bar:has(.part)").nth(1).click()
    await page.wait_for_url("**/console/usage?**")
    said = dict(parse_qsl(urlsplit(page.url).query))
    assert datetime.fromisoformat(said["from"]) == late - timedelta(hours=5)
    await expect(page.locator(".open-row")).to_have_count(1)
    await expect(page.locator("#from")).to_have_value(f"{there[1]:%Y-%m-%d}T00:00")
    # From now on the server knows, and draws no page twice.
    await page.goto("/console/analytics?period=7d")
    await expect(page.locator("#zone")).to_have_value("Asia/Tokyo")
    assert "zone" not in page.url


async def test_new_calls_appear_by_themselves(window: Window) -> None:
    customer = await window.whole.customer()
    now = datetime.now(UTC)
    await report(window, customer, *(event(f"old {n}", now) for n in range(60)))
    page = await window.sign_in("owner", customer)
    await page.goto("/console/usage")
    rows = page.locator(".open-row")
    await expect(rows).to_have_count(50)
    # What lies further down comes when it is scrolled to.
    await page.locator(".loader").scroll_into_view_if_needed()
    await expect(rows).to_have_count(60)
    await page.get_by_role("link", name="Live: off").click()
    await expect(page.get_by_role("link", name="Live: on")).to_be_visible()
    await report(window, customer, event("new", now, input="as it happens"))
    await expect(page.locator("tbody tr", has_text="as it happens")).to_be_visible(timeout=3000)
    first = page.locator("tbody tr").first
    await expect(first).to_contain_text("as it happens")
    await report(window, customer, event("newer", now, input="and another"))
    await expect(page.locator("tbody tr").first).to_contain_text("and another", timeout=3000)
    await expect(page.locator("tbody tr", has_text="as it happens")).to_have_count(1)


async def test_the_log_is_read_on_a_phone(window: Window) -> None:
    page = await window.sign_in("owner", width=390)
    await page.goto("/console/usage?operation=search&status=success")
    await looks_right(page)
    row = page.locator("tbody tr").first
    await expect(row.locator(".fold").first).to_have_text("search")
    await expect(row.locator("td").nth(1)).to_be_hidden()
    await page.get_by_role("link", name="Remove the filter API type").click()
    assert "operation" not in page.url
    await page.locator(".open-row").first.click()
    await expect(page.get_by_role("heading", name="How the cost was worked out")).to_be_visible()
    await looks_right(page)


@pytest.mark.parametrize("path", ["usage", "analytics"])
async def test_filters_are_folded_on_a_phone(window: Window, path: str) -> None:
    page = await window.sign_in("owner", width=390)
    await page.goto(f"/console/{path}")
    choice = page.get_by_label("From", exact=True)
    await expect(choice).to_be_hidden()
    await page.locator("summary").filter(has_text="Filters").first.click()
    await expect(choice).to_be_visible()
    await looks_right(page)
    await page.set_viewport_size({"width": 1440, "height": 900})
    await page.goto(f"/console/{path}")
    await expect(choice).to_be_visible()
    await expect(page.locator("summary").filter(has_text="Filters").first).to_be_hidden()


@pytest.mark.parametrize("width", [1024, 1280, 1366, 1440])
async def test_what_a_call_cost_is_never_cut(window: Window, width: int) -> None:
    customer = await window.whole.customer()
    long = {
        "operation": "an operation of a long name that somebody made up",
        "threadId": "a thread of a long name as well",
        "input": "Which of these clauses limits what we owe, and by how much in the worst case?",
        "usage": {"input": 123_456, "output": 789},
    }
    now = datetime.now(UTC)
    await report(window, customer, *(event(f"e{n}", now, **long) for n in range(3)))
    budget = {"name": "x", "amount": 1_234, "period": "billing_cycle"}
    key = {"apiKeyId": show_id("key", customer.key_ids["test INFERENCE"])}
    admin = customer.keys["test ADMIN"]
    made = await window.whole.ask("POST", "/budgets", admin, budget | key)
    assert made.status == 201, made.text
    page = await window.sign_in("owner", customer, width=width)
    for path in ("usage", "keys"):
        await page.goto(f"/console/{path}")
        table = page.locator(".scroll").first
        await expect(table.locator("tbody tr").nth(1)).to_be_visible()
        seen = await table.evaluate("one => [one.scrollWidth, one.clientWidth]")
        assert seen[0] == seen[1], (path, seen)
