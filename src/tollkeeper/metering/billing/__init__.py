"""What customers read about their usage and credit: the endpoints under `/billing`."""

from tollkeeper.metering.billing.balance import AutoTopUp, Balance, ReadTopUp, show_balance
from tollkeeper.metering.billing.export import USAGE_COLUMNS, usage_pages
from tollkeeper.metering.billing.logs import (
    Log,
    LoggedCall,
    read_log,
    read_newer,
    read_whole_log,
)
from tollkeeper.metering.billing.records import (
    Query,
    RecordPage,
    UsageRecord,
    UsageRecordInFull,
    read_record,
    read_records,
)
from tollkeeper.metering.billing.routes import billing_routes

__all__ = [
    "USAGE_COLUMNS",
    "AutoTopUp",
    "Balance",
    "Log",
    "LoggedCall",
    "Query",
    "ReadTopUp",
    "RecordPage",
    "UsageRecord",
    "UsageRecordInFull",
    "billing_routes",
    "read_log",
    "read_newer",
    "read_record",
    "read_records",
    "read_whole_log",
    "show_balance",
    "usage_pages",
]
