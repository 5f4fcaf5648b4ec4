"""What customers read about their usage and credit: the endpoints under `/billing`."""

from tollkeeper.metering.billing.routes import billing_routes

__all__ = ["billing_routes"]
