"""Hold, meter, settle: what every call costs, recorded once. Read `README.md` for what holds."""

from tollkeeper.metering.analytics import (
    Forecast,
    ForecastState,
    SpikeWatch,
    analytics_routes,
    read_forecast,
)
from tollkeeper.metering.billing import (
    USAGE_COLUMNS,
    AutoTopUp,
    Balance,
    Query,
    ReadTopUp,
    RecordPage,
    UsageRecord,
    UsageRecordInFull,
    billing_routes,
    read_record,
    read_records,
    show_balance,
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
from tollkeeper.metering.sums import add_up, line_totals, rebuild_all, totals
from tollkeeper.metering.verify import verify_costs

__all__ = [
    "USAGE_COLUMNS",
    "AlreadyCharged",
    "AutoTopUp",
    "Balance",
    "Call",
    "Forecast",
    "ForecastState",
    "LineTotal",
    "Meter",
    "Paid",
    "Past",
    "Previews",
    "Purse",
    "Purses",
    "Query",
    "ReadTopUp",
    "RecordPage",
    "Refusal",
    "Rules",
    "SpikeWatch",
    "Total",
    "Unpriced",
    "UsageRecord",
    "UsageRecordInFull",
    "Worst",
    "add_up",
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
    "read_forecast",
    "read_record",
    "read_records",
    "rebuild_all",
    "refuse_charge",
    "refuse_hold",
    "refuse_settlement",
    "refused_call",
    "rerate",
    "show_balance",
    "totals",
    "usage_id_of",
    "usage_jobs",
    "usage_pages",
    "verify_costs",
]
