"""Where the money went: costs by any dimension and time zone, from sums that follow the records."""

from tollkeeper.metering.analytics.routes import analytics_routes

__all__ = ["analytics_routes"]
