"""The playground in a browser: an answer as it is written, its cost, and the way to more credit."""

from __future__ import annotations

from typing import Any

from looking import looks_right
from playwright.async_api import Page, expect
from windows import Window

from whole import Customer, Whole

HOSTILE = "<img src=x onerror=alert(1)><script>alert('x')</script>"


async def records(whole: Whole, customer: Customer) -> list[dict[str, Any]]:
    answer = await whole.ask("GET", "/billing/usage-records", customer.keys["test ADMIN"])
    return answer.json["data"]


async def ask(page: Page, text: str) -> None:
    await page.get_by_label("Message").fill(text)
    await page.get_by_role("button", name="Send").click()


async def test_an_answer_streams_in_with_its_cost(window: Window) -> None:
    customer = await window.whole.customer()
    page = await window.sign_in("owner", customer)
    await page.goto("/console/playground")
    await page.get_by_label("Message").fill(f"[[sandbox: tokens=60, delay=0.02]] {HOSTILE}")
    await expect(page.locator("[data-estimate]")).to_contain_text("At most")
    await page.get_by_role("button", name="Send").dblclick()
    await expect(page.get_by_role("button", name="Stop")).to_be_visible()
    answer = page.locator(".said.assistant")
    await expect(answer.locator(".cost .money").first).to_be_visible()
    (record,) = await records(window.whole, customer)
    await expect(answer.locator(".cost .money").first).to_have_attribute(
        "title", f"{record['cost']} USD"
    )
    await expect(answer.locator(".cost .money").last).to_have_attribute(
        "title", f"{record['balanceAfter']} USD"
    )
    await expect(page.locator(".said.user .words")).to_contain_text("<img src=x onerror")
    assert await page.locator(".said img, .said script").count() == 0
    chip = page.locator("[data-live-balance] .money")
    await expect(chip).to_have_attribute("title", f"{record['balanceAfter']} USD")
    # The talk goes on, by the keyboard alone, and what was said is sent with it.
    await page.get_by_label("Message").press_sequentially("And now?")
    await page.keyboard.press("Enter")
    await expect(page.locator(".said.assistant .cost a")).to_have_count(2)
    assert len(await records(window.whole, customer)) == 2
    await looks_right(page)
    await answer.first.get_by_role("link", name="Usage record").click()
    await expect(page.get_by_text(record["id"])).to_be_visible()
    await page.go_back()
    await expect(page.locator(".said")).to_have_count(4)
    await page.get_by_role("button", name="New chat").click()
    await expect(page.locator(".said")).to_have_count(0)


async def test_a_stopped_answer_is_charged_for_what_was_written(window: Window) -> None:
    customer = await window.whole.customer()
    page = await window.sign_in("owner", customer)
    await page.goto("/console/playground")
    await ask(page, "[[sandbox: tokens=900, delay=0.1]] go on")
    await expect(page.locator(".said.assistant .words")).not_to_be_empty()
    await page.get_by_role("button", name="Stop").click()
    await expect(page.locator(".said.assistant .cost a")).to_be_visible(timeout=60_000)
    (record,) = await records(window.whole, customer)
    assert record["source"] == "partial"
    assert float(record["cost"]) > 0
    await expect(page.locator(".said.assistant .cost")).to_contain_text("Stopped midway")


async def test_out_of_credits_leads_to_more_and_back(window: Window) -> None:
    customer = await window.whole.customer(sandbox_credit=1_000)
    window.expects(402)
    page = await window.sign_in("owner", customer)
    await page.goto("/console/playground")
    await ask(page, "Write me a poem")
    card = page.get_by_role("alert")
    await expect(card).to_contain_text("Out of credits")
    await expect(card).to_contain_text("Needed at most")
    await looks_right(page)
    await card.get_by_role("link", name="Add credits").click()
    await expect(page).to_have_url(f"{window.whole.url}/console/credits/add")
    admin = customer.keys["test ADMIN"]
    bought = await window.whole.ask("POST", "/billing/purchases", admin, {"amount": 5})
    assert bought.json["status"] == "succeeded", bought.text
    await page.goto("/console/playground")
    await expect(page.get_by_label("Message")).to_have_value("Write me a poem")
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator(".said.assistant .cost a")).to_be_visible()
    assert len(await records(window.whole, customer)) == 1


async def test_without_a_script_and_for_a_member(window: Window) -> None:
    customer = await window.whole.customer()
    page = await window.sign_in("member", customer, script=False, width=390)
    await page.goto("/console/playground")
    await ask(page, "Hello")
    await expect(page.locator(".said")).to_have_count(2)
    await ask(page, "Hello again")
    await expect(page.locator(".said")).to_have_count(4)
    assert "$" not in await page.content()
    assert len(await records(window.whole, customer)) == 2
