"""Money becomes credit."""

from tollkeeper.credits.errors import AmountOutOfRange, PaymentsNotConfigured
from tollkeeper.credits.purchases import Limits
from tollkeeper.credits.routes import purchase_routes

__all__ = ["AmountOutOfRange", "Limits", "PaymentsNotConfigured", "purchase_routes"]
