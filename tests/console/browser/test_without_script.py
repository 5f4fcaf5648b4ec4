"""Forms of customers and staff in a browser that runs no script."""

from __future__ import annotations

import re

from browsing import make_account
from furniture_of_staff import STAFF, staff_page
from playwright.async_api import expect
from windows import Window


async def test_a_customers_forms(window: Window) -> None:
    page = await window.sign_in("owner", await window.whole.customer(), script=False)
    await page.goto("/console/payment-methods")
    await page.get_by_role("button", name="Add payment method").click()
    await page.get_by_role("button", name="Keep a card").click()
    await page.goto("/console/auto-top-up")
    await page.locator("#enabled").check()
    await page.locator("#threshold").fill("5")
    await page.locator("#amount").fill("25")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Saved. Auto top-up is on.")).to_be_visible()

    await page.goto("/console/keys")
    await page.get_by_role("link", name="Create key").first.click()
    await page.locator("#name").fill("Plain")
    await page.get_by_role("button", name="Create key").click()
    await expect(page.locator("#secret")).to_have_value(re.compile("^tk_test_"))

    await page.goto("/console/limits")
    await page.get_by_role("link", name="Add budget").first.click()
    await page.locator("#name").fill("Plain budget")
    await page.locator("#amount").fill("x")
    await page.get_by_role("button", name="Add budget").click()
    await expect(page.locator("#amount-fault")).to_be_visible()
    await expect(page.locator("#name")).to_have_value("Plain budget")
    await page.locator("#amount").fill("10")
    await page.get_by_role("button", name="Add budget").click()
    await expect(page.get_by_role("status")).to_contain_text("The budget is there")

    await page.goto("/console/webhooks")
    await page.get_by_role("link", name="Add webhook").click()
    await page.get_by_label("Address").fill("https://hooks.invalid/tollkeeper")
    await page.get_by_role("button", name="Add webhook").click()
    await expect(page.get_by_text("It is shown this once.")).to_be_visible()

    await page.goto("/console/playground")
    await page.locator("#text").fill("Hello")
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator("[data-talk] li")).to_have_count(2)
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("signed out")


async def test_the_staffs_forms(window: Window) -> None:
    customer = await window.whole.customer()
    key = customer.keys["test ADMIN"]
    bought = await window.whole.ask("POST", "/billing/purchases", key, {"amount": 25})
    where = f"{STAFF}/organizations/{customer.id}"
    page = await staff_page(window, script=False)
    await page.goto(f"{where}/grant?mode=test")
    await page.get_by_label("Amount").fill("12.50")
    await page.get_by_label("Why").fill("A hello")
    await page.get_by_role("button", name="Give credit").click()
    await expect(page.get_by_text("The credit is there.")).to_be_visible()
    await page.goto(f"{where}/purchases/{bought.json['id']}/refund")
    await page.get_by_label("Amount").fill("100")
    await page.get_by_label("Why").fill("Asked for")
    await page.locator("main form button").click()
    await expect(page.locator("main .fault, main .toast.bad").first).to_be_visible()
    await expect(page.get_by_label("Why")).to_have_value("Asked for")
    await page.get_by_label("Amount").fill("10")
    await page.locator("main form button").click()
    await expect(page.get_by_role("status")).to_be_visible()
    await page.goto(f"{where}?mode=test")
    await expect(page.locator("main")).to_contain_text("$37.50")


async def test_signing_in(window: Window) -> None:
    account = await make_account(window.whole)
    page = await window.open(window.whole.url, script=False)
    await page.goto("/console/account")
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await page.goto("/console/sign-in")
    await page.get_by_label("E-mail").fill(account.email)
    await page.get_by_label("Password").fill("not the password")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("is not right")
    await expect(page.get_by_label("E-mail")).to_have_value(account.email)
