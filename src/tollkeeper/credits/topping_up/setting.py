"""What an organization has set of auto top-up: shown, foreseen and saved, by a key or on a page."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from tollkeeper.base.errors import InvalidRequest, TollkeeperError
from tollkeeper.base.ids import read_id, show_id
from tollkeeper.base.money import MAX_NANOS, Money, NonNegativeMoneyIn, PositiveMoneyIn
from tollkeeper.credits.shapes import USD, MethodId, wallet_of
from tollkeeper.credits.topping_up import acts, store
from tollkeeper.credits.topping_up.acts import TopUps
from tollkeeper.credits.topping_up.model import (
    LINK_VALID,
    Sums,
    TopUp,
    TopUpRules,
    TopUpState,
    day_of,
    month_of,
    state_of,
)
from tollkeeper.db import Connection
from tollkeeper.ledger import Wallet
from tollkeeper.orgs import By
from tollkeeper.payments import Owner, to_minor

CONSENT = (
    "I agree that my payment method is charged {amount} whenever my balance falls below"
    " {threshold}, at most {cap} of credit in a month, until I turn this off."
)


class Failure(Struct, frozen=True, kw_only=True, rename="camel"):
    code: str
    at: datetime


class AutoTopUp(Struct, frozen=True, kw_only=True, rename="camel"):
    """`retryAt` is when a resting one goes on by itself; `consent` is what turning it on agrees
    to."""

    enabled: bool
    state: TopUpState
    threshold: Money
    amount: Money | None
    target_balance: Money | None
    monthly_cap: Money
    bought_this_month: Money
    currency: str
    payment_method_id: str | None
    suspended_reason: str | None
    retry_at: datetime | None
    last_failure: Failure | None
    consent: str


class NewAutoTopUp(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Either `amount` (always so much) or `targetBalance` (up to there). Without a
    `paymentMethodId` the default method pays; without a `monthlyCap` a multiple of the amount is
    the most."""

    enabled: bool
    threshold: Annotated[
        NonNegativeMoneyIn | None, Meta(description="Strictly below it, the balance buys.")
    ] = None
    amount: PositiveMoneyIn | None = None
    target_balance: PositiveMoneyIn | None = None
    monthly_cap: PositiveMoneyIn | None = None
    payment_method_id: MethodId | None = None

    def __post_init__(self) -> None:
        if self.amount is not None and self.target_balance is not None:
            raise ValueError("must not have both amount and targetBalance")


async def set_top_up(top_ups: TopUps, owner: Owner, data: NewAutoTopUp, by: By) -> AutoTopUp:
    """Save what is said and leave the rest as it was; a balance below its threshold buys at once.

    Raises InvalidRequest, AutoTopUpNeedsMethod, PaymentMethodNotFound, PaymentsNotConfigured.
    """
    till = top_ups.shop.till
    async with till.database.transaction() as tx:
        wallet = await wallet_of(tx, owner, USD)
        known = await store.lock(tx, wallet.org_id, wallet.wallet_id)
        wanted = _wanted(data, known or _nothing(wallet, top_ups.rules), top_ups.rules)
        said = _consent(wanted) if _agrees(known, wanted) else None
        await acts.save(tx, top_ups, wanted, by=by, said=said, now=till.clock.now())
    await acts.top_up(top_ups, wallet.org_id, wallet.wallet_id)
    async with till.database.connection() as connection:
        return await show_top_up(connection, top_ups, owner)


async def foresee_top_up(
    connection: Connection, top_ups: TopUps, owner: Owner, data: NewAutoTopUp
) -> TopUp:
    """Return what saving this would keep. Raises InvalidRequest, with all that is wrong."""
    wallet = await wallet_of(connection, owner, USD)
    known = await store.read(connection, wallet.org_id, wallet.wallet_id)
    return _wanted(data, known or _nothing(wallet, top_ups.rules), top_ups.rules)


async def recovery_link(connection: Connection, top_ups: TopUps, owner: Owner) -> str | None:
    """Where a cardholder agrees to the top-up that the bank asks about; None when none waits."""
    wallet = await wallet_of(connection, owner, USD)
    waiting = await store.asked_about(connection, wallet.org_id, wallet.wallet_id)
    if waiting is None:
        return None
    purchase_id, created_at = waiting
    return top_ups.links.make(wallet.org_id, purchase_id, created_at + LINK_VALID)


async def show_top_up(connection: Connection, top_ups: TopUps, owner: Owner) -> AutoTopUp:
    wallet = await wallet_of(connection, owner, USD)
    found = await store.read(connection, wallet.org_id, wallet.wallet_id)
    top_up = found or _nothing(wallet, top_ups.rules)
    now = top_ups.shop.till.clock.now()
    sums = await _sums(connection, wallet.org_id, wallet.wallet_id, now)
    resting = state_of(top_up, sums, wallet.available, top_ups.rules, now)
    failed, failed_at, method_id = top_up.last_failure, top_up.last_failure_at, top_up.method_id
    amount, target = top_up.amount_nanos, top_up.target_nanos
    return AutoTopUp(
        enabled=top_up.enabled,
        state=resting.state,
        threshold=Money(top_up.threshold_nanos),
        amount=None if amount is None else Money(amount),
        target_balance=None if target is None else Money(target),
        monthly_cap=Money(top_up.monthly_cap_nanos),
        bought_this_month=Money(sums.month_nanos),
        currency=top_up.currency,
        payment_method_id=None if method_id is None else show_id("met", method_id),
        suspended_reason=top_up.suspended_reason,
        retry_at=resting.until,
        last_failure=None if not failed or not failed_at else Failure(code=failed, at=failed_at),
        consent=_consent(top_up),
    )


