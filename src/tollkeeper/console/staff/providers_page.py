"""Providers: whose models are sold, where they are, and how many of their models have a price."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from litestar import get
from litestar.response import Response
from litestar.types import ControllerRouterHandler

from tollkeeper.base.settings import Provider
from tollkeeper.base.settings_page import show
from tollkeeper.console.doors import AnyRequest
from tollkeeper.console.shelves import Shelves
from tollkeeper.console.staff_door import StaffDoor


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`priced` is how many models have a price that is in force."""

    name: str
    settings: Provider
    markup: str
    priced: int


def providers_page(door: StaffDoor, shelves: Shelves) -> ControllerRouterHandler:
    @get("/providers", include_in_schema=False)
    async def show_providers(request: AnyRequest) -> Response[bytes]:
        now = door.door.clock.now()
        priced = Counter(version.provider for version in shelves.prices.book.priced(now))
        rows = [
            Row(
                name=name,
                settings=one,
                markup=show(one.markup_percent),
                priced=priced[name] or priced[one.kind],
            )
            for name, one in shelves.settings.providers.items()
        ]
        return door.page(request, "staff/providers.html", providers=rows)

    return show_providers
