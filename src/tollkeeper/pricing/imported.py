"""What came of reading a source of prices."""

from __future__ import annotations

from dataclasses import dataclass

from tollkeeper.pricing.model import PriceVersion


@dataclass(frozen=True, slots=True)
class Skipped:
    """What was not imported, and why."""

    provider: str
    model: str
    reason: str


@dataclass(frozen=True, slots=True)
class Imported:
    versions: tuple[PriceVersion, ...]
    skipped: tuple[Skipped, ...]
