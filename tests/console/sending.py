"""How tests of settings send forms, wait, and read what a page says."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from html import unescape
from typing import Any

from browsing import Browser, Page

_PLACE = "/console/payment-methods"  # whoever sees money may open it


async def token_of(one: Browser, path: str = _PLACE) -> str:
    return (await one.open(path)).form_token


async def send(one: Browser, path: str, **fields: str) -> Page:
    return await one.submit(path, form_token=await token_of(one), **fields)


async def soon(true: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(20):
        while True:
            found = await true()
            if found:
                return found
            await asyncio.sleep(0.05)


def read(page: Page) -> str:
    """What a page says, without its tags."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.text)).split())
