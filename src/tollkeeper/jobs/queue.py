"""Putting work off until the caller's transaction has committed."""

from __future__ import annotations

from datetime import datetime

from procrastinate.jobs import Job

from tollkeeper.db import Connection
from tollkeeper.jobs import store
from tollkeeper.jobs.model import JsonValue, Task


async def enqueue(
    tx: Connection,
    task: Task,
    /,
    *,
    lock: str | None = None,
    once: str | None = None,
    at: datetime | None = None,
    priority: int = 0,
    **arguments: JsonValue,
) -> bool:
    """Add a job that commits with `tx`, or vanishes with it.

    Jobs of the same `lock` run one after another, in the order they were added. While a job of
    the same `once` waits, nothing is added and the answer is False; a job that runs already is
    no reason not to add one. `at` is the earliest moment; a higher `priority` goes first.

    Adding a job notifies the workers, and a transaction that notifies commits alone on the whole
    server: never do it in a statement that every call runs.
    """
    job = Job(
        queue=task.queue.name,
        priority=priority,
        lock=lock,
        queueing_lock=once,
        task_name=task.name,
        task_kwargs=dict(arguments),
        scheduled_at=at,
    )
    return await store.add_job(tx, job)
