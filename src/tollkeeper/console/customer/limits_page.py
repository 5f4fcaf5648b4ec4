"""Budgets and limits: what may be used, and what is used of it now; added, changed, begun anew."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, TypeVar
from uuid import UUID

from litestar import get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper import limits, orgs
from tollkeeper.base.errors import InvalidRequest, TollkeeperError
from tollkeeper.base.ids import read_id, show_id, uuid7
from tollkeeper.console.customer.budget_words import (
    amount_in,
    percent_of,
    read_scopes,
    say_each,
    say_scope,
    show_amount,
    write_amount,
)
from tollkeeper.console.customer.destroying import destroying_pages
from tollkeeper.console.customer.naming import read_chosen, read_names, read_offers
from tollkeeper.console.customer.noting import note
from tollkeeper.console.customer.saying import changed_since, faults_of, opened_with, refuse
from tollkeeper.console.doors import AnyRequest, Door, money_only, session_of
from tollkeeper.console.forms import Form, Question, go_on, read_as
from tollkeeper.console.model import Session
from tollkeeper.console.rendering import say
from tollkeeper.console.shelves import Shelves
from tollkeeper.http import read_path_id
from tollkeeper.limits import BudgetChange, BudgetIn, BudgetOut, Enforcement, Limit, Measure, Period
from tollkeeper.orgs import Kind

PATH: Final = "/console/limits"

T = TypeVar("T", BudgetIn, BudgetChange)
Faults = dict[str, list[str]]
_PAGE: Final = 50
_BAD: Final = 400
_NEW_ID: Final = "newId"
_OFFERED: Final[dict[str, Kind]] = {
    "projectId": "project",
    "apiKeyId": "key",
    "memberId": "member",
}
_EACH: Final = ("apiKey", "project", "member", "endUser", "model", "provider")
# Fields of text that the room reads as they are; empty ones were left out.
_SAID: Final = (
    "measure",
    "period",
    "timeZone",
    "projectId",
    "apiKeyId",
    "memberId",
    "endUser",
    "provider",
    "model",
    "tag",
    "each",
)
_NEW: Final = {
    "measure": Measure.COST.value,
    "period": Period.MONTH.value,
    "timeZone": "UTC",
    "enforcement": Enforcement.HARD.value,
    "tolerancePercent": "0",
    "alertPercents": "50, 80, 100",
}


def limits_pages(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    return [
        _listing(door, shelves),
        *_making(door, shelves),
        *_changing(door, shelves),
        _resetting(door, shelves),
        *_ending(door, shelves),
    ]


def _listing(door: Door, shelves: Shelves) -> ControllerRouterHandler:
    @get("/limits", include_in_schema=False, guards=[money_only])
    async def show_limits(request: AnyRequest, before: FromQuery[str] = "") -> Response[bytes]:
        session = session_of(request)
        async with door.database.connection() as connection:
            page = await limits.page_of_budgets(
                connection,
                shelves.limits,
                session.org_id,
                livemode=session.livemode,
                now=door.clock.now(),
                cursors=shelves.cursors,
                cursor=before or None,
                limit=_PAGE,
            )
            names = await read_scopes(connection, session.org_id, page.data)
        following = page.next_cursor
        return door.page(
            request,
            "customer/limits.html",
            budgets=[(one, say_scope(one, names)) for one in page.data],
            amount=show_amount,
            percent=percent_of,
            older=None if following is None else f"{PATH}?before={following}",
            newest=PATH if before else None,
        )

    return show_limits


def _making(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    async def answer(request: AnyRequest, form: Form, status: int = 200) -> Response[bytes]:
        org_id = session_of(request).org_id
        chosen: dict[Kind, str] = {kind: form.text(field) for field, kind in _OFFERED.items()}
        async with door.database.connection() as connection:
            names = await read_names(connection, org_id, chosen.values(), archived=False)
            offers = await read_offers(connection, org_id, names, chosen)
        shown = {"form": form, "choices": _choices(), "offers": offers}
        return door.page(request, "customer/limit_new.html", status, **shown)

    @get("/limits/new", include_in_schema=False, guards=[money_only])
    async def ask_for_budget(request: AnyRequest) -> Response[bytes]:
        return await answer(request, Form(values=_NEW | {_NEW_ID: show_id("bud", uuid7())}))

    @post("/limits", include_in_schema=False, guards=[money_only], status_code=200)
    async def make_budget(request: AnyRequest) -> Response[bytes] | Redirect:
        session, now = session_of(request), door.clock.now()
        form = await door.read_form(request)
        try:
            form, wrong = await _with_ids(door, session, form)
            new = _read_new(form, wrong).read(session.org_id, _new_id(form), now)
            async with door.database.transaction() as tx:
                made = await limits.create_budget(tx, new)
                if made is new:
                    await note(tx, session, "budget.create", now, **_told(made))
        except TollkeeperError as error:
            return await answer(request, refuse(form, error), _BAD)
        if made is not new:
            # The form was sent before, maybe with something else in it.
            return go_on(f"{PATH}/{show_id('bud', made.limit_id)}", "budget_made_before")
        await shelves.limits.refresh()
        return go_on(PATH, "budget_made")

    return [ask_for_budget, make_budget]


def _new_id(form: Form) -> UUID:
    """The form names the budget that it makes: however often it is sent, it makes one."""
    try:
        return read_id("bud", form.text(_NEW_ID))
    except ValueError:
        return uuid7()


async def _with_ids(door: Door, session: Session, form: Form) -> tuple[Form, Faults]:
    """What a budget is of may be typed by its name."""
    async with door.database.connection() as connection:
        found, wrong = await read_chosen(connection, session.org_id, form.values, _OFFERED)
    return replace(form, values=found), wrong


def _choices() -> dict[str, Sequence[tuple[str, str]]]:
    apart = [(one, say_each(one)) for one in _EACH]
    return {
        "measure": [(one.value, say(f"limits.measure_{one}")) for one in Measure],
        "period": [(one.value, say(f"period.{one}")) for one in Period],
        "enforcement": [(one.value, say(f"limits.enforcement_{one}")) for one in Enforcement],
        "each": [("", say("limits.together")), *apart],
    }


def _told(limit: Limit) -> dict[str, object]:
    return {"budgetId": show_id("bud", limit.limit_id), "name": limit.name}


def _read_new(form: Form, wrong: Faults) -> BudgetIn:
    """Raises InvalidRequest with every fault."""
    fields = {name: form.text(name) or None for name in _SAID}
    return _read(BudgetIn, form, fields, wrong)


def _read(
    shape: type[T], form: Form, fields: dict[str, str | None], wrong: Faults | None = None
) -> T:
    faults: dict[str, list[str]] = {}
    tolerance = form.text("tolerancePercent") or "0"
    alerts = _read_percents(form.text("alertPercents"))
    if alerts is None:
        faults["alertPercents"] = [say("limits.alerts_wrong")]
    given = fields | {
        "name": form.text("name"),
        "amount": _NO_AMOUNT if (amount := amount_in(form, "amount")) is None else amount,
        "enforcement": form.text("enforcement") or None,
        "tolerancePercent": int(tolerance) if _WHOLE.fullmatch(tolerance) else tolerance,
        "alertPercents": alerts,
    }
    try:
        read = read_as(shape, given)
    except InvalidRequest as error:
        faults |= {name.partition(".")[0]: [said] for name, said in faults_of(error).items()}
        read = None
    faults |= wrong or {}
    if read is None or faults:
        raise InvalidRequest(say("limits.faults"), faults)
    return read


# Of so few digits as Python reads; what has more is as wrong as a word.
_WHOLE: Final = re.compile(r"[0-9]{1,9}")
# What is no number, so that an empty field is said to want one.
_NO_AMOUNT: Final = ""


def _read_percents(text: str) -> list[int] | None:
    """50, 80 and 100 of `50, 80, 100`; None for what is no such list."""
    parts = [part.strip().removesuffix("%").strip() for part in text.split(",")] if text else []
    if not all(part.isascii() and part.isdigit() and len(part) <= 3 for part in parts):  # noqa: PLR2004 (digits of 300)
        return None
    percents = [int(part) for part in parts]
    return percents if all(1 <= one <= 300 for one in percents) else None  # noqa: PLR2004 (as the room says)


def _changing(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    async def answer(
        request: AnyRequest, limit: Limit, form: Form, status: int = 200
    ) -> Response[bytes]:
        session = session_of(request)
        async with door.database.connection() as connection:
            (budget,) = await limits.show_budgets(
                connection,
                shelves.limits,
                [limit],
                livemode=session.livemode,
                now=door.clock.now(),
            )
            names = await read_scopes(connection, session.org_id, [budget])
        return door.page(
            request,
            "customer/limit.html",
            status,
            form=form,
            budget=budget,
            scope=say_scope(budget, names),
            amount=show_amount,
            percent=percent_of,
            choices=_choices(),
        )

    @get("/limits/{budget_id:str}", include_in_schema=False, guards=[money_only])
    async def show_limit(request: AnyRequest, budget_id: FromPath[str]) -> Response[bytes]:
        limit = await _find(door, request, budget_id)
        return await answer(request, limit, opened_with(_written(limit)))

    @post("/limits/{budget_id:str}", include_in_schema=False, guards=[money_only], status_code=200)
    async def change_limit(
        request: AnyRequest, budget_id: FromPath[str]
    ) -> Response[bytes] | Redirect:
        session, now = session_of(request), door.clock.now()
        form = await door.read_form(request)
        limit = await _find(door, request, budget_id)
        try:
            change = _read(BudgetChange, form, {}).read(limit)
            async with door.database.transaction() as tx:
                await orgs.lock_org(tx, session.org_id)
                limit = await limits.get_budget(tx, session.org_id, limit.limit_id)
                words = {"enforcement": dict(_choices()["enforcement"])}
                moved = changed_since(form, _written(limit), words)
                if moved is None:
                    limit = await limits.change_budget(tx, limit.org_id, limit.limit_id, change)
                    await note(tx, session, "budget.update", now, **_told(limit))
        except InvalidRequest as error:
            return await answer(request, limit, refuse(form, error), _BAD)
        if moved is not None:
            return await answer(request, limit, moved, _BAD)
        await shelves.limits.refresh()
        return go_on(PATH, "saved")

    return [show_limit, change_limit]


def _resetting(door: Door, shelves: Shelves) -> ControllerRouterHandler:
    @post(
        "/limits/{budget_id:str}/reset",
        include_in_schema=False,
        guards=[money_only],
        status_code=303,
    )
    async def reset_limit(request: AnyRequest, budget_id: FromPath[str]) -> Redirect:
        session, now = session_of(request), door.clock.now()
        await door.read_form(request)
        limit = await _find(door, request, budget_id)
        async with door.database.transaction() as tx:
            place = session.org_id, limit.limit_id
            await limits.reset_budget(tx, *place, None, livemode=session.livemode, now=now)
            await note(tx, session, "budget.reset", now, **_told(limit))
        await shelves.limits.refresh()
        return go_on(PATH, "budget_reset")

    return reset_limit


async def _find(door: Door, request: AnyRequest, budget_id: str) -> Limit:
    known = read_path_id("bud", budget_id)
    async with door.database.connection() as connection:
        return await limits.get_budget(connection, session_of(request).org_id, known)


def _written(limit: Limit) -> dict[str, str]:
    """The fields of the form, as a budget is."""
    shown = BudgetOut.of(limit, limits.Span(limit.created_at, None), None, livemode=True)
    return {
        "name": limit.name,
        "amount": write_amount(limit.measure, shown.amount),
        "enforcement": limit.enforcement.value,
        "tolerancePercent": str(limit.tolerance_percent),
        "alertPercents": ", ".join(str(one) for one in limit.alert_percents),
    }


def _ending(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    async def find(request: AnyRequest) -> Limit:
        return await _find(door, request, request.path_params["budget_id"])

    def ask(limit: Limit) -> Question:
        return Question(
            title=say("limits.delete_title", name=limit.name),
            detail=say("limits.delete_detail"),
            name=limit.name,
            action=f"{PATH}/{show_id('bud', limit.limit_id)}/delete",
            button=say("limits.delete"),
            back=PATH,
        )

    async def delete(request: AnyRequest, limit: Limit) -> Redirect:
        session, now = session_of(request), door.clock.now()
        async with door.database.transaction() as tx:
            await limits.remove_budget(tx, session.org_id, limit.limit_id, now)
            await note(tx, session, "budget.delete", now, **_told(limit))
        await shelves.limits.refresh()
        return go_on(PATH, "budget_deleted")

    path = "/limits/{budget_id:str}/delete"
    return destroying_pages(door, path, money_only, find=find, ask=ask, destroy=delete)
