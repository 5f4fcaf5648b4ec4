"""Where the money went: costs by any dimension and time zone, from sums that follow the records."""

from tollkeeper.metering.analytics.forecast import Forecast, ForecastState, read_forecast
from tollkeeper.metering.analytics.routes import analytics_routes
from tollkeeper.metering.analytics.spikes import SpikeWatch

__all__ = ["Forecast", "ForecastState", "SpikeWatch", "analytics_routes", "read_forecast"]
