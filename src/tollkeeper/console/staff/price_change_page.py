"""Changing prices: what a file or the library would change is shown first, then published."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final

from litestar import get, post
from litestar.params import FromQuery
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler
from msgspec import Meta

from tollkeeper import operator, pricing
from tollkeeper.base.errors import TollkeeperError
from tollkeeper.console.doors import AnyRequest
from tollkeeper.console.forms import Form, go_on
from tollkeeper.console.rendering import say
from tollkeeper.console.shelves import Shelves
from tollkeeper.console.staff.prices_page import PRICES, in_full
from tollkeeper.console.staff_door import StaffDoor, act_of, staff_admins_only
from tollkeeper.pricing import Diff, PriceVersion

_FILE: Final = "prices.yaml"
_BAD: Final = 400
_FINE: Final = 200
_SERVER: Final = 500
_PUBLISH: Final = "publish"

Text = Annotated[str, Meta(max_length=200)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What would change, and the versions that change it."""

    diff: Diff
    versions: Sequence[PriceVersion]


def price_change_pages(door: StaffDoor, shelves: Shelves) -> list[ControllerRouterHandler]:
    @get("/prices/publish", include_in_schema=False, guards=[staff_admins_only])
    async def show_file(
        request: AnyRequest, provider: FromQuery[Text] = "", model: FromQuery[Text] = ""
    ) -> Response[bytes]:
        known = shelves.prices.book.schedule(provider, model)
        text = pricing.write_price_file(known) if known else ""
        return _show(door, request, "file", Form(values={"file": text}))

    @get("/prices/import", include_in_schema=False, guards=[staff_admins_only])
    async def show_import(request: AnyRequest) -> Response[bytes]:
        return _show(door, request, "library", Form())

    async def read_file(form: Form) -> Proposal:
        versions = pricing.read_price_file(form.text("file"), _FILE)
        diff = pricing.compare(shelves.prices.book, versions, door.door.clock.now())
        named = {(version.provider, version.model) for version in versions}
        # A file says what it names; of what it leaves out it says nothing.
        told = [one for one in diff.changes if (one.version.provider, one.version.model) in named]
        return Proposal(diff=replace(diff, changes=tuple(told)), versions=versions)

    async def read_library(form: Form) -> Proposal:
        chosen = form.text("providers").replace(",", " ").split()
        diff = await asyncio.to_thread(
            operator.compare_with_library,
            shelves.prices.book,
            chosen or None,
            door.door.clock.now(),
        )
        return Proposal(diff=diff, versions=diff.to_publish(end_missing=form.ticked("endMissing")))

    @post("/prices/publish", include_in_schema=False, guards=[staff_admins_only])
    async def take_file(request: AnyRequest) -> Response[bytes] | Redirect:
        form = await door.read_form(request)
        return await _take(door, shelves, request, form, "file", read_file)

    @post("/prices/import", include_in_schema=False, guards=[staff_admins_only])
    async def take_import(request: AnyRequest) -> Response[bytes] | Redirect:
        form = await door.read_form(request)
        return await _take(door, shelves, request, form, "library", read_library)

    return [show_file, show_import, take_file, take_import]


async def _take(
    door: StaffDoor,
    shelves: Shelves,
    request: AnyRequest,
    form: Form,
    source: str,
    read: Callable[[Form], Awaitable[Proposal]],
) -> Response[bytes] | Redirect:
    """Show what would change; publish it when that was seen and is what is wanted."""
    try:
        proposal = await read(form)
        seen = form.text("seen") == _seal(proposal)
        if form.text("act") != _PUBLISH or not seen:
            changed = form.text("act") == _PUBLISH
            said = replace(form, problem=say("staff_prices.changed")) if changed else form
            return _show(door, request, source, said, proposal)
        if not form.text("reason"):
            said = form.faulty(reason=say("staff_acts.no_reason"))
            return _show(door, request, source, said, proposal)
        act = act_of(request, form.text("reason"), door.door.clock.now())
        async with door.door.database.transaction() as tx:
            await operator.publish_prices(
                tx, act, proposal.versions, backdate=form.ticked("backdate")
            )
    except TollkeeperError as error:
        if error.status >= _SERVER:
            raise
        return _show(door, request, source, form.refused(error))
    await shelves.prices.refresh()
    return go_on(PRICES, "prices_published")


def _show(
    door: StaffDoor,
    request: AnyRequest,
    source: str,
    form: Form,
    proposal: Proposal | None = None,
) -> Response[bytes]:
    lines = [] if proposal is None else pricing.render_diff(proposal.diff, in_full).splitlines()
    return door.page(
        request,
        "staff/price_change.html",
        _BAD if form.faults or form.problem else _FINE,
        source=source,
        form=form,
        compared=proposal is not None,
        lines=lines,
        nothing=proposal is not None and not proposal.diff.changes,
        seen="" if proposal is None else _seal(proposal),
    )


def _seal(proposal: Proposal) -> str:
    """Tells a proposal from any that would publish something else: another model, rate or date."""
    now = proposal.diff.at
    said = [pricing.render_diff(proposal.diff)]
    for one in proposal.versions:
        # What begins at once begins later each time that it is looked at.
        date = "at once" if one.effective_from == now else one.effective_from.isoformat()
        terms = (one.rates, one.service_tiers, one.aliases, one.context, one.ended)
        said.append(f"{one.provider}/{one.model} {date} {terms}")
    return f"{zlib.crc32(chr(10).join(said).encode()):08x}"
