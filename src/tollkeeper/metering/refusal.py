"""Outcomes that refuse, as the errors that customers see."""

from __future__ import annotations

from tollkeeper.base.errors import IdempotencyKeyReused, NotFound, TollkeeperError
from tollkeeper.base.money import Money
from tollkeeper.ledger import (
    BalanceTooLarge,
    ChargeOutcome,
    ChargeResult,
    HoldOutcome,
    HoldResult,
    InsufficientCredits,
    WalletFrozen,
)

# The limit that stopped a call. Budgets of keys and projects will have names of their own.
LIMIT_SOURCE = "balance"


class AlreadyCharged(TollkeeperError):
    """This request was charged before"""

    # Not 409: OpenAI's SDK retries 409.
    code = "already_charged"
    status = 422


def refuse_hold(
    result: HoldResult,
    *,
    required: int,
    currency: str,
    top_up_url: str | None,
    affordable_max_tokens: int | None = None,
) -> TollkeeperError | None:
    """Return the error that a hold's outcome is, or None if the money is reserved.

    `exists` reserves nothing new; a caller that must know the difference looks at it first.
    """
    match result.outcome:
        case HoldOutcome.PLACED | HoldOutcome.EXISTS:
            return None
        case HoldOutcome.INSUFFICIENT | HoldOutcome.LIMITED:  # `Rules.refuse` names limits.
            return insufficient(
                required, result.spendable, currency, top_up_url, affordable_max_tokens
            )
        case HoldOutcome.ALREADY_CHARGED:
            return AlreadyCharged("A call with this request id has been charged")
        case HoldOutcome.EXISTS_WITH_OTHER_AMOUNT:
            return _reused()
        case HoldOutcome.FROZEN:
            return _frozen(top_up_url)
        case HoldOutcome.WALLET_UNKNOWN:
            return _unknown(currency)


def refuse_charge(
    result: ChargeResult, *, required: int, currency: str, top_up_url: str | None
) -> TollkeeperError | None:
    """Return the error that a charge's outcome is, or None if it is posted, now or before."""
    match result.outcome:
        case ChargeOutcome.POSTED | ChargeOutcome.POSTED_LATE | ChargeOutcome.EXISTS:
            return None
        case ChargeOutcome.INSUFFICIENT | ChargeOutcome.LIMITED:
            return insufficient(required, result.spendable, currency, top_up_url)
        case ChargeOutcome.EXISTS_WITH_OTHER_FINGERPRINT:
            return _reused()
        case ChargeOutcome.FROZEN:
            return _frozen(top_up_url)
        case ChargeOutcome.WALLET_UNKNOWN:
            return _unknown(currency)


def refuse_settlement(result: ChargeResult, *, currency: str) -> TollkeeperError | None:
    """Return the error of what had to post and could not: a debt beyond what can be kept."""
    if result.outcome is ChargeOutcome.INSUFFICIENT:
        return BalanceTooLarge("The debt would be larger than a balance can hold")
    return refuse_charge(result, required=0, currency=currency, top_up_url=None)


def insufficient(
    required: int,
    available: int,
    currency: str,
    top_up_url: str | None,
    affordable_max_tokens: int | None = None,
) -> InsufficientCredits:
    """Amounts are nanos: what the call may cost, and what a call could cost at most."""
    available = max(available, 0)
    members: dict[str, object] = {
        "required": Money(required),
        "available": Money(available),
        "currency": currency,
        "limitSource": LIMIT_SOURCE,
    }
    if affordable_max_tokens is not None:
        members["affordableMaxTokens"] = affordable_max_tokens
    if top_up_url is not None:
        members["topUpUrl"] = top_up_url
    return InsufficientCredits(
        f"This needs {Money(required)} {currency} and {Money(available)} is available", **members
    )


def _reused() -> TollkeeperError:
    return IdempotencyKeyReused("This request id was used for a request with other content")


def _frozen(top_up_url: str | None) -> TollkeeperError:
    members = {} if top_up_url is None else {"topUpUrl": top_up_url}
    return WalletFrozen("Spending is frozen; please contact support", **members)


def _unknown(currency: str) -> TollkeeperError:
    return NotFound(f"This organization has no {currency} balance")
