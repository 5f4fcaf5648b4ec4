"""What can go wrong with prices, for customers and operators."""

from __future__ import annotations

from tollkeeper.base.errors import InvalidRequest, TollkeeperError


class ModelNotPriced(TollkeeperError):
    """This model, or something it would be used for, has no price"""

    code = "model_not_priced"
    status = 422


class InvalidUsage(InvalidRequest):
    """A quantity is negative, not a number, too large or too fine"""

    code = "invalid_usage"


class PriceVersionConflict(TollkeeperError):
    """Another price is already published for this model and moment"""

    # Not 409: OpenAI's SDK retries 409, and prices are never replaced, only followed.
    code = "price_version_conflict"
    status = 422


class InvalidPrices(InvalidRequest):
    """A price file or a published price is not valid"""

    code = "invalid_prices"
