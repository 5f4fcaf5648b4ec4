"""Projects: where keys belong, and what each has spent. All of them spend one balance."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from litestar import get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper import metering, orgs
from tollkeeper.base.errors import TollkeeperError
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.base.money import Money
from tollkeeper.console.customer.destroying import destroying_pages
from tollkeeper.console.customer.noting import note, say_full
from tollkeeper.console.customer.saying import refuse
from tollkeeper.console.doors import AnyRequest, Door, managers_only, session_of
from tollkeeper.console.forms import Form, Question, go_on, read_as
from tollkeeper.console.model import Session
from tollkeeper.console.rendering import say
from tollkeeper.console.shelves import Shelves
from tollkeeper.http import read_path_id
from tollkeeper.metering import CostQuery, Costs
from tollkeeper.orgs import Capacity, NamedIn, Project

PATH: Final = "/console/projects"
_PAGE: Final = 50
_BAD: Final = 400
_MORE_THAN_A_MONTH: Final = timedelta(days=32)
_PLACES: Final = {"duplicate_project": "name"}


def project_pages(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    return [*_listing(door, shelves), *_renaming(door), *_archiving(door)]


def _listing(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    async def answer(
        request: AnyRequest, form: Form, status: int = 200, full: str = "", before: str = ""
    ) -> Response[bytes]:
        session = session_of(request)
        after = read_path_id("prj", before) if before else None
        async with door.database.connection() as connection:
            found = await orgs.list_projects(connection, session.org_id, after, _PAGE + 1)
        shown = found[:_PAGE]
        ids = [str(one.project_id) for one in shown]
        spent = await _spent_this_month(door, shelves, session, ids)
        more = len(found) > _PAGE
        return door.page(
            request,
            "customer/projects.html",
            status,
            form=form,
            full=full,
            rows=[_row(one, spent) for one in shown],
            older=f"{PATH}?before={show_id('prj', shown[-1].project_id)}" if more else None,
            newest=PATH if before else None,
        )

    @get("/projects", include_in_schema=False, guards=[managers_only])
    async def show_projects(request: AnyRequest, before: FromQuery[str] = "") -> Response[bytes]:
        return await answer(request, Form(), before=before)

    @post("/projects", include_in_schema=False, guards=[managers_only], status_code=200)
    async def make_project(request: AnyRequest) -> Response[bytes] | Redirect:
        session, now = session_of(request), door.clock.now()
        form = await door.read_form(request)
        try:
            named = read_as(NamedIn, {"name": form.text("name")})
            async with door.database.transaction() as tx:
                await orgs.lock_org(tx, session.org_id)
                made = await orgs.create_project(
                    tx, org_id=session.org_id, project_id=uuid7(), name=named.name, now=now
                )
                await shelves.capacities.check_made(tx, session, Capacity.PROJECTS)
                await note(tx, session, "project.create", now, **_told(made))
        except TollkeeperError as error:
            if error.code == "capacity_exceeded":
                full = say_full(shelves, session, error, now)
                return await answer(request, form, _BAD, full)
            return await answer(request, refuse(form, error, _PLACES), _BAD)
        return go_on(PATH, "project_made")

    return [show_projects, make_project]


def _told(project: Project) -> dict[str, Any]:
    return {"projectId": show_id("prj", project.project_id), "name": project.name}


def _row(project: Project, spent: dict[str, list[tuple[Money, str]]]) -> dict[str, object]:
    return {
        "id": show_id("prj", project.project_id),
        "project": project,
        "spent": spent.get(str(project.project_id), [(Money(0), "USD")]),
    }


async def _spent_this_month(
    door: Door, shelves: Shelves, session: Session, project_ids: Sequence[str]
) -> dict[str, list[tuple[Money, str]]]:
    """By the project's id, in each currency: since the month began, of UTC."""
    start = door.clock.now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    query = CostQuery(
        start=start,
        end=(start + _MORE_THAN_A_MONTH).replace(day=1),
        granularity=None,
        zone=ZoneInfo("UTC"),
        groups=("project",),
        filters={"project": tuple(project_ids)},
    )
    most = shelves.settings.analytics.records_limit
    costs = Costs(org_id=session.org_id, livemode=session.livemode, query=query, most_records=most)
    (rows,) = await metering.read_costs(door.database, costs)
    spent: dict[str, list[tuple[Money, str]]] = {}
    for row in rows:
        if row.group[0] is not None:
            spent.setdefault(row.group[0], []).append((Money(row.amount), row.currency))
    return spent


async def _find(door: Door, request: AnyRequest, project_id: str) -> Project:
    known = read_path_id("prj", project_id)
    async with door.database.connection() as connection:
        return await orgs.get_project(connection, session_of(request).org_id, known)


def _renaming(door: Door) -> list[ControllerRouterHandler]:
    def answer(
        request: AnyRequest, project: Project, form: Form, status: int = 200
    ) -> Response[bytes]:
        known = show_id("prj", project.project_id)
        values = {"project": project, "id": known, "form": form}
        return door.page(request, "customer/project.html", status, **values)

    @get("/projects/{project_id:str}", include_in_schema=False, guards=[managers_only])
    async def show_project(request: AnyRequest, project_id: FromPath[str]) -> Response[bytes]:
        project = await _find(door, request, project_id)
        return answer(request, project, Form(values={"name": project.name}))

    @post(
        "/projects/{project_id:str}",
        include_in_schema=False,
        guards=[managers_only],
        status_code=200,
    )
    async def rename_project(
        request: AnyRequest, project_id: FromPath[str]
    ) -> Response[bytes] | Redirect:
        session, now = session_of(request), door.clock.now()
        form = await door.read_form(request)
        project = await _find(door, request, project_id)
        try:
            named = read_as(NamedIn, {"name": form.text("name")})
            async with door.database.transaction() as tx:
                renamed = await orgs.rename_project(
                    tx, session.org_id, project.project_id, named.name
                )
                await note(tx, session, "project.rename", now, **_told(renamed))
        except TollkeeperError as error:
            return answer(request, project, refuse(form, error, _PLACES), _BAD)
        return go_on(PATH, "saved")

    return [show_project, rename_project]


def _archiving(door: Door) -> list[ControllerRouterHandler]:
    async def find(request: AnyRequest) -> Project:
        return await _find(door, request, request.path_params["project_id"])

    def ask(project: Project) -> Question:
        return Question(
            title=say("projects.archive_title", name=project.name),
            detail=say("projects.archive_detail"),
            name=project.name,
            action=f"{PATH}/{show_id('prj', project.project_id)}/archive",
            button=say("projects.archive"),
            back=PATH,
        )

    async def archive(request: AnyRequest, project: Project) -> Redirect:
        session, now = session_of(request), door.clock.now()
        async with door.database.transaction() as tx:
            await orgs.archive_project(tx, session.org_id, project.project_id, now)
            await note(tx, session, "project.archive", now, **_told(project))
        return go_on(PATH, "project_archived")

    path = "/projects/{project_id:str}/archive"
    return destroying_pages(door, path, managers_only, find=find, ask=ask, destroy=archive)
