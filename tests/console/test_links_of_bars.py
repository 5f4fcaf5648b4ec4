"""A bar of the analytics page leads to the calls that it counts, however their values are spelt."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from browsing import Browser, signed_in

from tollkeeper.metering import sums
from whole import whole_served

LINK = re.compile(r'href="(/console/usage\?[^"]+)"')
CALL = re.compile(r"/console/usage/(use_[0-9a-f]+)")
LONG = {"n" * 64: "v" * 256}
COLONS = {":" * 64: "v" * 256}


def events(now: datetime) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = [
        *[{"endUser": name} for name in (" bob ", "bob", "bob", "  ", "\u00a0nb")],
        *[{"tags": tags} for tags in ({"a:b": "x"}, {"a": "b:x"}, {"a": "b:x"}, {"q": " lead"})],
        *[{"tags": tags} for tags in (LONG, COLONS, {"c\\": "y"})],
        {"operation": " op "},
    ]
    at = (now - timedelta(hours=30)).isoformat()
    usage = {"input": 1_000}
    call = {"provider": "sandbox", "model": "sandbox-small", "usage": usage, "time": at}
    return [{"id": f"e{number}", **call, **more} for number, more in enumerate(said)]


async def counted(one: Browser, query: str, narrowed: str) -> dict[str, int]:
    """What each bar narrows the log to, and how many calls are there."""
    page = await one.open(f"/console/analytics?period=7d&{query}")
    found: dict[str, int] = {}
    for link in map(html.unescape, LINK.findall(page.text)):
        said = parse_qs(urlsplit(link).query).get(narrowed)
        if said and said[0] not in found:
            calls = await one.open(link)
            assert calls.status == 200, link
            found[said[0]] = len(set(CALL.findall(calls.text)))
    return found


async def test_every_bar_leads_to_its_calls(database_url: str) -> None:
    async with whole_served(database_url) as whole:
        customer = await whole.customer()
        key = customer.keys["test ADMIN"]
        sent = await whole.ask("POST", "/metering/events", key, events(datetime.now(UTC)))
        assert {one["status"] for one in sent.json["results"]} == {"accepted"}, sent.text
        await sums.sweep(whole.database)
        async with signed_in(whole, customer) as one:
            users = await counted(one, "by=endUser", "endUser")
            assert users == {" bob ": 1, "bob": 2, "  ": 1, "\u00a0nb": 1}
            assert await counted(one, "by=operation", "operation") == {" op ": 1}
            for name, said in (
                ("a:b", {r"a\:b:x": 1}),
                ("a", {"a:b:x": 2}),
                ("q", {"q: lead": 1}),
                ("c\\", {"c\\\\:y": 1}),
                ("n" * 64, {"n" * 64 + ":" + "v" * 256: 1}),
                (":" * 64, {r"\:" * 64 + ":" + "v" * 256: 1}),
            ):
                assert await counted(one, f"by=tag&name={quote(name)}", "tag") == said
