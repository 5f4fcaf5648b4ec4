"""Work to be done later: it commits with the change that causes it, and is then not lost."""

from tollkeeper.jobs.model import Backlog, FailedJob, Handler, Queue, Schedule, Task
from tollkeeper.jobs.queue import enqueue
from tollkeeper.jobs.rescue import job_upkeep
from tollkeeper.jobs.store import read_backlog, read_failed, run_again
from tollkeeper.jobs.worker import Pace, working

__all__ = [
    "Backlog",
    "FailedJob",
    "Handler",
    "Pace",
    "Queue",
    "Schedule",
    "Task",
    "enqueue",
    "job_upkeep",
    "read_backlog",
    "read_failed",
    "run_again",
    "working",
]
