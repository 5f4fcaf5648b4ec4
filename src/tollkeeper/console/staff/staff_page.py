"""Staff: who of the operator's team may read these pages, and who may act."""

from __future__ import annotations

from litestar import get
from litestar.response import Response
from litestar.types import ControllerRouterHandler

from tollkeeper.console.doors import AnyRequest
from tollkeeper.console.signing_in import store
from tollkeeper.console.staff_door import StaffDoor


def staff_page(door: StaffDoor) -> ControllerRouterHandler:
    @get("/staff", include_in_schema=False)
    async def show_staff(request: AnyRequest) -> Response[bytes]:
        async with door.door.database.connection() as connection:
            people = await store.list_staff(connection)
        return door.page(request, "staff/staff.html", people=people)

    return show_staff
