"""What is asked of every page, whatever it shows."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

WIDTHS = (1440, 390)
SCHEMES = ("light", "dark")
_MOST_SHIFT = 0.05
_RUN = "rules => axe.run(document, {resultTypes: ['violations'], ...rules})"
# Only colours differ between the schemes.
_COLOURS = {"runOnly": ["color-contrast"]}
_SETTLE = """
() => document.fonts.ready.then(() => new Promise(
  (done) => requestAnimationFrame(() => requestAnimationFrame(done))))
"""
_AXE = Axe()


async def looks_right(page: Page) -> None:
    """Axe finds nothing, in both schemes and at both widths, and nothing scrolls sideways."""
    before = page.viewport_size
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": 1000})
        await looks_right_here(page)
    if before is not None:
        await page.set_viewport_size(before)


async def looks_right_here(page: Page) -> None:
    """The same, at the width that it has."""
    await page.evaluate(_SETTLE)
    where = f"{page.url} at {await page.evaluate('innerWidth')}"
    beyond = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert beyond <= 0, f"{where} is {beyond} pixels too wide: {await _widest(page)}"
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(_AXE.axe_script)
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        found = await page.evaluate(_RUN, {} if scheme == "light" else _COLOURS)
        assert not found["violations"], f"{where}, {scheme}:\n{_tell(found['violations'])}"


async def stays_in_place(page: Page) -> None:
    """Since it was opened, nothing has moved because of what came later."""
    await page.evaluate(_SETTLE)
    shifted = await page.evaluate("window.shifted")
    assert shifted < _MOST_SHIFT, f"{page.url} moved by {shifted}"


async def focused(page: Page) -> dict[str, Any]:
    """What the keyboard is at: its words, whether it is in the menu, and whether that is seen."""
    return await page.evaluate(
        """() => {
          const it = document.activeElement, style = getComputedStyle(it);
          const box = it.getBoundingClientRect();
          return {
            words: it.textContent.trim(),
            inMenu: it.closest("nav") !== null,
            seen: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0
              && box.width > 0 && box.left > -1 && box.top > -1
              && box.right < innerWidth + 1 && box.bottom < innerHeight + 1,
          };
        }"""
    )


async def _widest(page: Page) -> str:
    return await page.evaluate(
        """() => [...document.body.querySelectorAll("*")]
          .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
          .filter((one) => one.closest(".scroll, nav") === null)
          .map((one) => one.outerHTML.slice(0, 120)).slice(0, 5).join("\\n")"""
    )


def _tell(violations: list[dict[str, Any]]) -> str:
    lines: list[str] = []
    for one in violations:
        lines.append(f"{one['id']}: {one['help']}")
        lines += [f"  {node['html'][:160]}" for node in one["nodes"][:5]]
        lines += [f"  {node['failureSummary']}" for node in one["nodes"][:1]]
    return "\n".join(lines)
