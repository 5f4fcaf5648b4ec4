"""All SQL of this room; the tables are Procrastinate's own."""

from __future__ import annotations

from typing import Any, Final

from procrastinate import BaseConnector, PsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.jobs import Job
from procrastinate.manager import JobManager

from tollkeeper.db import Connection
from tollkeeper.jobs.model import Backlog, FailedJob

# Never opened: it only phrases statements for the callers' connections.
_manager: Final = JobManager(PsycopgConnector())

# As long as everybody else waits for a connection; a worker that has none begins anew.
_WAIT_SECONDS: Final = 10.0

# A worker that is gone has no row, or one whose heart has stopped. What it was doing waits again,
# longer after each time, lest a job that kills its workers kill them all. Its queueing lock is
# dropped: one like it may wait already.
_FREE_STALLED: Final = """
UPDATE queue.procrastinate_jobs AS job
SET status = 'todo',
    attempts = job.attempts + 1,
    scheduled_at = now() + make_interval(secs => least(2 ^ least(job.attempts, 12) - 1, 3600)),
    queueing_lock = NULL,
    worker_id = NULL
FROM (
    SELECT stalled.id
    FROM queue.procrastinate_jobs AS stalled
    LEFT JOIN queue.procrastinate_workers AS worker ON worker.id = stalled.worker_id
    WHERE stalled.status = 'doing'
        AND (worker.id IS NULL
             OR worker.last_heartbeat < now() - make_interval(secs => %(silent)s))
    ORDER BY stalled.id
    FOR UPDATE OF stalled SKIP LOCKED
) AS found
WHERE job.id = found.id
RETURNING job.id, job.task_name
"""

_FORGET_FAILED: Final = """
DELETE FROM queue.procrastinate_jobs
WHERE id IN (
    SELECT job.id
    FROM queue.procrastinate_jobs AS job
    WHERE job.status IN ('failed', 'aborted', 'cancelled', 'succeeded')
        AND NOT EXISTS (
            SELECT FROM queue.procrastinate_events AS event
            WHERE event.job_id = job.id AND event.at > now() - make_interval(days => %(days)s)
        )
    LIMIT 1000
)
"""

_DROP_QUEUEING_LOCK: Final = """
UPDATE queue.procrastinate_jobs SET queueing_lock = NULL WHERE id = %(job_id)s
"""

# Not a try: it was not begun. Its queueing lock is dropped: one like it may wait already.
_PUT_BACK: Final = """
UPDATE queue.procrastinate_jobs
SET status = 'todo',
    scheduled_at = now() + make_interval(secs => %(seconds)s),
    queueing_lock = NULL,
    worker_id = NULL
WHERE id = %(job_id)s AND status = 'doing'
"""

_WAITING: Final = """
SELECT task_name, count(*) FILTER (WHERE status = 'todo'), count(*) FILTER (WHERE status = 'doing'),
       count(*) FILTER (WHERE status = 'failed'), min(scheduled_at) FILTER (WHERE status = 'todo')
FROM queue.procrastinate_jobs
WHERE status IN ('todo', 'doing', 'failed')
GROUP BY task_name
ORDER BY task_name
"""

_FAILED: Final = """
SELECT job.id, job.task_name, job.args, job.attempts,
       (SELECT max(event.at) FROM queue.procrastinate_events AS event WHERE event.job_id = job.id)
FROM queue.procrastinate_jobs AS job
WHERE job.status = 'failed' AND (%(before)s::bigint IS NULL OR job.id < %(before)s)
ORDER BY job.id DESC
LIMIT %(most)s
"""

# Its queueing lock is dropped: one like it may wait already.
_RUN_AGAIN: Final = """
UPDATE queue.procrastinate_jobs
SET status = 'todo', scheduled_at = NULL, queueing_lock = NULL, worker_id = NULL
WHERE id = %(job_id)s AND status = 'failed'
RETURNING task_name
"""


async def add_job(tx: Connection, job: Job) -> bool:
    """Return False when one with the same queueing lock waits already."""
    if job.queueing_lock is None:
        await _manager.defer_job_async(job, connection=tx)
        return True
    try:
        # The refusal breaks a transaction; a savepoint keeps the caller's whole.
        async with tx.transaction():
            await _manager.defer_job_async(job, connection=tx)
    except AlreadyEnqueued:
        return False
    return True


async def free_stalled(connection: Connection, silent_seconds: float) -> list[str]:
    """Let jobs of dead workers run again, and return what they are called."""
    freed = await connection.execute(_FREE_STALLED, {"silent": silent_seconds})
    return [f"{name}[{job_id}]" for job_id, name in await freed.fetchall()]


async def read_backlog(connection: Connection) -> list[Backlog]:
    found = await connection.execute(_WAITING)
    return [Backlog(*row) for row in await found.fetchall()]


async def read_failed(connection: Connection, before: int | None, most: int) -> list[FailedJob]:
    found = await connection.execute(_FAILED, {"before": before, "most": most})
    return [FailedJob(*row) for row in await found.fetchall()]


async def run_again(tx: Connection, job_id: int) -> str | None:
    """Return what it is called; None for a job that has not failed, or is not there."""
    found = await tx.execute(_RUN_AGAIN, {"job_id": job_id})
    row = await found.fetchone()
    return None if row is None else row[0]


async def forget_failed(connection: Connection, days: int) -> int:
    return (await connection.execute(_FORGET_FAILED, {"days": days})).rowcount


async def drop_queueing_lock(connector: PsycopgConnector, job_id: int) -> None:
    await connector.execute_query_async(_DROP_QUEUEING_LOCK, job_id=job_id)


async def put_back(connector: BaseConnector, job_id: int, seconds: float) -> None:
    """Let a job that a worker took wait again, for so long at least."""
    await connector.execute_query_async(_PUT_BACK, job_id=job_id, seconds=seconds)


def make_connector(parameters: dict[str, Any], connections: int) -> PsycopgConnector:
    """Make the worker's own way to the database, in the application's role."""
    # The library asks for autocommit itself where it needs it.
    given = {name: value for name, value in parameters.items() if name != "autocommit"}
    return PsycopgConnector(kwargs=given, min_size=1, max_size=connections, timeout=_WAIT_SECONDS)