def _wanted(data: NewAutoTopUp, known: TopUp, rules: TopUpRules) -> TopUp:
    """Raises InvalidRequest, with all that is wrong. Nothing keeps anybody from turning it off:
    amounts that do not fit, or do not fit any more, then stay as they were."""
    wanted = _typed(data, known, rules)
    try:
        _check(wanted, rules)
    except TollkeeperError:
        if wanted.enabled:
            raise
        return replace(
            wanted,
            threshold_nanos=known.threshold_nanos,
            amount_nanos=known.amount_nanos,
            target_nanos=known.target_nanos,
            monthly_cap_nanos=known.monthly_cap_nanos,
        )
    return wanted


def _typed(data: NewAutoTopUp, known: TopUp, rules: TopUpRules) -> TopUp:
    amount, target = known.amount_nanos, known.target_nanos
    if data.amount is not None:
        amount, target = data.amount, None
    elif data.target_balance is not None:
        amount, target = None, data.target_balance
    threshold = known.threshold_nanos if data.threshold is None else data.threshold
    measure = amount or target or 0
    cap = data.monthly_cap or max(known.monthly_cap_nanos, 0)
    if data.monthly_cap is None and (amount, target) != (known.amount_nanos, known.target_nanos):
        cap = min(measure * rules.cap_multiple, MAX_NANOS)
    method_id = known.method_id
    if data.payment_method_id is not None:
        method_id = read_id("met", data.payment_method_id)
    return TopUp(
        org_id=known.org_id,
        wallet_id=known.wallet_id,
        livemode=known.livemode,
        currency=known.currency,
        enabled=data.enabled,
        threshold_nanos=threshold,
        amount_nanos=amount,
        target_nanos=target,
        monthly_cap_nanos=cap,
        method_id=method_id,
        failures=0,
        suspended_reason=None,
        not_before=None,
        last_failure=known.last_failure,
        last_failure_at=known.last_failure_at,
    )


def _check(wanted: TopUp, rules: TopUpRules) -> None:
    """Raises InvalidRequest, AmountNotPayable."""
    faults = _faults(wanted, rules)
    if faults:
        name, said = next(iter(faults.items()))
        raise InvalidRequest(f"{name}: {said[0]}", faults)


def _faults(wanted: TopUp, rules: TopUpRules) -> dict[str, list[str]]:
    threshold, cap = wanted.threshold_nanos, wanted.monthly_cap_nanos
    amount, target = wanted.amount_nanos, wanted.target_nanos
    faults: dict[str, list[str]] = {}
    low, high = Money(rules.amount_min), Money(rules.amount_max)
    if amount is not None:
        if not rules.amount_min <= amount <= rules.amount_max:
            faults["amount"] = [f"must be from {low} to {high}"]
        else:
            to_minor(amount, USD)
        if threshold > amount:
            faults["threshold"] = [f"must be at most the amount, {Money(amount)}"]
    if target is not None and target < threshold + rules.amount_min:
        least = Money(threshold + rules.amount_min)
        faults["targetBalance"] = [f"must be at least {least}: {low} above the threshold"]
    most = rules.threshold_max
    if threshold < rules.threshold_min or (most is not None and threshold > most):
        up_to = "the amount" if most is None else str(Money(most))
        faults["threshold"] = [f"must be from {Money(rules.threshold_min)} to {up_to}"]
    if cap < (amount or rules.amount_min):
        faults["monthlyCap"] = ["must be at least what one top-up buys"]
    return faults


def _agrees(known: TopUp | None, wanted: TopUp) -> bool:
    """Whether this turns it on, or changes what was agreed to."""
    if not wanted.enabled:
        return False
    return known is None or not known.enabled or _consent(known) != _consent(wanted)


def _consent(top_up: TopUp) -> str:
    amount = top_up.amount_nanos
    said = f"{Money(amount or 0)} {top_up.currency}"
    if amount is None:
        said = f"what is missing to {Money(top_up.target_nanos or 0)} {top_up.currency}"
    return CONSENT.format(
        amount=said,
        threshold=f"{Money(top_up.threshold_nanos)} {top_up.currency}",
        cap=f"{Money(top_up.monthly_cap_nanos)} {top_up.currency}",
    )


def _nothing(wallet: Wallet, rules: TopUpRules) -> TopUp:
    """What is shown before anybody has set anything."""
    return TopUp(
        org_id=wallet.org_id,
        wallet_id=wallet.wallet_id,
        livemode=wallet.livemode,
        currency=wallet.currency,
        enabled=False,
        threshold_nanos=rules.threshold_min,
        amount_nanos=rules.amount_min,
        target_nanos=None,
        monthly_cap_nanos=rules.amount_min * rules.cap_multiple,
        method_id=None,
        failures=0,
        suspended_reason=None,
        not_before=None,
        last_failure=None,
        last_failure_at=None,
    )


async def _sums(connection: Connection, org_id: UUID, wallet_id: UUID, now: datetime) -> Sums:
    return await store.sums(connection, org_id, wallet_id, month=month_of(now), day=day_of(now))
