"""Hold, meter, settle: what every call costs, recorded once. Read `README.md` for what holds."""

from tollkeeper.metering.analytics import SpikeWatch, analytics_routes
from tollkeeper.metering.billing import (
    USAGE_COLUMNS,
    AutoTopUp,
    ReadTopUp,
    billing_routes,
    usage_pages,
)
from tollkeeper.metering.intake import level_jobs, level_routes, metering_routes
from tollkeeper.metering.jobs import usage_jobs
from tollkeeper.metering.meter import Meter
from tollkeeper.metering.paying import Paid, Purse, Purses, last_resort, pay_first
from tollkeeper.metering.posting import Past, post_past
from tollkeeper.metering.record import (
    Call,
    Previews,
    drawing,
    facts_of,
    failed_call,
    fingerprint_of,
    new_charge,
    paid_from,
    refused_call,
    usage_id_of,
)
from tollkeeper.metering.refusal import (
    AlreadyCharged,
    refuse_charge,
    refuse_hold,
    refuse_settlement,
)
from tollkeeper.metering.rerating import list_unpriced, rerate
from tollkeeper.metering.rules import Refusal, Rules, Worst
from tollkeeper.metering.store import LineTotal, Total, Unpriced
from tollkeeper.metering.sums import line_totals, rebuild_all, totals
from tollkeeper.metering.verify import verify_costs

__all__ = [
    "USAGE_COLUMNS",
    "AlreadyCharged",
    "AutoTopUp",
    "Call",
    "LineTotal",
    "Meter",
    "Paid",
    "Past",
    "Previews",
    "Purse",
    "Purses",
    "ReadTopUp",
    "Refusal",
    "Rules",
    "SpikeWatch",
    "Total",
    "Unpriced",
    "Worst",
    "analytics_routes",
    "billing_routes",
    "drawing",
    "facts_of",
    "failed_call",
    "fingerprint_of",
    "last_resort",
    "level_jobs",
    "level_routes",
    "line_totals",
    "list_unpriced",
    "metering_routes",
    "new_charge",
    "paid_from",
    "pay_first",
    "post_past",
    "rebuild_all",
    "refuse_charge",
    "refuse_hold",
    "refuse_settlement",
    "refused_call",
    "rerate",
    "totals",
    "usage_id_of",
    "usage_jobs",
    "usage_pages",
    "verify_costs",
]
