"""Usage that operators and customers report themselves: the endpoints under `/metering`."""

from tollkeeper.metering.intake.levels import level_routes
from tollkeeper.metering.intake.routes import metering_routes
from tollkeeper.metering.intake.unit_hours import level_jobs

__all__ = ["level_jobs", "level_routes", "metering_routes"]
