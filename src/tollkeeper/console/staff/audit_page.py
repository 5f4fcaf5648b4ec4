"""Audit log: who of the operator did what, when, to whom, and why."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlencode
from uuid import UUID

from litestar import get
from litestar.params import FromQuery
from litestar.response import Response
from litestar.types import ControllerRouterHandler
from msgspec import Meta

from tollkeeper import orgs
from tollkeeper.base.errors import InvalidRequest
from tollkeeper.base.ids import read_id
from tollkeeper.console.doors import AnyRequest
from tollkeeper.console.shelves import Shelves
from tollkeeper.console.staff.actors import actor_of
from tollkeeper.console.staff.organization_acts import organization_path
from tollkeeper.console.staff_door import STAFF_PAGES, StaffDoor

_AUDIT: Final = f"{STAFF_PAGES}/audit"
_PAGE: Final = 50

Text = Annotated[str, Meta(max_length=200)]


def audit_page(door: StaffDoor, shelves: Shelves) -> ControllerRouterHandler:
    @get("/audit", include_in_schema=False)
    async def show_audit(
        request: AnyRequest, organization: FromQuery[Text] = "", before: FromQuery[str] = ""
    ) -> Response[bytes]:
        asked = organization.strip()
        org_id = _read_organization(asked)
        bound = ("staff/audit", asked)
        after = shelves.cursors.after(bound, before or None)
        async with door.door.database.connection() as connection:
            found = await orgs.list_audit(connection, org_id, after, _PAGE + 1)
            shown = found[:_PAGE]
            named = [one.org_id for one in shown if one.org_id is not None]
            names = await orgs.names_of_orgs(connection, named)
        said = {"organization": asked} if asked else {}
        older = None
        if len(found) > _PAGE:
            sealed = shelves.cursors.seal(bound, [shown[-1].audit_id])
            older = f"{_AUDIT}?{urlencode(said | {'before': sealed})}"
        return door.page(
            request,
            "staff/audit.html",
            entries=shown,
            names=names,
            actor=actor_of,
            where=organization_path,
            organization=asked,
            older=older,
            newest=f"{_AUDIT}?{urlencode(said)}" if before else None,
        )

    return show_audit


def _read_organization(text: str) -> UUID | None:
    try:
        return read_id("org", text) if text else None
    except ValueError as error:
        raise InvalidRequest(f"organization: {error}") from None
