"""Where the money went: costs by any dimension and time zone, from sums that follow the records."""

from tollkeeper.metering.analytics.costs import (
    Cost,
    CostQuery,
    Costs,
    read_costs,
    show_value,
)
from tollkeeper.metering.analytics.cuts import read_tag, write_tag
from tollkeeper.metering.analytics.forecast import Forecast, ForecastState, read_forecast
from tollkeeper.metering.analytics.routes import analytics_routes
from tollkeeper.metering.analytics.spikes import SpikeWatch, read_spike
from tollkeeper.metering.analytics.zones import Granularity, find_zone, midnight, starts

__all__ = [
    "Cost",
    "CostQuery",
    "Costs",
    "Forecast",
    "ForecastState",
    "Granularity",
    "SpikeWatch",
    "analytics_routes",
    "find_zone",
    "midnight",
    "read_costs",
    "read_forecast",
    "read_spike",
    "read_tag",
    "show_value",
    "starts",
    "write_tag",
]
