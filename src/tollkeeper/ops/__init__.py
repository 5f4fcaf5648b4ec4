"""Running Tollkeeper: processes, background jobs, health, metrics."""

from tollkeeper.ops.health import NotReady, health_routes
from tollkeeper.ops.jobs import Job, Jobs
from tollkeeper.ops.metrics import Metrics, Observed

__all__ = ["Job", "Jobs", "Metrics", "NotReady", "Observed", "health_routes"]
