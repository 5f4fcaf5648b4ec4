"""What was deferred, earned and lapsed, month by month, from the entries."""

from tollkeeper.credits.revenue.model import months_of
from tollkeeper.credits.revenue.reporting import revenue
from tollkeeper.credits.revenue.routes import (
    RevenueMonth,
    read_month,
    revenue_routes,
    revenue_rows,
)

__all__ = [
    "RevenueMonth",
    "months_of",
    "read_month",
    "revenue",
    "revenue_routes",
    "revenue_rows",
]
