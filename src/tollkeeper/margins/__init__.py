"""What is earned: what customers were charged, less what providers charge for the same calls."""

from tollkeeper.margins.adding import Source, margins
from tollkeeper.margins.comparing import compare
from tollkeeper.margins.fetching import desk_of, fetch
from tollkeeper.margins.importing import import_buckets
from tollkeeper.margins.model import Bucket, Comparison, Grouping, Margin, Window
from tollkeeper.margins.reading import read_export
from tollkeeper.margins.reporting import (
    GROUPINGS,
    TOLERANCE_PERCENT,
    ComparisonOut,
    MarginOut,
    days_before,
    report,
    source_of,
)
from tollkeeper.margins.routes import margin_routes

__all__ = [
    "GROUPINGS",
    "TOLERANCE_PERCENT",
    "Bucket",
    "Comparison",
    "ComparisonOut",
    "Grouping",
    "Margin",
    "MarginOut",
    "Source",
    "Window",
    "compare",
    "days_before",
    "desk_of",
    "fetch",
    "import_buckets",
    "margin_routes",
    "margins",
    "read_export",
    "report",
    "source_of",
]
