"""What is there rather than used up, such as gigabytes or seats, turned into usage by the hour."""

from tollkeeper.plans.levels.metering import (
    Emit,
    LevelHour,
    emit_due,
    hour_of,
    units_of_hour,
)
from tollkeeper.plans.levels.reporting import report_level
from tollkeeper.plans.levels.store import Level, LevelMeter, Reported, due_hours, list_levels

__all__ = [
    "Emit",
    "Level",
    "LevelHour",
    "LevelMeter",
    "Reported",
    "due_hours",
    "emit_due",
    "hour_of",
    "list_levels",
    "report_level",
    "units_of_hour",
]
