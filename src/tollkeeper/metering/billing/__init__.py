"""What customers read about their usage and credit: the endpoints under `/billing`."""

from tollkeeper.metering.billing.balance import AutoTopUp, ReadTopUp
from tollkeeper.metering.billing.export import USAGE_COLUMNS, usage_pages
from tollkeeper.metering.billing.routes import billing_routes

__all__ = ["USAGE_COLUMNS", "AutoTopUp", "ReadTopUp", "billing_routes", "usage_pages"]
