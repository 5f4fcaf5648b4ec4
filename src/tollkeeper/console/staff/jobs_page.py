"""Jobs: what waits to be done, what failed for the last time, and what repeats and is late."""

from __future__ import annotations

from typing import Final

from litestar import get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper import jobs, operator
from tollkeeper.base.errors import NotFound
from tollkeeper.console.doors import AnyRequest
from tollkeeper.console.forms import go_on
from tollkeeper.console.rendering import say
from tollkeeper.console.shelves import Shelves
from tollkeeper.console.staff_door import STAFF_PAGES, StaffDoor, act_of, staff_admins_only

_JOBS: Final = f"{STAFF_PAGES}/jobs"
_PAGE: Final = 25
_SEE_OTHER: Final = 303

_HIGHEST: Final = 2**62


def jobs_pages(door: StaffDoor, shelves: Shelves) -> list[ControllerRouterHandler]:
    database, clock = door.door.database, door.door.clock

    @get("/jobs", include_in_schema=False)
    async def show_jobs(
        request: AnyRequest, before: FromQuery[int | None] = None
    ) -> Response[bytes]:
        if before is not None and not 0 < before <= _HIGHEST:
            raise NotFound(say("staff_jobs.gone"))
        async with database.connection() as connection:
            backlog = await jobs.read_backlog(connection)
            failed = await jobs.read_failed(connection, before, _PAGE + 1)
        more = len(failed) > _PAGE
        return door.page(
            request,
            "staff/jobs.html",
            backlog=backlog,
            failed=failed[:_PAGE],
            late=shelves.late_jobs(),
            older=f"{_JOBS}?before={failed[_PAGE - 1].job_id}" if more else None,
            newest=_JOBS if before else None,
        )

    @post(
        "/jobs/{job_id:int}/run",
        include_in_schema=False,
        status_code=_SEE_OTHER,
        guards=[staff_admins_only],
    )
    async def run_again(request: AnyRequest, job_id: FromPath[int]) -> Redirect:
        await door.read_form(request)
        act = act_of(request, "", clock.now())
        async with database.transaction() as tx:
            task = await jobs.run_again(tx, job_id) if 0 < job_id <= _HIGHEST else None
            if task is None:
                raise NotFound(say("staff_jobs.gone"))
            await operator.note(tx, act, "job.run_again", None, job=job_id, task=task)
        return go_on(_JOBS, "job_again")

    return [show_jobs, run_again]
