"""The sandbox's cards: Stripe's test numbers and tokens, so that what one has learned there holds
here. No other number is taken, so nobody's real card ends up in a sandbox."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from tollkeeper.payments.model import FailureCode


class Authenticates(Enum):
    """Of which payments the bank wants to see the cardholder."""

    NEVER = 1
    UNLESS_SET_UP = 2
    """Of all but those off session, with a card that was authenticated when it was kept."""
    ALWAYS = 3


@dataclass(frozen=True, slots=True)
class Card:
    number: str
    token: str
    says: str
    brand: str = "visa"
    kind: str = "card"
    declined_at_setup: FailureCode | None = None
    declined: FailureCode | None = None
    authenticates: Authenticates = Authenticates.NEVER
    declined_after: FailureCode | None = None
    disputed: bool = False
    refund_fails: bool = False
    refund_waits: bool = False
    takes_days: bool = False


def _declining(number: str, token: str, says: str, code: FailureCode) -> Card:
    return Card(number, token, says, declined_at_setup=code, declined=code)


CARDS: Final = (
    Card("4242424242424242", "pm_card_visa", "Pays"),
    Card("5555555555554444", "pm_card_mastercard", "Pays", brand="mastercard"),
    _declining(
        "4000000000000002",
        "pm_card_chargeDeclined",
        "Is declined",
        FailureCode.CARD_DECLINED,
    ),
    _declining(
        "4000000000009995",
        "pm_card_chargeDeclinedInsufficientFunds",
        "Has no funds",
        FailureCode.INSUFFICIENT_FUNDS,
    ),
    _declining(
        "4000000000000069",
        "pm_card_chargeDeclinedExpiredCard",
        "Has expired",
        FailureCode.EXPIRED_CARD,
    ),
    _declining(
        "4000000000000127",
        "pm_card_chargeDeclinedIncorrectCvc",
        "Has another security code",
        FailureCode.INCORRECT_CVC,
    ),
    _declining(
        "4000000000000119",
        "pm_card_chargeDeclinedProcessingError",
        "Meets an error at its bank",
        FailureCode.PROCESSING_ERROR,
    ),
    Card(
        "4000000000000341",
        "pm_card_chargeCustomerFail",
        "Can be kept, and is declined later",
        declined=FailureCode.CARD_DECLINED,
    ),
    Card(
        "4000002500003155",
        "pm_card_authenticationRequiredOnSetup",
        "Asks its bank, unless it was kept with its bank's consent",
        authenticates=Authenticates.UNLESS_SET_UP,
    ),
    Card(
        "4000002760003184",
        "pm_card_authenticationRequired",
        "Asks its bank every time",
        authenticates=Authenticates.ALWAYS,
    ),
    Card(
        "4000008260003178",
        "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
        "Asks its bank, and has no funds",
        authenticates=Authenticates.ALWAYS,
        declined_after=FailureCode.INSUFFICIENT_FUNDS,
    ),
    Card("4000000000000259", "pm_card_createDispute", "Pays, and disputes it", disputed=True),
    Card("4000000000007726", "pm_card_pendingRefund", "Is refunded later", refund_waits=True),
    Card("4000000000005126", "pm_card_refundFail", "Cannot be refunded", refund_fails=True),
    Card(
        "000123456789",
        "pm_usBankAccount_success",
        "A bank account: takes its days",
        brand="sandbox bank",
        kind="us_bank_account",
        takes_days=True,
    ),
)

BY_NUMBER: Final = {card.number: card for card in CARDS}
BY_TOKEN: Final = {card.token: card for card in CARDS}
