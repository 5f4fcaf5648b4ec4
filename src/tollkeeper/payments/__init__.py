"""Money in the outside world: processors, payment methods, payments, refunds, disputes, events."""

from tollkeeper.payments.errors import PaymentsNotConfigured

__all__ = ["PaymentsNotConfigured"]
