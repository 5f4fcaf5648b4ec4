"""What is there rather than used up, such as gigabytes or seats, turned into usage by the hour."""

from tollkeeper.plans.levels.metering import Emit, emit_due, hour_of, units_of_hour
from tollkeeper.plans.levels.reporting import report_level
from tollkeeper.plans.levels.store import Level, LevelMeter, due_hours

__all__ = [
    "Emit",
    "Level",
    "LevelMeter",
    "due_hours",
    "emit_due",
    "hour_of",
    "report_level",
    "units_of_hour",
]
