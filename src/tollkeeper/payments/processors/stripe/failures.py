"""What Stripe's errors mean: no money and why, no answer, or a mistake of ours."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, Protocol, cast

import stripe
import structlog

from tollkeeper.payments.errors import ProcessorRefused, ProcessorUnavailable
from tollkeeper.payments.model import (
    Answer,
    Declined,
    Failure,
    FailureCode,
    RequiresAction,
    Unknown,
)

AUTHENTICATION_REQUIRED: Final = "authentication_required"
UNEXPECTED_STATE: Final = "payment_intent_unexpected_state"

# Stripe's error codes and, where a bank declined, its decline codes. What is not here is a card
# that was declined: banks have many words for it, and some of them (stolen, fraudulent) are not
# for the ears of whoever holds the card.
_CODES: Final = {
    "amount_too_large": FailureCode.AMOUNT_REFUSED,
    "amount_too_small": FailureCode.AMOUNT_REFUSED,
    "card_decline_rate_limit_exceeded": FailureCode.LIMIT_EXCEEDED,
    "card_not_supported": FailureCode.NOT_SUPPORTED,
    "card_velocity_exceeded": FailureCode.LIMIT_EXCEEDED,
    "currency_not_supported": FailureCode.NOT_SUPPORTED,
    "expired_card": FailureCode.EXPIRED_CARD,
    "incorrect_cvc": FailureCode.INCORRECT_CVC,
    "incorrect_number": FailureCode.INCORRECT_NUMBER,
    "insufficient_funds": FailureCode.INSUFFICIENT_FUNDS,
    "invalid_cvc": FailureCode.INCORRECT_CVC,
    "invalid_expiry_month": FailureCode.EXPIRED_CARD,
    "invalid_expiry_year": FailureCode.EXPIRED_CARD,
    "invalid_number": FailureCode.INCORRECT_NUMBER,
    "issuer_not_available": FailureCode.PROCESSING_ERROR,
    "not_permitted": FailureCode.NOT_SUPPORTED,
    "payment_intent_authentication_failure": FailureCode.AUTHENTICATION_FAILED,
    "payment_method_customer_decline": FailureCode.CARD_DECLINED,
    "payment_method_not_available": FailureCode.PROCESSING_ERROR,
    "payment_method_provider_decline": FailureCode.CARD_DECLINED,
    "payment_method_provider_timeout": FailureCode.PROCESSING_ERROR,
    "payment_method_unexpected_state": FailureCode.METHOD_UNUSABLE,
    "processing_error": FailureCode.PROCESSING_ERROR,
    "reenter_transaction": FailureCode.PROCESSING_ERROR,
    "resource_missing": FailureCode.METHOD_UNUSABLE,
    "setup_intent_authentication_failure": FailureCode.AUTHENTICATION_FAILED,
    "transaction_not_allowed": FailureCode.NOT_SUPPORTED,
    "try_again_later": FailureCode.PROCESSING_ERROR,
    "withdrawal_count_limit_exceeded": FailureCode.LIMIT_EXCEEDED,
}
_ADVICE: Final = {"try_again_later": True, "do_not_try_again": False, "confirm_card_data": False}

_log = structlog.stdlib.get_logger(__name__)


class Refusal(Protocol):
    """The parts that an error and an intent's last error have in common."""

    code: str | None
    decline_code: str | None
    advice_code: str | None
    message: str | None


def failure_of(refusal: Refusal) -> Failure:
    code = _CODES.get(refusal.decline_code or "") or _CODES.get(refusal.code or "")
    code = code or FailureCode.CARD_DECLINED
    advised = _ADVICE.get(refusal.advice_code or "")
    retryable = code.retryable if advised is None else advised
    return Failure(code, retryable, refusal.message or "")


def answer_to(error: stripe.StripeError) -> Answer:
    """Say what became of a payment when Stripe answered like this."""
    if isinstance(error, stripe.CardError) and error.error is not None:
        intent = error.error.payment_intent
        ref = None if intent is None else intent.id
        if AUTHENTICATION_REQUIRED in (error.error.code, error.error.decline_code) and ref:
            return RequiresAction(ref=ref, url=None)
        return Declined(ref=ref, failure=failure_of(error.error))
    if isinstance(error, stripe.InvalidRequestError):
        _log.error("stripe_refused_payment", reason=str(error), code=error.code)
        code = _CODES.get(error.code or "", FailureCode.REFUSED)
        if _param(error) == "payment_method":
            code = FailureCode.METHOD_UNUSABLE
        elif error.code == "resource_missing":  # the customer, which is a mistake of ours
            code = FailureCode.REFUSED
        return Declined(ref=None, failure=Failure.of(code, error.user_message or ""))
    # Also when our key is refused: an attempt before this one may have gone through.
    return unknown(error)


def _param(error: stripe.InvalidRequestError) -> str | None:
    return cast("str | None", getattr(error, "param", None))  # it has no type there


def unknown(error: stripe.StripeError) -> Unknown:
    _log.warning("stripe_gave_no_outcome", error=type(error).__name__, reason=str(error))
    return Unknown(f"{type(error).__name__}: {error.user_message or ''}")


@contextmanager
def as_ours() -> Generator[None]:
    """Raise ProcessorUnavailable where there was no answer, ProcessorRefused where it was no."""
    try:
        yield
    except (stripe.APIConnectionError, stripe.APIError, stripe.RateLimitError) as error:
        _log.warning("stripe_unavailable", error=type(error).__name__, reason=str(error))
        raise ProcessorUnavailable("Stripe gave no answer; try again in a while") from error
    except stripe.StripeError as error:
        _log.error("stripe_refused", error=type(error).__name__, reason=str(error))
        raise ProcessorRefused("Stripe refused the request; the log says why") from error
