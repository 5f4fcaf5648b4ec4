"""`/operator/organizations/{id}/budgets`: any organization's budgets, acts with audit rows."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Router, delete, get, patch, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Response
from litestar.types import ControllerRouterHandler
from msgspec import Meta

from tollkeeper import orgs
from tollkeeper.base.clock import Clock
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.db import Connection, Database
from tollkeeper.http import (
    OPERATOR_KEY,
    Cursors,
    CursorText,
    Page,
    list_answer,
    read_path_id,
    run_id_of,
)
from tollkeeper.http import (
    Limit as Count,
)
from tollkeeper.limits import acts
from tollkeeper.limits.book import LimitBook
from tollkeeper.limits.errors import BudgetNotFound, TooManyBudgets
from tollkeeper.limits.routes import page_of_budgets, page_of_counters, show
from tollkeeper.limits.shapes import (
    BudgetOut,
    CounterOut,
    OperatorBudgetChange,
    OperatorBudgetIn,
    OperatorBudgetReset,
    Reason,
)
from tollkeeper.orgs import AuditEntry

AnyRequest = Request[Any, Any, State]
Mode = Annotated[FromQuery[bool], Meta(description="What live keys have used, or test keys.")]

_ONE = "/{organization_id:str}/budgets/{budget_id:str}"


def operator_budget_routes(book: LimitBook) -> list[ControllerRouterHandler]:
    handlers = [
        _listing(book),
        _getting(book),
        _counting(book),
        _creating(book),
        _changing(book),
        _removing(book),
        _resetting(book),
    ]
    return [
        Router(
            "/operator/organizations",
            route_handlers=handlers,
            guards=[orgs.operator_only],
            tags=["Operator"],
            opt={"security": OPERATOR_KEY},
        )
    ]


async def note(
    tx: Connection, who: str, what: str, why: str, *, org_id: UUID, at: datetime, **details: object
) -> None:
    """Write an act into the audit log."""
    entry = AuditEntry(
        audit_id=uuid7(), at=at, who=who, what=what, why=why, org_id=org_id, details=details
    )
    await orgs.audit(tx, entry)


def _who(request: AnyRequest) -> str:
    return orgs.name_of(orgs.operator_of(request))


def _place(organization_id: str, budget_id: str) -> tuple[UUID, UUID]:
    return read_path_id("org", organization_id), read_path_id("bud", budget_id)


def _listing(book: LimitBook) -> ControllerRouterHandler:
    @get(
        "/{organization_id:str}/budgets",
        summary="List an organization's budgets, oldest first",
        opt={"csv": True},
    )
    async def list_budgets(
        request: AnyRequest,
        organization_id: FromPath[str],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
        cursors: NamedDependency[Cursors],
        livemode: Mode = True,
        limit: Count = 50,
        cursor: CursorText = None,
    ) -> Response[Page[BudgetOut]]:
        org_id = read_path_id("org", organization_id)
        async with database.connection() as connection:
            await orgs.get_org(connection, org_id)
            page = await page_of_budgets(
                connection,
                book,
                org_id,
                livemode=livemode,
                now=clock.now(),
                cursors=cursors,
                cursor=cursor,
                limit=limit,
            )
        return list_answer(request, page, BudgetOut, "budgets.csv")

    return list_budgets


def _getting(book: LimitBook) -> ControllerRouterHandler:
    @get(_ONE, summary="Get an organization's budget", opt={"errors": (BudgetNotFound,)})
    async def get_budget(
        organization_id: FromPath[str],
        budget_id: FromPath[str],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
        livemode: Mode = True,
    ) -> BudgetOut:
        async with database.connection() as connection:
            found = await acts.get(connection, *_place(organization_id, budget_id))
            (budget,) = await show(connection, book, [found], livemode=livemode, now=clock.now())
        return budget

    return get_budget


def _counting(book: LimitBook) -> ControllerRouterHandler:
    @get(
        f"{_ONE}/counters",
        summary="List what an organization's budget with `each` has counted",
        opt={"csv": True, "errors": (BudgetNotFound,)},
    )
    async def list_counters(
        request: AnyRequest,
        organization_id: FromPath[str],
        budget_id: FromPath[str],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
        cursors: NamedDependency[Cursors],
        livemode: Mode = True,
        limit: Count = 50,
        cursor: CursorText = None,
    ) -> Response[Page[CounterOut]]:
        async with database.connection() as connection:
            budget = await acts.get(connection, *_place(organization_id, budget_id))
            page = await page_of_counters(
                connection,
                book,
                budget,
                livemode=livemode,
                now=clock.now(),
                cursors=cursors,
                cursor=cursor,
                limit=limit,
            )
        return list_answer(request, page, CounterOut, "budget_counters.csv")

    return list_counters


def _creating(book: LimitBook) -> ControllerRouterHandler:
    @post(
        "/{organization_id:str}/budgets",
        summary="Add a budget to an organization",
        opt={"errors": (TooManyBudgets,)},
    )
    async def create_budget(
        request: AnyRequest,
        organization_id: FromPath[str],
        data: JSONBody[OperatorBudgetIn],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
    ) -> BudgetOut:
        org_id, now = read_path_id("org", organization_id), clock.now()
        new = data.read(org_id, run_id_of(request) or uuid7(), now)
        async with database.transaction() as tx:
            await orgs.get_org(tx, org_id)
            made = await acts.create(tx, new)
            (budget,) = await show(tx, book, [made], livemode=True, now=now)
            told = {"budgetId": budget.id, "name": made.name, "amount": str(budget.amount)}
            await note(
                tx, _who(request), "budget.create", data.reason, org_id=org_id, at=now, **told
            )
        await book.refresh()
        return budget

    return create_budget


def _changing(book: LimitBook) -> ControllerRouterHandler:
    @patch(_ONE, summary="Change an organization's budget", opt={"errors": (BudgetNotFound,)})
    async def update_budget(
        request: AnyRequest,
        organization_id: FromPath[str],
        budget_id: FromPath[str],
        data: JSONBody[OperatorBudgetChange],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
    ) -> BudgetOut:
        (org_id, limit_id), now = _place(organization_id, budget_id), clock.now()
        async with database.transaction() as tx:
            change = data.read(await acts.get(tx, org_id, limit_id))
            changed = await acts.change(tx, org_id, limit_id, change)
            (budget,) = await show(tx, book, [changed], livemode=True, now=now)
            told = {"budgetId": budget.id, "name": changed.name, "amount": str(budget.amount)}
            await note(
                tx, _who(request), "budget.update", data.reason, org_id=org_id, at=now, **told
            )
        await book.refresh()
        return budget

    return update_budget


def _removing(book: LimitBook) -> ControllerRouterHandler:
    @delete(_ONE, summary="Remove an organization's budget", opt={"errors": (BudgetNotFound,)})
    async def delete_budget(
        request: AnyRequest,
        organization_id: FromPath[str],
        budget_id: FromPath[str],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
        reason: FromQuery[Reason] = "",
    ) -> None:
        (org_id, limit_id), now = _place(organization_id, budget_id), clock.now()
        async with database.transaction() as tx:
            await acts.remove(tx, org_id, limit_id, now)
            told = {"budgetId": show_id("bud", limit_id)}
            await note(tx, _who(request), "budget.delete", reason, org_id=org_id, at=now, **told)
        await book.refresh()

    return delete_budget


def _resetting(book: LimitBook) -> ControllerRouterHandler:
    @post(
        f"{_ONE}/reset",
        summary="Count an organization's budget anew from now on",
        status_code=200,
        opt={"errors": (BudgetNotFound,)},
    )
    async def reset_budget(
        request: AnyRequest,
        organization_id: FromPath[str],
        budget_id: FromPath[str],
        data: JSONBody[OperatorBudgetReset],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
    ) -> BudgetOut:
        (org_id, limit_id), now = _place(organization_id, budget_id), clock.now()
        livemode = data.livemode
        async with database.transaction() as tx:
            begun = await acts.reset(tx, org_id, limit_id, data.subject, livemode=livemode, now=now)
            (budget,) = await show(tx, book, [begun], livemode=livemode, now=now)
            told = {"budgetId": budget.id, "subject": data.subject, "livemode": livemode}
            await note(
                tx, _who(request), "budget.reset", data.reason, org_id=org_id, at=now, **told
            )
        await book.refresh()
        return budget

    return reset_budget
