"""The operator's look, and who may show the pages in a frame."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from browsing import browser, make_link, signed_in
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.base.clock import MovableClock
from tollkeeper.base.settings import Server, Settings
from tollkeeper.base.settings_of_console import Console
from tollkeeper.console.theme import contrast, read_theme, style_of
from whole import Whole, whole_served

LOGO = '<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24"><circle r="9"/></svg>'
APP = "https://app.example.com"


@pytest.fixture
async def themed(database_url: str, clock: MovableClock, tmp_path: Path) -> AsyncIterator[Whole]:
    (tmp_path / "logo.svg").write_text(LOGO, "utf-8")
    look = Console(
        name="Acme <Billing>",
        logo=str(tmp_path / "logo.svg"),
        accent="#ff6600",
        frame_origins=[APP, "http://127.0.0.1:9"],
    )
    settings = Settings(console=look, server=Server(public_url="https://pay.acme.com"))
    async with whole_served(database_url, settings, clock) as served:
        yield served


async def test_pages_wear_the_operators_look(themed: Whole) -> None:
    link = await make_link(themed, await themed.customer())
    async with browser(themed) as one:
        entered = await one.open(link.removeprefix("https://pay.acme.com"))
        assert "; Partitioned" in entered.set_cookie
        assert "SameSite=none" in entered.set_cookie
        assert "Secure" in entered.set_cookie
        # The jar keeps secure cookies from plain http.
        cookie = entered.set_cookie.split(";")[0]
        one.session.headers["cookie"] = cookie
        page = await one.open("/console/credits")
        assert page.status == 200
        assert "Acme &lt;Billing&gt;" in page.text
        style = re.search(r'href="(/console/theme/style-[0-9a-f]+)"', page.text)
        logo = re.search(r'src="(/console/theme/logo-[0-9a-f]+)"', page.text)
        assert style is not None
        assert logo is not None
        assert "--accent" in (await one.open(style[1])).text
        assert f'<link rel="icon" href="{logo[1]}" type="image/svg+xml">' in page.text
        picture = await one.open(logo[1])
        assert (picture.text, picture.headers["content-type"]) == (LOGO, "image/svg+xml")
        assert "sandbox" in picture.headers["content-security-policy"]


async def test_only_listed_origins_show_pages_in_a_frame(themed: Whole) -> None:
    async with browser(themed) as one:
        for path in ("/console/credits", "/console/enter/x", "/console/signed-out"):
            headers = (await one.open(path)).headers
            policy = headers["content-security-policy"]
            assert policy.endswith(f"frame-ancestors {APP} http://127.0.0.1:9")
            assert "x-frame-options" not in headers


async def test_without_a_list_nobody_does(whole: Whole) -> None:
    async with signed_in(whole, await whole.customer()) as one:
        headers = (await one.open("/console/credits")).headers
        assert headers["content-security-policy"].endswith("frame-ancestors 'none'")
        assert headers["x-frame-options"] == "DENY"


@given(st.from_regex(r"#[0-9a-f]{6}", fullmatch=True))
def test_every_accent_can_be_read_in_light_and_in_dark(accent: str) -> None:
    light, dark, on_light, on_dark = (
        (int(one[:2], 16), int(one[2:4], 16), int(one[4:], 16))
        for one in re.findall(r"#([0-9a-f]{6})", style_of(accent))
    )
    for ground in ((255, 255, 255), (0xF7, 0xF8, 0xFA), (0xF4, 0xF5, 0xF8)):
        assert contrast(light, ground) >= 4.5
    for ground in ((0x0F, 0x11, 0x14), (0x16, 0x19, 0x1D), (0x1D, 0x21, 0x26)):
        assert contrast(dark, ground) >= 4.5
    assert contrast(light, on_light) >= 4.5
    assert contrast(dark, on_dark) >= 4.5


def test_a_logo_that_cannot_be_shown_is_refused_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "large.png").write_bytes(b"x" * 100_001)
    (tmp_path / "logo.exe").write_bytes(b"x")
    for name, said in [
        ("none.svg", "must be the path of a file"),
        ("large.png", "at most 100,000 bytes"),
        ("logo.exe", "must end with"),
    ]:
        with pytest.raises(ValueError, match=said):
            read_theme(Console(logo=str(tmp_path / name)))
