"""Calls to models, paid from prepaid credit. Read `README.md` for the six steps of a call."""

from tollkeeper.gateway.gateway import Gateway
from tollkeeper.gateway.metrics import GatewayMetrics

__all__ = ["Gateway", "GatewayMetrics"]
