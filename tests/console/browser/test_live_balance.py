"""Pages that hear of what happens: the balance, on every page, of two people at once."""

from __future__ import annotations

import time

from looking import looks_right
from playwright.async_api import Page, expect
from windows import Window

from whole import Customer, Whole


async def call(whole: Whole, customer: Customer, tokens: int) -> str:
    text = f"[[sandbox: tokens={tokens}]] write"
    body = {"model": "sandbox-large", "messages": [{"role": "user", "content": text}]}
    answer = await whole.ask("POST", "/chat/completions", customer.keys["test INFERENCE"], body)
    assert answer.status == 200, answer.text
    return answer.headers["x-tollkeeper-balance"]


async def balance_becomes(page: Page, amount: str) -> float:
    began = time.monotonic()
    money = page.locator("[data-live-balance] .money")
    await expect(money).to_have_attribute("title", f"{amount} USD", timeout=5_000)
    return time.monotonic() - began


async def test_two_people_see_one_balance_fall(window: Window) -> None:
    customer = await window.whole.customer()
    owner = await window.sign_in("owner", customer)
    accountant = await window.sign_in("billing", customer, width=390)
    await owner.goto("/console/plan")
    await accountant.goto("/console/usage")
    for tokens in (100, 900, 50):
        left = await call(window.whole, customer, tokens)
        assert await balance_becomes(owner, left) < 3
        assert await balance_becomes(accountant, left) < 3
    await looks_right(accountant)


async def test_parts_of_a_page_are_told_by_name(window: Window) -> None:
    customer = await window.whole.customer()
    page = await window.sign_in("member", customer)
    await page.goto("/console/plan")
    assert await page.locator("[data-live-balance]").count() == 0
    await page.evaluate(
        """() => {
          for (const name of ["balance", "usage", "top_up", "purchase"]) {
            document.body.addEventListener(`live:${name}`, () => {
              document.body.dataset.heard = `${document.body.dataset.heard ?? ""}${name} `;
            });
          }
        }"""
    )
    await call(window.whole, customer, 10)
    # Of money a member hears nothing, and of a call once.
    await expect(page.locator("body")).to_have_attribute("data-heard", "usage ")


async def test_what_was_missed_is_made_up_for(window: Window) -> None:
    """A page that was away hears on its return of what has changed, and of that alone."""
    customer = await window.whole.customer()
    page = await window.sign_in("owner", customer)
    await page.goto("/console/plan")
    away = """(away) => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => away });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    await page.clock.install()
    await page.goto("/console/plan")
    await page.evaluate(away, True)
    await page.clock.run_for(16_000)
    left = await call(window.whole, customer, 100)
    assert "$10.00" in await page.locator("[data-live-balance]").inner_text()
    await page.evaluate(away, False)
    assert await balance_becomes(page, left) < 5


async def test_an_empty_balance_says_so(window: Window) -> None:
    customer = await window.whole.customer(sandbox_credit=5_100_000_000)
    page = await window.sign_in("owner", customer)
    await page.goto("/console/plan")
    await expect(page.locator("[data-live-balance] .badge")).to_be_hidden()
    await call(window.whole, customer, 30_000)
    badge = page.locator("[data-live-balance] .badge")
    await expect(badge).to_have_text("Low balance", timeout=5_000)
    await looks_right(page)
