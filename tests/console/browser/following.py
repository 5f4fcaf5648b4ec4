"""A product's own document, followed by somebody at a screen: its example is started as its README
says, and the link that it prints is opened in a browser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from playwright.async_api import Locator, Page, expect
from windows import Window

from running import site
from walking import Walker

CARD = "4242424242424242"


@dataclass(frozen=True)
class Reader:
    """Who follows the document at `page`; `api` are the calls of their programs."""

    page: Page
    api: Walker

    @property
    def balance(self) -> Locator:
        return self.page.get_by_role("region", name="Credit balance").locator(".main-figure dd")

    async def has(self, credit: str) -> None:
        """The page of credits says so by itself, without being loaded again."""
        await expect(self.balance).to_have_text(credit, timeout=20_000)

    async def go(self, name: str) -> None:
        """By the menu at the left, to a page of that title."""
        await self.page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()
        await expect(self.page.get_by_role("heading", level=1)).to_contain_text(name)

    async def press(self, name: str) -> None:
        await self.page.get_by_role("button", name=name, exact=True).click()

    async def says(self, *texts: str) -> None:
        for text in texts:
            await expect(self.page.get_by_text(text).first).to_be_visible()

    async def is_told(self, *texts: str) -> None:
        """Notices are written after what they tell of; the page shows those there were."""
        await self.go("Notifications")
        async with asyncio.timeout(20):
            for text in texts:
                while not await self.page.get_by_text(text).count():
                    await self.page.reload()

    async def rows(self, count: int, table: int = 0) -> list[list[str]]:
        """The cells of a table that has so many rows."""
        rows = self.page.get_by_role("table").nth(table).locator("tbody tr")
        await expect(rows).to_have_count(count)
        return [await row.get_by_role("cell").all_inner_texts() for row in await rows.all()]

    async def columns(self, table: int = 0) -> list[str]:
        heads = self.page.get_by_role("table").nth(table).get_by_role("columnheader")
        return await heads.all_inner_texts()

    async def names_buyer(self) -> None:
        """Name and billing address, as the form of a purchase asks for them."""
        await self.page.get_by_label("Name or company").fill("Acme B.V.")
        await self.page.get_by_label("Street and number").fill("Keizersgracht 1")
        await self.page.get_by_label("City").fill("Amsterdam")
        await self.page.get_by_label("Postal code").fill("1015 CN")

    async def chooses(self, amount: str) -> None:
        """One of the amounts that are offered; the total follows."""
        async with self.page.expect_response("**/credits/quote") as quoted:
            await self.page.get_by_text(amount, exact=True).click()
        await (await quoted.value).finished()
        await expect(self.page.locator("#total")).to_contain_text(f"{amount}.00")

    async def buys(self, amount: str, *, keeps: bool = True) -> None:
        """From the form of a purchase to the thanks for it, with a new card."""
        await self.page.get_by_text("Other", exact=True).click()
        await self.page.get_by_label("Other amount in US dollars").fill(amount)
        async with self.page.expect_response("**/credits/quote"):
            await self.page.get_by_label("Country").select_option(label="Netherlands")
        await expect(self.page.get_by_label("Postal code")).to_have_attribute(
            "placeholder", "1234 AB"
        )
        await self.names_buyer()
        await self.page.get_by_label("New card").check()
        await self.page.get_by_label("Keep the card for later purchases").set_checked(keeps)
        await self.press("Buy credits")
        await self.pays()

    async def pays(self) -> None:
        """On the processor's page, by card."""
        await self.page.wait_for_url("**/sandbox/pay/**")
        await self.page.get_by_role("radio", name=CARD).check()
        await self.page.get_by_role("button", name="Pay ").click()
        thanks = "Thank you. Your credits are there"
        await expect(self.page.get_by_role("heading", level=1)).to_have_text(thanks)

    async def makes_key(self, name: str, *, project: str = "Default", limit: str = "") -> str:
        """Create a key, and return its secret, as it is shown this once."""
        await self.go("API keys")
        await self.page.get_by_role("link", name="Create key").click()
        await self.page.get_by_label("Name", exact=True).fill(name)
        await self.page.get_by_label("Project", exact=True).select_option(label=project)
        await self.page.get_by_label("Spending limit in USD (optional)", exact=True).fill(limit)
        await self.press("Create key")
        secret = await self.page.get_by_role("textbox", name=name, exact=True).input_value()
        await self.page.get_by_role("link", name="I have kept it").click()
        return secret

    async def downloads(self, link: Locator) -> tuple[str, bytes]:
        """The name and the content of the file behind a link."""
        async with self.page.expect_download() as begun:
            await link.click()
        file = await begun.value
        path = await file.path()
        return file.suggested_filename, await asyncio.to_thread(Path(path).read_bytes)


@asynccontextmanager
async def follows(window: Window, directory: Path, name: str) -> AsyncGenerator[Reader]:
    """Start `./dev example` of that name and open the link that it prints."""
    with site(directory) as place:
        process, shown = place.example(name)
        with httpx.Client(base_url=shown["baseUrl"], timeout=30) as client:
            page = await window.open(shown["baseUrl"].removesuffix("/api/v1"))
            await page.goto(shown["console"])
            try:
                yield Reader(page, Walker(client, shown))
            finally:
                await page.context.close()
        assert process.stop() == 0, process.said


@asynccontextmanager
async def enters(
    window: Window, reader: Reader, role: str = "owner", *, livemode: bool
) -> AsyncGenerator[Reader]:
    """Somebody else, or the same in the other mode, comes by a link that the product asked for."""
    body = {"organizationId": reader.api.organization_id, "role": role, "livemode": livemode}
    link = reader.api.post("/operator/portal-sessions", body, by="operator")["url"]
    page = await window.open(reader.api.base_url.removesuffix("/api/v1"))
    try:
        await page.goto(link)
        yield Reader(page, reader.api)
    finally:
        await page.context.close()
