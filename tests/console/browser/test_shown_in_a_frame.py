"""The pages in a frame of a product of another origin: who may show them, and buying inside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from browsing import make_link
from looking import looks_right
from playwright.async_api import FrameLocator, Page, expect
from test_buying import ADD
from windows import Window

from tollkeeper.base.settings import Settings
from tollkeeper.base.settings_of_console import Console
from whole import Whole, whole_served

LOGO = '<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24"><circle r="9"/></svg>'
SHELL = """<!doctype html><html lang="en"><meta charset="utf-8"><title>A product</title>
<style>iframe { width: 100%%; height: 800px }</style><h1>Billing</h1>
<iframe name="billing" title="Billing" src="%s"></iframe></html>"""


class Product:
    """A page of somebody else, on a port of its own; it shows what `frame` says."""

    def __init__(self) -> None:
        self.frame = "about:blank"
        self.origin = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = (SHELL % self.frame).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {len(body)}\r\n"
        writer.write(head.encode() + b"connection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def product_served() -> AsyncGenerator[Product]:
    product = Product()
    server = await asyncio.start_server(product.answer, "127.0.0.1", 0)
    product.origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield product


@pytest.fixture
async def stage(database_url: str, tmp_path: Path) -> AsyncIterator[tuple[Whole, Product, Product]]:
    """An installation in its operator's look, a product that may frame it, and one that may not."""
    (tmp_path / "logo.svg").write_text(LOGO, "utf-8")
    async with AsyncExitStack() as open_things:
        listed = await open_things.enter_async_context(product_served())
        stranger = await open_things.enter_async_context(product_served())
        look = Console(
            name="Acme Billing",
            logo=str(tmp_path / "logo.svg"),
            accent="#ffe600",
            frame_origins=[listed.origin],
        )
        served = whole_served(database_url, Settings(console=look))
        yield await open_things.enter_async_context(served), listed, stranger


async def show(window: Window, whole: Whole, product: Product) -> tuple[Page, FrameLocator]:
    """Open the product's page, and give it with the frame in it."""
    page = await window.open(product.origin)
    window.plays(whole.url.removeprefix("http://"))
    await page.context.route(f"{whole.url}/**", lambda route: route.continue_())
    product.frame = await make_link(whole, await whole.customer())
    await page.goto("/")
    return page, page.frame_locator("iframe")


async def test_credits_are_bought_in_a_products_frame(
    window: Window, stage: tuple[Whole, Product, Product]
) -> None:
    whole, listed, _ = stage
    page, inside = await show(window, whole, listed)
    await expect(inside.get_by_role("heading", name="Credits")).to_be_visible()
    await expect(inside.get_by_text("Acme Billing")).to_be_visible()
    await inside.get_by_role("link", name="Add credits").first.click()
    await inside.get_by_label("Country").select_option("DE")
    for label, said in [
        ("Street and number", "Speicherstraße 12"),
        ("City", "Hamburg"),
        ("Postal code", "20457"),
    ]:
        await inside.get_by_label(label).fill(said)
    await inside.get_by_role("button", name="Buy credits").click()
    async with page.context.expect_page() as opened:
        await inside.get_by_role("link", name="Go to the payment page").click()
    beside = await opened.value
    await beside.locator("button.act").click()
    await expect(beside.get_by_role("heading", level=1)).to_contain_text("Thank you")
    await beside.close()
    await expect(inside.get_by_role("heading", level=1)).to_contain_text("Thank you")
    await inside.get_by_role("link", name="Payment methods").first.click()
    await inside.get_by_role("button", name="Add payment method").click()
    async with page.context.expect_page() as opened:
        await inside.get_by_role("link", name="Continue").click()
    beside = await opened.value
    await beside.get_by_role("button", name="Keep a card").click()
    await expect(beside.get_by_text("Visa ···· 4242").first).to_be_visible()
    await inside.get_by_role("link", name="I am done there").click()
    await expect(inside.get_by_text("Visa ···· 4242").first).to_be_visible()
    # The link was good for once, and says so to who loads the product's page again.
    await page.reload()
    await expect(inside.locator("h1")).to_be_visible()
    await expect(inside.locator("main")).to_contain_text("link")


async def test_who_is_not_listed_shows_nothing(
    window: Window, stage: tuple[Whole, Product, Product]
) -> None:
    whole, _, stranger = stage
    page, inside = await show(window, whole, stranger)
    await expect(page.get_by_role("heading", name="Billing")).to_be_visible()
    await expect(inside.get_by_role("heading", name="Credits")).to_have_count(0)
    refused = [said for said in window.complaints if "frame-ancestors" in said]
    assert refused
    window.complaints.clear()


@pytest.mark.parametrize("accent", ["#ffe600", "#0a0a12"])
async def test_a_theme_can_be_read(window: Window, database_url: str, accent: str) -> None:
    look = Console(name="Acme Billing", accent=accent)
    async with whole_served(database_url, Settings(console=look)) as whole:
        page = await window.sign_in("owner", await whole.customer(), whole=whole)
        for path in ("/console/credits", ADD):
            await page.goto(path)
            await expect(page.get_by_text("Acme Billing")).to_be_visible()
            await looks_right(page)
        await page.close()  # while there is somebody to tell it of the balance
