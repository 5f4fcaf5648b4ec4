"""Costs and usage asked of the provider itself, by an admin key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final, Literal

import aiohttp
import msgspec
from msgspec import Raw, Struct

from tollkeeper.base.errors import InvalidRequest, Unavailable
from tollkeeper.base.settings import Provider
from tollkeeper.margins.model import Bucket
from tollkeeper.margins.reading import read_export

_TIMEOUT: Final = aiohttp.ClientTimeout(total=60)
_DAYS_OF_A_PAGE: Final = "31"
_MOST_PAGES: Final = 200
_OK: Final = 200
_ADDRESSES: Final = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com/v1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Who is asked, and as whom."""

    provider: str
    kind: Literal["openai", "anthropic"]
    address: str
    admin_key: str


class _Page(Struct):
    data: list[Raw]
    has_more: bool = False
    next_page: str | None = None


def desk_of(name: str, provider: Provider | None) -> Desk:
    """Raises InvalidRequest for a provider that cannot be asked."""
    if provider is None:
        raise InvalidRequest(f"There is no provider {name} in the settings")
    if provider.kind == "sandbox":
        raise InvalidRequest(f"{name} is simulated and costs nothing")
    if provider.admin_key is None:
        raise InvalidRequest(f"Set providers.{name}.admin_key, or import an export from a file")
    address = (provider.base_url or _ADDRESSES[provider.kind]).rstrip("/")
    if not address.endswith("/v1"):
        address += "/v1"
    return Desk(
        provider=name, kind=provider.kind, address=address, admin_key=provider.admin_key.reveal()
    )


async def fetch(desk: Desk, first: date, behind: date) -> list[Bucket]:
    """Ask for the costs and the tokens of the days [first, behind). Raises Unavailable."""
    since, until = (datetime.combine(day, time(), UTC) for day in (first, behind))
    asked: list[tuple[str, dict[str, str]]]
    if desk.kind == "openai":
        headers = {"authorization": f"Bearer {desk.admin_key}"}
        window = {
            "start_time": str(int(since.timestamp())),
            "end_time": str(int(until.timestamp())),
            "bucket_width": "1d",
            "limit": _DAYS_OF_A_PAGE,
        }
        asked = [
            ("organization/costs", {**window, "group_by": "line_item"}),
            ("organization/usage/completions", {**window, "group_by": "model"}),
        ]
    else:
        headers = {"x-api-key": desk.admin_key, "anthropic-version": "2023-06-01"}
        window = {
            "starting_at": f"{since:%Y-%m-%dT%H:%M:%SZ}",
            "ending_at": f"{until:%Y-%m-%dT%H:%M:%SZ}",
            "bucket_width": "1d",
            "limit": _DAYS_OF_A_PAGE,
        }
        asked = [
            ("organizations/cost_report", {**window, "group_by[]": "description"}),
            ("organizations/usage_report/messages", {**window, "group_by[]": "model"}),
        ]
    found: list[Bucket] = []
    async with aiohttp.ClientSession(headers=headers, timeout=_TIMEOUT) as session:
        for path, query in asked:
            days = await _all_pages(session, f"{desk.address}/{path}", query)
            found += read_export(msgspec.json.encode({"data": days}), desk.provider)
    return found


async def _all_pages(
    session: aiohttp.ClientSession, url: str, query: Mapping[str, str]
) -> list[Raw]:
    found: list[Raw] = []
    more: Mapping[str, str] = {}
    for _ in range(_MOST_PAGES):
        page = await _page(session, url, {**query, **more})
        found += page.data
        if not page.has_more or page.next_page is None:
            return found
        more = {"page": page.next_page}
    raise Unavailable(f"{url} does not come to an end")


async def _page(session: aiohttp.ClientSession, url: str, query: Mapping[str, str]) -> _Page:
    try:
        # Not to another address: the key is for this one.
        async with session.get(url, params=query, allow_redirects=False) as answer:
            body = await answer.read()
    except (TimeoutError, aiohttp.ClientError) as why:
        raise Unavailable(f"{url} does not answer: {why}") from why
    if answer.status != _OK:
        raise Unavailable(f"{url} answered {answer.status}: {body[:300].decode(errors='replace')}")
    try:
        return msgspec.json.decode(body, type=_Page)
    except msgspec.DecodeError as why:
        raise Unavailable(f"{url} answered what cannot be read: {why}") from why
