"""Takes the pictures: pages in Chromium, as small PNG files."""

from __future__ import annotations

import io
import shutil
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.async_api import Browser, Page, async_playwright

LARGEST: Final = 200_000
_WIDTHS: Final = {"light": 1440, "dark": 1440, "phone": 390}
# A page is shown as tall as it is, within these.
_HEIGHTS: Final = {"light": (900, 1400), "dark": (900, 1400), "phone": (844, 1800)}
_COLOURS: Final = 128
_CHROMIUMS: Final = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_SETTLE: Final = """
() => document.fonts.ready.then(() => new Promise(
  (done) => requestAnimationFrame(() => requestAnimationFrame(done))))
"""


@dataclass(frozen=True, slots=True)
class Camera:
    browser: Browser
    base: str
    places: Path
    wanted: Callable[[str], bool]

    @asynccontextmanager
    async def person(self) -> AsyncGenerator[Page]:
        """Somebody at a desk who is not signed in."""
        context = await self.browser.new_context(
            base_url=self.base, timezone_id="UTC", locale="en-US", reduced_motion="reduce"
        )
        context.set_default_timeout(20_000)
        page = await context.new_page()
        await self._look(page, "light", _HEIGHTS["light"][0])
        try:
            yield page
        finally:
            await context.close()

    async def snap(self, page: Page, name: str, kinds: str) -> None:
        """Take the page as it is, in the light and in the other `kinds`."""
        for kind in ("light", *kinds.split()):
            if self.wanted(name):
                await self._snap(page, name, kind)
        await self._look(page, "light", _HEIGHTS["light"][0])

    async def _snap(self, page: Page, name: str, kind: str) -> None:
        least, most = _HEIGHTS[kind]
        await self._look(page, kind, least)
        tall = await page.evaluate("document.documentElement.scrollHeight")
        await self._look(page, kind, min(max(tall, least), most))
        where = self.places / picture_of(name, kind)
        where.write_bytes(shrink(await page.screenshot(animations="disabled", caret="hide")))
        if where.stat().st_size > LARGEST:
            raise RuntimeError(f"{where.name} has more than {LARGEST:,} bytes")

    async def _look(self, page: Page, kind: str, height: int) -> None:
        await page.emulate_media(color_scheme="dark" if kind == "dark" else "light")
        await page.set_viewport_size({"width": _WIDTHS[kind], "height": height})
        await page.evaluate("scrollTo(0, 0)")
        await page.evaluate(_SETTLE)


def picture_of(name: str, kind: str) -> str:
    return f"{name}.png" if kind == "light" else f"{name}-{kind}.png"


@asynccontextmanager
async def open_camera(
    base: str, places: Path, wanted: Callable[[str], bool]
) -> AsyncGenerator[Camera]:
    found = next(filter(None, map(shutil.which, _CHROMIUMS)), None)
    if found is None:
        raise RuntimeError("The tour needs Chromium: as root, `apt-get install chromium`")
    async with async_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--font-render-hinting=none"]
        browser = await playwright.chromium.launch(executable_path=found, args=arguments)
        yield Camera(browser, base, places, wanted)
        await browser.close()


def shrink(png: bytes) -> bytes:
    """The same picture in few colours."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    few = picture.quantize(_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    out = io.BytesIO()
    few.save(out, "PNG", optimize=True)
    return out.getvalue()
