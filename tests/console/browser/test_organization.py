"""Keys, budgets and their like in a real browser: by keyboard, and before a real client."""

from __future__ import annotations

import re

import pytest
from looking import looks_right
from openai import APIStatusError, AsyncOpenAI
from playwright.async_api import Page, expect
from windows import Window


async def fill_by_keyboard(page: Page, **fields: str) -> None:
    """Go through a form with the tab key, and type what is said of each field."""
    left = dict(fields)
    for _ in range(40):
        await page.keyboard.press("Tab")
        name = await page.evaluate("document.activeElement.name || ''")
        if name in left:
            await page.keyboard.type(left.pop(name))
        if not left:
            return
    raise AssertionError(f"The keyboard does not reach {list(left)}")


async def ask_a_model(window: Window, secret: str) -> str:
    async with AsyncOpenAI(
        base_url=f"{window.whole.url}/api/v1", api_key=secret, max_retries=0
    ) as client:
        said = await client.chat.completions.create(
            model="sandbox-small", messages=[{"role": "user", "content": "Hello"}], max_tokens=50
        )
    return said.choices[0].message.content or ""


async def test_a_key_is_made_by_keyboard_copied_used_and_stopped(window: Window) -> None:
    customer = await window.whole.customer()
    page = await window.sign_in("owner", customer)
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.goto("/console/keys/new")
    await fill_by_keyboard(page, name="From the keyboard")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Your new API key")).to_be_visible()
    await looks_right(page)
    await page.get_by_role("button", name="Copy key").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    secret: str = await page.evaluate("navigator.clipboard.readText()")
    assert secret == await page.locator("#secret").input_value()
    assert secret.startswith("tk_test_")
    assert secret not in page.url

    assert await ask_a_model(window, secret)
    await page.get_by_role("link", name="I have kept it").click()
    row = page.get_by_role("row", name=re.compile("From the keyboard"))
    await expect(row).to_be_visible()
    assert secret not in await page.content()
    await window.whole.app.rooms.keys.flush_last_used()
    await page.reload()
    await expect(row.locator("td").nth(4)).not_to_have_text("Never")

    await page.goto("/console/limits/new")
    await page.get_by_label("Name", exact=True).fill("Stop it")
    await page.get_by_label("Count", exact=True).select_option("tokens")
    await page.get_by_label("Amount", exact=True).fill("10")
    await page.get_by_label("API key", exact=True).select_option(label="From the keyboard")
    await page.get_by_role("button", name="Add budget").click()
    await expect(page.get_by_role("status")).to_contain_text("The budget is there")
    with pytest.raises(APIStatusError) as refused:
        await ask_a_model(window, secret)
    assert refused.value.status_code == 402


async def test_forms_look_right_and_destroying_asks_for_the_name(window: Window) -> None:
    page = await window.sign_in("owner", await window.whole.customer())
    for path in ("/console/keys/new", "/console/limits/new"):
        await page.goto(path)
        await looks_right(page)
    await page.goto("/console/members")
    for name in ("Ada Lovelace", "Grace Hopper"):
        await page.get_by_label("Name", exact=True).fill(name)
        await page.get_by_label("E-mail").fill(f"{name.split()[0]}@example.org")
        await page.get_by_label("Role", exact=True).select_option("admin")
        await page.get_by_role("button", name="Add member").click()
        await expect(page.get_by_role("status")).to_contain_text("member now")
    await page.get_by_role("link", name="Edit Ada Lovelace").click()
    await looks_right(page)
    await page.get_by_role("link", name="Remove").click()
    await page.get_by_label("To confirm").fill("Ada")
    await page.get_by_role("button", name="Remove").click()
    await expect(page.get_by_role("alert")).to_contain_text("This is not the name")
    await page.get_by_label("To confirm").fill("Ada Lovelace")
    await page.get_by_role("button", name="Remove").click()
    await expect(page.get_by_role("row", name=re.compile("Ada"))).to_have_count(0)
    await expect(page.get_by_role("row", name=re.compile("Grace"))).to_be_visible()
    await page.goto("/console/projects")
    await page.get_by_role("link", name="Rename Default").click()
    await looks_right(page)
