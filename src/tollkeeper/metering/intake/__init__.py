"""Usage that operators and customers report themselves: the endpoints under `/metering`."""

from tollkeeper.metering.intake.routes import metering_routes

__all__ = ["metering_routes"]
