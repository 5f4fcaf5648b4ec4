"""Stripe. Nothing outside this folder knows that there is such a thing as its SDK."""

from tollkeeper.payments.processors.stripe.client import is_live_key, open_stripe
from tollkeeper.payments.processors.stripe.processor import StripeProcessor

__all__ = ["StripeProcessor", "is_live_key", "open_stripe"]
