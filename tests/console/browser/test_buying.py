"""Buying as people do it: by keyboard alone, without script, and in the processor's own form."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import aiohttp
from banks import fake_settings
from fake_stripe import FakeStripe
from fake_stripe import served as fake_served
from looking import looks_right
from msgspec.structs import replace
from playwright.async_api import Page, Route, expect
from windows import Window

from tollkeeper.base.settings import Settings
from whole import whole_served

ADD = "/console/credits/add"
# What js.stripe.com would give: a form in a frame, which leads the browser on when it is sent.
STUB = """
window.Stripe = (key) => ({
  createEmbeddedCheckoutPage: async ({ fetchClientSecret }) => {
    const secret = await fetchClientSecret();
    return { mount(place) {
      const frame = document.createElement("iframe");
      frame.title = "Card form";
      frame.src = `https://js.stripe.com/form?key=${key}&secret=${secret}`;
      place.append(frame);
    } };
  },
});
"""
FORM = """<!doctype html><html lang="en"><title>Card form</title>
<form action="https://js.stripe.com/pay" target="_top"><input type="hidden" name="secret"
value="{secret}"><button>Pay with 4242</button></form></html>"""


async def tab_to(page: Page, selector: str) -> None:
    """Press Tab until what is wanted has the focus."""
    for _ in range(80):
        if await page.evaluate("wanted => document.activeElement.matches(wanted)", selector):
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"Tab never comes to {selector}")


async def fill_address(page: Page) -> None:
    await page.get_by_label("Country").select_option("DE")
    await page.get_by_label("Street and number").fill("Speicherstraße 12")
    await page.get_by_label("City").fill("Hamburg")
    await page.get_by_label("Postal code").fill("20457")


async def test_credits_are_bought_by_keyboard_alone(window: Window) -> None:
    page = await window.sign_in("owner", await window.whole.customer())
    await page.goto(ADD)
    await tab_to(page, "input[name=preset]:checked")
    await page.keyboard.press("ArrowRight")
    await expect(page.locator("#total")).to_contain_text("$50.00")
    for _ in range(2):
        await page.keyboard.press("ArrowRight")
    await tab_to(page, "#amount")
    await page.keyboard.type("12.50")
    await expect(page.locator("#total")).to_contain_text("$12.50")
    await tab_to(page, "[name='billingAddress.country']")
    async with page.expect_response("**/credits/quote"):
        await page.keyboard.type("Germany")
    await expect(page.get_by_label("Postal code")).to_be_visible()
    assert await page.evaluate("document.activeElement.name") == "billingAddress.country"
    for name, typed in [
        ("billingAddress.line1", "Speicherstraße 12"),
        ("billingAddress.city", "Hamburg"),
        ("billingAddress.postalCode", "20457"),
    ]:
        await tab_to(page, f"[name='{name}']")
        await page.keyboard.type(typed)
    await tab_to(page, "button.first")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/sandbox/pay/**")
    await tab_to(page, "button.act")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/console/credits/purchases/**")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Thank you")
    await expect(page.locator(".main-figure dd")).to_have_text("$22.50")
    await looks_right(page)


async def test_the_total_follows_what_is_chosen_and_nothing_typed_is_lost(window: Window) -> None:
    page = await window.sign_in("owner", await window.whole.customer())
    await page.goto(ADD)
    await looks_right(page)
    await page.get_by_text("Other", exact=True).click()
    await page.get_by_label("Other amount").fill("4")
    await expect(page.locator("#total")).to_contain_text("Choose an amount")
    await page.get_by_label("Name or company").fill("Acme & Söhne")
    await page.get_by_label("Country").select_option("JP")
    await expect(page.get_by_label("Prefecture")).to_be_visible()
    await expect(page.get_by_label("Name or company")).to_have_value("Acme & Söhne")
    await page.get_by_label("Country").select_option("DE")
    await fill_address(page)
    await page.get_by_role("button", name="Buy credits").click()
    await expect(page.get_by_text("Choose an amount from $5.00")).to_be_visible()
    await expect(page.get_by_label("City")).to_have_value("Hamburg")
    await looks_right(page)


async def test_credits_are_bought_without_script(window: Window) -> None:
    page = await window.sign_in("owner", await window.whole.customer(), script=False, width=390)
    await page.goto(ADD)
    await page.get_by_label("Country").select_option("DE")
    await page.get_by_text("$10", exact=True).click()
    await page.get_by_role("button", name="Show the total").click()
    await expect(page.locator("#total")).to_contain_text("$10.00")
    await fill_address(page)
    await page.get_by_role("button", name="Buy credits").click()
    await page.wait_for_url("**/sandbox/pay/**")
    await page.locator("button.act").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Thank you")


async def test_a_purchase_under_way_looks_again_by_itself(window: Window) -> None:
    customer = await window.whole.customer()
    page = await window.sign_in("owner", customer)
    await page.goto(ADD)
    await fill_address(page)
    await page.get_by_role("button", name="Buy credits").click()
    await page.wait_for_url("**/sandbox/pay/**")
    pay = page.url
    bought = await window.whole.ask("GET", "/billing/purchases", customer.keys["test ADMIN"])
    await page.goto(f"/console/credits/purchases/{bought.json['data'][0]['id']}")
    await expect(page.get_by_role("link", name="Go to the payment page")).to_be_visible()
    await looks_right(page)
    async with (
        aiohttp.ClientSession() as elsewhere,
        elsewhere.post(pay, data={"number": "4242424242424242"}, allow_redirects=False) as paid,
    ):
        assert paid.status == 303
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Thank you")
    await expect(page.get_by_role("link", name="Download invoice")).to_be_visible()


async def play_stripe(page: Page, fake: FakeStripe) -> None:
    async def answer(route: Route) -> None:
        asked = urlsplit(route.request.url)
        secret = re.search(r"secret=([^&]+)", asked.query)
        if asked.path == "/form" and secret:
            body = FORM.replace("{secret}", secret[1])
            await route.fulfill(body=body, content_type="text/html")
        elif asked.path == "/pay" and secret:
            session = secret[1].removesuffix("_secret_fake")
            async with (
                aiohttp.ClientSession() as browser,
                browser.post(
                    f"{fake.base}/pay/{session}",
                    data={"card": "4242424242424242"},
                    allow_redirects=False,
                ) as paid,
            ):
                there = paid.headers["location"]
            await route.fulfill(status=302, headers={"location": there})
        else:
            await route.fulfill(body=STUB, content_type="text/javascript")

    await page.context.route("https://js.stripe.com/**", answer)


async def test_the_processors_form_is_mounted_in_the_page(
    window: Window, database_url: str
) -> None:
    async with fake_served() as fake:
        stripe = replace(fake_settings(fake, timeout_seconds=5), publishable_key="pk_test_ours")
        async with whole_served(database_url, Settings(stripe=stripe)) as whole:
            customer = await whole.customer()
            page = await window.sign_in("owner", customer, whole=whole)
            window.plays("js.stripe.com")
            await play_stripe(page, fake)
            await page.goto(ADD)
            await fill_address(page)
            await page.get_by_role("button", name="Buy credits").click()
            form = page.frame_locator("iframe[title='Card form']")
            await form.get_by_role("button", name="Pay with 4242").click()
            await expect(page.get_by_role("heading", level=1)).to_contain_text("Thank you")
            await page.close()  # while there is somebody to tell it of the balance
        assert fake.charged == 2500
