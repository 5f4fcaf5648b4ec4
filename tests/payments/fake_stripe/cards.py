"""Stripe's documented test cards, by number and by the token that stands for one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Decline = tuple[str, str | None]
"""An error code, and the bank's decline code where there is one."""

GENERIC: Decline = ("card_declined", "generic_decline")
POOR: Decline = ("card_declined", "insufficient_funds")


@dataclass(frozen=True)
class Card:
    """`authenticates` says of which payments the bank wants to see the cardholder."""

    token: str
    number: str
    brand: str = "visa"
    on_attach: Decline | None = None
    on_charge: Decline | None = None
    authenticates: Literal["never", "unless_set_up", "always", "on_session"] = "never"
    then_declines: Decline | None = None
    disputes: bool = False
    refunds: Literal["at_once", "later", "fails"] = "at_once"
    kind: Literal["card", "us_bank_account"] = "card"


def _declined(token: str, number: str, decline: Decline) -> Card:
    return Card(token, number, on_attach=decline, on_charge=decline)


CARDS = (
    Card("pm_card_visa", "4242424242424242"),
    Card("pm_card_mastercard", "5555555555554444", brand="mastercard"),
    _declined("pm_card_chargeDeclined", "4000000000000002", GENERIC),
    _declined("pm_card_chargeDeclinedInsufficientFunds", "4000000000009995", POOR),
    _declined("pm_card_chargeDeclinedLostCard", "4000000000009987", ("card_declined", "lost_card")),
    _declined("pm_card_chargeDeclinedExpiredCard", "4000000000000069", ("expired_card", None)),
    _declined("pm_card_chargeDeclinedIncorrectCvc", "4000000000000127", ("incorrect_cvc", None)),
    _declined(
        "pm_card_chargeDeclinedProcessingError", "4000000000000119", ("processing_error", None)
    ),
    _declined(
        "pm_card_visa_chargeDeclinedVelocityLimitExceeded",
        "4000000000006975",
        ("card_declined", "card_velocity_exceeded"),
    ),
    Card("pm_card_chargeCustomerFail", "4000000000000341", on_charge=GENERIC),
    Card(
        "pm_card_authenticationRequiredOnSetup", "4000002500003155", authenticates="unless_set_up"
    ),
    Card("pm_card_authenticationRequired", "4000002760003184", authenticates="always"),
    Card(
        "pm_card_authenticationRequiredSetupForOffSession",
        "4000003800000446",
        authenticates="on_session",
    ),
    Card(
        "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
        "4000008260003178",
        authenticates="always",
        then_declines=POOR,
    ),
    Card("pm_card_threeDSecure2Required", "4000000000003220", authenticates="always"),
    Card("pm_card_createDispute", "4000000000000259", disputes=True),
    Card("pm_card_pendingRefund", "4000000000007726", refunds="later"),
    Card("pm_card_refundFail", "4000000000005126", refunds="fails"),
    Card("pm_usBankAccount_success", "000123456789", kind="us_bank_account", brand="stripe test"),
)

BY_TOKEN = {card.token: card for card in CARDS}
BY_NUMBER = {card.number: card for card in CARDS}
