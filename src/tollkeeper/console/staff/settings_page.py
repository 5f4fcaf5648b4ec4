"""Settings in effect: every one with its value, and which of them were set here."""

from __future__ import annotations

from itertools import groupby

from litestar import get
from litestar.response import Response
from litestar.types import ControllerRouterHandler

from tollkeeper.base.settings import Settings
from tollkeeper.base.settings_page import effective
from tollkeeper.console.doors import AnyRequest
from tollkeeper.console.shelves import Shelves
from tollkeeper.console.staff_door import StaffDoor


def settings_page(door: StaffDoor, shelves: Shelves) -> ControllerRouterHandler:
    # They do not change while a process runs. Secrets are never in their text.
    usual = {one.name: one.value for one in effective(Settings())}
    found = [
        (
            one._replace(description=one.description.replace("`", "")),
            usual.get(one.name) != one.value,
        )
        for one in effective(shelves.settings)
    ]
    sections = [
        (name, list(members))
        for name, members in groupby(found, key=lambda pair: pair[0].name.rpartition(".")[0])
    ]

    @get("/settings", include_in_schema=False)
    async def show_settings(request: AnyRequest) -> Response[bytes]:
        return door.page(request, "staff/settings.html", sections=sections)

    return show_settings
