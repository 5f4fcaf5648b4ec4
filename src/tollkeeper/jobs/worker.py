"""The worker: takes jobs that wait and runs their handlers, several at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import procrastinate
import structlog
from procrastinate import BaseConnector, BaseRetryStrategy, RetryDecision
from procrastinate.exceptions import JobAborted
from procrastinate.jobs import Job
from procrastinate.manager import JobManager

from tollkeeper.base.tasks import end_tasks
from tollkeeper.db import Database
from tollkeeper.jobs import store
from tollkeeper.jobs.model import DEFAULT, Handler, Queue, Schedule, Task

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0
# What ending takes beside the grace of running jobs.
_BESIDE_SECONDS: Final = 6.0
# One connection listens; the others fetch and finish jobs, which is quick.
_CONNECTIONS: Final = 4

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a worker works. A worker that is silent for `silent_seconds` is taken for dead."""

    poll_seconds: float = 1.0  # also how soon a job starts that waited behind a lock
    heartbeat_seconds: float = 5.0
    silent_seconds: float = 30.0
    unknown_seconds: float = 10.0  # between two looks at a job of another version's
    grace_seconds: float = 20.0  # for running jobs when stopping; they are run again if it ends


@asynccontextmanager
async def working(
    database: Database,
    handlers: Iterable[Handler],
    schedules: Iterable[Schedule] = (),
    *,
    pace: Pace | None = None,
) -> AsyncGenerator[None]:
    """Run jobs for as long as the block lasts, those of each queue by a worker of its own. At its
    end, running ones have their grace."""
    # Its lines about each start and end are for debugging.
    logging.getLogger("procrastinate").setLevel(logging.WARNING)
    pace = pace or Pace()
    handlers, schedules = list(handlers), list(schedules)
    queues = {DEFAULT, *(known.task.queue for known in (*handlers, *schedules))}
    tasks: list[asyncio.Task[None]] = []
    for queue in queues:
        own = [schedule for schedule in schedules if schedule.task.queue == queue]
        work = _Work(database, queue, handlers, own, pace)
        tasks.append(asyncio.create_task(_keep_working(work), name=f"jobs in {queue.name}"))
    try:
        yield
    finally:
        await end_tasks(*tasks, again_seconds=pace.grace_seconds + _BESIDE_SECONDS)


@dataclass(frozen=True, slots=True)
class _Work:
    """What one worker does. It has the handlers of all: a job waits in the queue that its task
    had when it was added."""

    database: Database
    queue: Queue
    handlers: list[Handler]
    schedules: list[Schedule]
    pace: Pace


async def _keep_working(work: _Work) -> None:
    pause, task = _FIRST_PAUSE, asyncio.current_task()
    while True:
        began = asyncio.get_running_loop().time()
        try:
            await _work(work)
        except Exception as error:  # noqa: BLE001 (whatever it was, the next try may succeed)
            reason = str(error) or type(error).__name__
            _log.warning("worker_failed", queue=work.queue.name, reason=reason)
        if task is not None and task.cancelling():
            return  # told to end while it failed, which hid that it was told
        lived = asyncio.get_running_loop().time() - began
        pause = _FIRST_PAUSE if lived > _LONGEST_PAUSE else min(pause * 2, _LONGEST_PAUSE)
        await asyncio.sleep(pause)


async def _work(work: _Work) -> None:
    pace, queue = work.pace, work.queue.name
    connector = store.make_connector(work.database.parameters, _CONNECTIONS)
    app = procrastinate.App(connector=connector)
    known = {known.task.name for known in (*work.handlers, *work.schedules)}
    app.job_manager = _KnownOnly(connector, known, pace.unknown_seconds)
    for handler in work.handlers:
        app.task(name=handler.task.name, queue=queue, retry=_Retry(handler.task))(handler.run)
    for schedule in work.schedules:
        task = app.task(name=schedule.task.name, queue=queue, retry=_Retry(schedule.task))
        app.periodic(cron=schedule.cron)(task(_without_timestamp(schedule.run)))

    async def begin(proceed: Callable[[], Awaitable[Any]], context: Any, _worker: Any) -> Any:
        # A retry would collide with one like it that waits meanwhile, and the job would hang.
        if context.job.queueing_lock is not None:
            await store.drop_queueing_lock(connector, context.job.id)
        return await proceed()

    async with app.open_async():
        await app.run_worker_async(
            queues=[queue],
            concurrency=work.queue.at_once,
            install_signal_handlers=False,
            listen_notify=True,
            delete_jobs="successful",
            fetch_job_polling_interval=pace.poll_seconds,
            update_heartbeat_interval=pace.heartbeat_seconds,
            stalled_worker_timeout=pace.silent_seconds,
            shutdown_graceful_timeout=pace.grace_seconds,
            worker_middleware=[begin],
        )


class _KnownOnly(JobManager):
    """Leaves the jobs of another version's to its workers: the library would fail them for good."""

    def __init__(self, connector: BaseConnector, known: set[str], pause_seconds: float) -> None:
        super().__init__(connector)
        self._known, self._pause_seconds = known, pause_seconds

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        while (job := await super().fetch_job(queues, worker_id)) is not None:
            if job.task_name in self._known or job.id is None:
                return job
            _log.warning("job_of_unknown_task", task=job.task_name, job=job.id)
            await store.put_back(self.connector, job.id, self._pause_seconds)
        return None


def _without_timestamp(run: Callable[[], Awaitable[object]]) -> Callable[..., Awaitable[object]]:
    async def scheduled(timestamp: int) -> None:
        del timestamp  # the library says for when it was due; handlers ask their clock
        await run()

    return scheduled


class _Retry(BaseRetryStrategy):
    def __init__(self, task: Task) -> None:
        self._task = task

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if not isinstance(exception, Exception) or isinstance(exception, JobAborted):
            # Stopped in the middle, by no fault of its own.
            return RetryDecision(retry_at=datetime.now(UTC))
        pause = self._task.pause_after(job.attempts + 1)
        log = _log.warning if pause is not None else _log.error
        log(
            "job_failed" if pause is not None else "job_given_up",
            task=job.task_name,
            job=job.id,
            tried=job.attempts + 1,
            reason=str(exception) or type(exception).__name__,
        )
        return None if pause is None else RetryDecision(retry_at=_after(pause))


def _after(pause: timedelta) -> datetime:
    return datetime.now(UTC) + pause
