"""What `console.js` does: times where the reader is, copying, toasts, dialogs."""

from __future__ import annotations

from playwright.async_api import Page, expect
from windows import Window


async def times_of(page: Page) -> list[dict[str, str]]:
    return await page.locator("main time").evaluate_all(
        "all => all.map(one => ({at: one.dateTime, shown: one.textContent, title: one.title}))"
    )


async def test_times_are_the_readers(window: Window) -> None:
    far = await window.sign_in(time_zone="Asia/Tokyo")
    near = await window.sign_in(time_zone="UTC")
    bare = await window.sign_in(time_zone="Asia/Tokyo", script=False)
    for page in (far, near, bare):
        await page.goto("/console/transactions?show=all")
    in_tokyo, in_utc, written = [await times_of(page) for page in (far, near, bare)]
    assert in_utc == written  # the same form, to the letter
    hours = 0
    for there, here in zip(in_tokyo, in_utc, strict=True):
        assert there["title"] == here["title"]
        assert there["title"].endswith(" UTC")
        if ":" in here["shown"]:
            hour, later = (int(one["shown"][-8:-6]) for one in (here, there))
            assert (hour + 9) % 24 == later
            hours += 1
    assert hours >= 3
    await expect(far.locator(".foot")).to_contain_text("Asia/Tokyo")
    await expect(bare.locator(".foot")).to_have_text("Times are UTC.")


async def test_what_comes_later_is_dressed_too(window: Window) -> None:
    page = await window.sign_in(time_zone="Asia/Tokyo")
    await page.evaluate(
        """() => {
          const time = document.createElement("time");
          time.dateTime = "2026-11-21T20:00:00+00:00";
          time.dataset.form = "moment";
          document.querySelector("main").append(time);
        }"""
    )
    await expect(page.locator("main > time")).to_have_text("Nov 22, 05:00:00")


async def test_a_button_copies(window: Window) -> None:
    page = await window.sign_in()
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.evaluate(
        """() => {
          const button = document.createElement("button");
          button.dataset.copy = "tk_test_secret";
          button.dataset.copied = "Copied";
          button.textContent = "Copy";
          document.querySelector("main").append(button);
        }"""
    )
    button = page.locator("[data-copy]")
    await button.click()
    await expect(button).to_have_text("Copied")
    assert await page.evaluate("navigator.clipboard.readText()") == "tk_test_secret"
    await expect(button).to_have_text("Copy")


async def test_a_toast_is_dismissed_or_leaves_and_is_not_said_again(window: Window) -> None:
    page = await window.sign_in()
    await page.clock.install()
    toast = page.get_by_role("status").filter(has_text="Saved.")
    await page.goto("/console/usage?done=saved")
    await expect(toast).to_be_visible()
    assert page.url.endswith("/console/usage")
    await page.get_by_role("button", name="Dismiss").click()
    await expect(toast).to_have_count(0)
    await page.goto("/console/usage?done=saved")
    await toast.hover()
    await page.clock.fast_forward(60_000)
    await expect(toast).to_be_visible()
    await page.mouse.move(1, 1)
    await page.clock.fast_forward(8_000)
    await expect(toast).to_have_count(0)


async def test_a_dialog_opens_and_closes(window: Window) -> None:
    page = await window.sign_in()
    await page.evaluate(
        """() => document.querySelector("main").insertAdjacentHTML("beforeend",
          '<button commandfor="asked" command="show-modal">Ask</button>'
          + '<dialog id="asked">Sure?'
          + '<button commandfor="asked" command="close">No</button></dialog>')"""
    )
    await page.get_by_role("button", name="Ask").click()
    await expect(page.locator("dialog")).to_be_visible()
    await page.get_by_role("button", name="No").click()
    await expect(page.locator("dialog")).to_be_hidden()
