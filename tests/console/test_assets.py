"""What goes to the browser beside the page: kept for ever, small, and nothing but what is named."""

from __future__ import annotations

import gzip
import re

import aiohttp
import pytest
from browsing import browser, signed_in

from tollkeeper.console.assets import asset, takes_gzip
from whole import Customer, Whole


async def test_files_have_addresses_that_change_with_them(whole: Whole) -> None:
    async with browser(whole) as one:
        for name, kind in [("console.css", "css"), ("console.js", "javascript")]:
            found = await one.open(asset(name))
            assert found.status == 200
            assert found.headers["content-type"].startswith(f"text/{kind}")
            assert found.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert found.headers["x-content-type-options"] == "nosniff"
        assert (await one.open(asset("htmx.js"))).status == 200
        for path in ("console.css", "vendor/stamp", "../texts/en.toml", "htmx.LICENSE.txt"):
            assert (await one.open(f"/console/static/{path}")).status == 404


async def test_what_is_sent_is_compressed_for_who_takes_it(
    whole: Whole, customer: Customer
) -> None:
    async with signed_in(whole, customer) as one:
        weight = 0
        page = (await one.open("/console/credits")).text
        paths = re.findall(r'(?:src|href)="(/console/static/[^"]+)"', page)
        assert len(paths) >= 3
        for path in ("/console/credits", *paths):
            bodies: list[bytes] = []
            for accepted in ("gzip, br", "identity"):
                async with one.session.get(
                    whole.url + path, headers={"accept-encoding": accepted}
                ) as answer:
                    assert answer.headers["vary"] == "accept-encoding"
                    sent = answer.headers.get("content-encoding")
                    assert sent == ("gzip" if "gzip" in accepted else None)
                    bodies.append(await answer.read())
                    if sent:
                        weight += int(answer.headers["content-length"])
            assert bodies[0] == bodies[1] or path == "/console/credits"
        assert weight < 60_000


async def test_errors_are_compressed_too(whole: Whole) -> None:
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.get(f"{whole.url}/console/nowhere", headers={"accept-encoding": "gzip"}) as answer,
    ):
        assert b"<h1>" in gzip.decompress(await answer.read())


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        ("", False),
        ("identity", False),
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, br", False),
        ("xgzip", False),
    ],
)
def test_the_header_is_read(accepted: str, takes: bool) -> None:
    assert takes_gzip(accepted) is takes


async def test_pages_have_an_icon_so_that_no_browser_asks_for_one(
    whole: Whole, customer: Customer
) -> None:
    link = f'<link rel="icon" href="{asset("icon.svg")}" type="image/svg+xml">'
    async with signed_in(whole, customer) as one:
        icon = await one.open(asset("icon.svg"))
        assert (icon.status, icon.headers["content-type"]) == (200, "image/svg+xml")
        for path in ("/console/credits", "/console/nowhere", "/console/sign-in"):
            assert link in (await one.open(path)).text
