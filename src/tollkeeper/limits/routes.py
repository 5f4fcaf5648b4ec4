"""`/budgets`: what an organization's calls may use, by its ADMIN keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Request, Router, delete, get, patch, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from litestar.response import Response
from litestar.types import ControllerRouterHandler

from tollkeeper import orgs
from tollkeeper.base.clock import Clock
from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection, Database
from tollkeeper.http import (
    Cursors,
    CursorText,
    Page,
    invalid,
    list_answer,
    page_of,
    read_path_id,
    run_id_of,
)
from tollkeeper.http import (
    Limit as Count,
)
from tollkeeper.limits import acts, store
from tollkeeper.limits.book import LimitBook
from tollkeeper.limits.errors import BudgetNotFound, TooManyBudgets
from tollkeeper.limits.model import Limit
from tollkeeper.limits.shapes import (
    BudgetChange,
    BudgetIn,
    BudgetOut,
    BudgetReset,
    CounterOut,
)
from tollkeeper.orgs import Caller

AnyRequest = Request[Any, Any, State]

_WITH_LIVE_KEYS = (
    "A budget holds for live and for test calls. Where there are live keys, or were, a test key"
    " makes, changes and removes those of test keys alone (`apiKeyId`); the rest is 403."
)


def budget_routes(book: LimitBook) -> list[ControllerRouterHandler]:
    """`book` knows when billing cycles begin, and learns at once what changes through here."""
    handlers = [
        _listing(book),
        _getting(book),
        _counting(book),
        _creating(book),
        _changing(book),
        _removing(book),
        _resetting(book),
    ]
    return [Router("/budgets", route_handlers=handlers, guards=[orgs.admin_only], tags=["Budgets"])]


async def show(
    tx: Connection, book: LimitBook, limits: Sequence[Limit], *, livemode: bool, now: datetime
) -> list[BudgetOut]:
    """Show budgets of one organization with their counters."""
    if not limits:
        return []
    ids = [limit.limit_id for limit in limits]
    counters = await store.totals(tx, limits[0].org_id, ids, livemode=livemode)
    return [
        BudgetOut.of(
            limit,
            book.span(limit, now, livemode=livemode),
            counters.get(limit.limit_id),
            livemode=livemode,
        )
        for limit in limits
    ]


async def page_of_budgets(
    tx: Connection,
    book: LimitBook,
    org_id: UUID,
    *,
    livemode: bool,
    now: datetime,
    cursors: Cursors,
    cursor: str | None,
    limit: int,
    hide_live: bool = False,
) -> Page[BudgetOut]:
    """`hide_live`: without those of live keys."""
    bound = ("budgets", org_id, livemode)
    after = cursors.after(bound, cursor)
    found = await store.list_limits(tx, org_id, after, limit + 1, hide_live=hide_live)
    budgets = await show(tx, book, found, livemode=livemode, now=now)
    pairs = list(zip(found, budgets, strict=True))
    return page_of(
        pairs,
        limit,
        lambda pair: pair[1],
        lambda pair: cursors.seal(bound, [pair[0].limit_id]),
    )


async def page_of_counters(
    tx: Connection,
    book: LimitBook,
    budget: Limit,
    *,
    livemode: bool,
    now: datetime,
    cursors: Cursors,
    cursor: str | None,
    limit: int,
) -> Page[CounterOut]:
    bound = ("budget-counters", budget.org_id, budget.limit_id, livemode)
    after = None if cursor is None else cursors.open(bound, cursor, tuple[str])[0]
    found = await store.list_counters(
        tx,
        budget,
        livemode=livemode,
        since=book.span(budget, now, livemode=livemode).start,
        after=after,
        count=limit + 1,
    )
    return page_of(
        found,
        limit,
        lambda counter: CounterOut.of(budget, counter),
        lambda counter: cursors.seal(bound, [counter.subject]),
    )


def _listing(book: LimitBook) -> ControllerRouterHandler:
    @get("/", summary="List budgets with what is used of them, oldest first", opt={"csv": True})
    async def list_budgets(
        request: AnyRequest,
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
        cursors: NamedDependency[Cursors],
        limit: Count = 50,
        cursor: CursorText = None,
    ) -> Response[Page[BudgetOut]]:
        caller = orgs.caller_of(request)
        async with database.connection() as connection:
            page = await page_of_budgets(
                connection,
                book,
                caller.org_id,
                livemode=caller.livemode,
                now=clock.now(),
                cursors=cursors,
                cursor=cursor,
                limit=limit,
                hide_live=not caller.livemode,
            )
        return list_answer(request, page, BudgetOut, "budgets.csv")

    return list_budgets


def _getting(book: LimitBook) -> ControllerRouterHandler:
    @get(
        "/{budget_id:str}",
        summary="Get a budget with what is used of it",
        opt={"errors": (BudgetNotFound,)},
    )
    async def get_budget(
        request: AnyRequest,
        budget_id: FromPath[str],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
    ) -> BudgetOut:
        caller = orgs.caller_of(request)
        async with database.connection() as connection:
            found = await _find(connection, caller, budget_id)
            (budget,) = await show(
                connection, book, [found], livemode=caller.livemode, now=clock.now()
            )
        return budget

    return get_budget


def _counting(book: LimitBook) -> ControllerRouterHandler:
    @get(
        "/{budget_id:str}/counters",
        summary="List what a budget with `each` has counted, by subject",
        opt={"csv": True, "errors": (BudgetNotFound,)},
    )
    async def list_counters(
        request: AnyRequest,
        budget_id: FromPath[str],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
        cursors: NamedDependency[Cursors],
        limit: Count = 50,
        cursor: CursorText = None,
    ) -> Response[Page[CounterOut]]:
        caller = orgs.caller_of(request)
        async with database.connection() as connection:
            budget = await _find(connection, caller, budget_id)
            page = await page_of_counters(
                connection,
                book,
                budget,
                livemode=caller.livemode,
                now=clock.now(),
                cursors=cursors,
                cursor=cursor,
                limit=limit,
            )
        return list_answer(request, page, CounterOut, "budget_counters.csv")

    return list_counters


def _creating(book: LimitBook) -> ControllerRouterHandler:
    @post(
        "/",
        summary="Add a budget or a rate limit",
        description=_WITH_LIVE_KEYS,
        opt={"errors": (TooManyBudgets,)},
    )
    async def create_budget(
        request: AnyRequest,
        data: JSONBody[BudgetIn],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
    ) -> BudgetOut:
        caller, now = orgs.caller_of(request), clock.now()
        new = data.read(caller.org_id, run_id_of(request) or uuid7(), now)
        async with database.transaction() as tx:
            await _check_may_make(tx, caller, new)
            made = await acts.create(tx, new)
            (budget,) = await show(tx, book, [made], livemode=caller.livemode, now=now)
        await book.refresh()
        return budget

    return create_budget


def _changing(book: LimitBook) -> ControllerRouterHandler:
    @patch(
        "/{budget_id:str}",
        summary="Change a budget; what has been used stays used",
        description=_WITH_LIVE_KEYS,
        opt={"errors": (BudgetNotFound,)},
    )
    async def update_budget(
        request: AnyRequest,
        budget_id: FromPath[str],
        data: JSONBody[BudgetChange],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
    ) -> BudgetOut:
        caller = orgs.caller_of(request)
        async with database.transaction() as tx:
            known = await _find_to_change(tx, caller, budget_id)
            changed = await acts.change(tx, known.org_id, known.limit_id, data.read(known))
            (budget,) = await show(tx, book, [changed], livemode=caller.livemode, now=clock.now())
        await book.refresh()
        return budget

    return update_budget


def _removing(book: LimitBook) -> ControllerRouterHandler:
    @delete(
        "/{budget_id:str}",
        summary="Remove a budget",
        description=_WITH_LIVE_KEYS,
        opt={"errors": (BudgetNotFound,)},
    )
    async def delete_budget(
        request: AnyRequest,
        budget_id: FromPath[str],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
    ) -> None:
        caller = orgs.caller_of(request)
        async with database.transaction() as tx:
            known = await _find_to_change(tx, caller, budget_id)
            await acts.remove(tx, known.org_id, known.limit_id, clock.now())
        await book.refresh()

    return delete_budget


def _resetting(book: LimitBook) -> ControllerRouterHandler:
    @post(
        "/{budget_id:str}/reset",
        summary="Count anew from now on",
        description="With a live key what live keys used, with a test key what test keys did.",
        status_code=200,
        opt={"errors": (BudgetNotFound,)},
    )
    async def reset_budget(
        request: AnyRequest,
        budget_id: FromPath[str],
        data: JSONBody[BudgetReset],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
    ) -> BudgetOut:
        caller, now = orgs.caller_of(request), clock.now()
        livemode = caller.livemode
        async with database.transaction() as tx:
            known = await _find(tx, caller, budget_id)
            place = known.org_id, known.limit_id
            begun = await acts.reset(tx, *place, data.subject, livemode=livemode, now=now)
            (budget,) = await show(tx, book, [begun], livemode=livemode, now=now)
        await book.refresh()
        return budget

    return reset_budget


async def _find(tx: Connection, caller: Caller, budget_id: str) -> Limit:
    """Raises BudgetNotFound, also for a budget of a live key that a test key asks for."""
    found = await acts.get(tx, caller.org_id, read_path_id("bud", budget_id))
    if not await _sees(tx, caller, found.key_id):
        raise acts.not_found(found.limit_id)
    return found


async def _find_to_change(tx: Connection, caller: Caller, budget_id: str) -> Limit:
    """Raises BudgetNotFound, and Forbidden for a test key where it holds for live calls too."""
    found = await _find(tx, caller, budget_id)
    if found.key_id is None:
        await orgs.keep_off_live(tx, caller)
    return found


async def _check_may_make(tx: Connection, caller: Caller, new: Limit) -> None:
    """Raises InvalidRequest for a key that the caller does not see, Forbidden as above."""
    if new.key_id is None:
        await orgs.keep_off_live(tx, caller)
    elif not await _sees(tx, caller, new.key_id):
        raise invalid({"apiKeyId": ["names no API key of this organization"]})


async def _sees(tx: Connection, caller: Caller, key_id: UUID | None) -> bool:
    if caller.livemode or key_id is None:
        return True
    try:
        await orgs.get_key_for(tx, caller, key_id)
    except NotFound:
        return False
    return True
