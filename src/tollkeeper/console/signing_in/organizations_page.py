"""Whose pages an account opens: of its one organization at once, else of the one that is chosen."""

from __future__ import annotations

from typing import Final

from litestar import get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import show_id
from tollkeeper.console.doors import AnyRequest
from tollkeeper.console.forms import Form
from tollkeeper.console.rendering import say
from tollkeeper.console.sessions import CONSOLE
from tollkeeper.console.signing_in import store
from tollkeeper.console.signing_in.account_door import account_of
from tollkeeper.console.signing_in.entrance import Entrance, open_organization, safe_aim
from tollkeeper.http import read_path_id

_PAGE: Final = "signing_in/organizations.html"
_SEE_OTHER: Final = 303


def organization_pages(entrance: Entrance) -> list[ControllerRouterHandler]:
    door = entrance.door

    @get("/organizations", include_in_schema=False)
    async def choose(
        request: AnyRequest,
        next: FromQuery[str] = "",  # noqa: A002 (the name people know it by)
        choose: FromQuery[str] = "",
    ) -> Response[bytes] | Redirect:
        account = account_of(request)
        async with door.door.database.connection() as connection:
            memberships = await store.list_memberships(connection, account.account_id)
        if len(memberships) == 1 and not choose:
            async with door.door.database.transaction() as tx:
                cookie = await open_organization(
                    entrance, tx, account, memberships[0], livemode=entrance.livemode
                )
            path = safe_aim(next) or CONSOLE
            return Redirect(path, status_code=_SEE_OTHER, cookies=[cookie])
        shown = [(show_id("org", one.org_id), one) for one in memberships]
        form = Form(values={"next": safe_aim(next)})
        return door.page(request, _PAGE, organizations=shown, form=form)

    @post("/organizations/{org_id:str}", include_in_schema=False, status_code=303)
    async def open_one(request: AnyRequest, org_id: FromPath[str]) -> Redirect:
        form, account = await door.read_form(request), account_of(request)
        wanted = read_path_id("org", org_id)
        async with door.door.database.transaction() as tx:
            memberships = await store.list_memberships(tx, account.account_id)
            chosen = next((one for one in memberships if one.org_id == wanted), None)
            if chosen is None:
                raise NotFound(say("organizations.nobody"))
            cookie = await open_organization(
                entrance, tx, account, chosen, livemode=entrance.livemode
            )
        path = safe_aim(form.text("next")) or CONSOLE
        return Redirect(path, status_code=_SEE_OTHER, cookies=[cookie])

    return [choose, open_one]
