"""The balance buys, and what comes of it.

Whether it should is a level, not an edge: below the threshold, nothing under way, not resting. So
it does not matter who notices, how often, or who died in between. Two locks keep it to one: the row
of the setting, and the unique index of purchases that are under way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog

from tollkeeper import ledger, orgs, payments
from tollkeeper.base.errors import TollkeeperError, Unavailable
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.base.money import Money
from tollkeeper.credits import store as purchase_store
from tollkeeper.credits.errors import AutoTopUpNeedsMethod
from tollkeeper.credits.model import Order, Origin, Purchase, PurchaseStatus, Shop
from tollkeeper.credits.purchases import begin_purchase, find_purchase
from tollkeeper.credits.topping_up import store
from tollkeeper.credits.topping_up.model import (
    DISPUTED,
    LINK_VALID,
    MOST_FAILURES,
    Fire,
    TopUp,
    TopUpRules,
    after_failure,
    crossed,
    day_of,
    decide,
    month_of,
)
from tollkeeper.credits.topping_up.recovery import RecoveryLinks
from tollkeeper.db import Connection
from tollkeeper.jobs import Task, enqueue
from tollkeeper.notifications import (
    CreditAutoRechargeActionRequired,
    CreditAutoRechargeSuspended,
    CreditAutoRechargeTriggered,
    UsageLimitReached,
    notify,
)
from tollkeeper.orgs import By
from tollkeeper.payments import Owner, PaymentMethodInUse
from tollkeeper.payments.model import (
    DisputeChanged,
    DisputeStatus,
    FailureCode,
    Method,
    Payment,
    PaymentChanged,
    PaymentStatus,
)

CHARGE: Final = Task("charge_auto_top_up")
ACTOR: Final = "auto_top_up"
_OURS: Final = (FailureCode.NEVER_SENT,)
_TAKEN: Final = (DisputeStatus.OPEN, DisputeStatus.LOST)

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUps:
    """What acts of this folder work with."""

    shop: Shop
    rules: TopUpRules
    links: RecoveryLinks
    low_balance: int


async def save(
    tx: Connection, top_ups: TopUps, wanted: TopUp, *, by: By, said: str | None, now: datetime
) -> TopUp:
    """Keep a setting; that takes back any suspension. `said` is what was agreed to.

    Raises AutoTopUpNeedsMethod, PaymentMethodNotFound, InvalidRequest.
    """
    if wanted.enabled:
        await _check_method(tx, top_ups.shop, wanted)
    fresh = replace(wanted, failures=0, suspended_reason=None, not_before=None)
    await store.write(tx, fresh)
    if wanted.enabled and said is not None:
        await store.insert_consent(tx, fresh, uuid7(), now, by.who, said)
    await _note(tx, by, fresh, now)
    return fresh


async def _note(tx: Connection, by: By, setting: TopUp, now: datetime) -> None:
    amount, target = setting.amount_nanos, setting.target_nanos
    told = {
        "livemode": setting.livemode,
        "enabled": setting.enabled,
        "threshold": str(Money(setting.threshold_nanos)),
        "amount": None if amount is None else str(Money(amount)),
        "targetBalance": None if target is None else str(Money(target)),
        "monthlyCap": str(Money(setting.monthly_cap_nanos)),
        "currency": setting.currency,
    }
    await orgs.note(tx, by, "auto_top_up.update", setting.org_id, now, **told)


async def _check_method(tx: Connection, shop: Shop, wanted: TopUp) -> None:
    owner = Owner(org_id=wanted.org_id, livemode=wanted.livemode)
    if wanted.method_id is not None:
        await payments.get_method(tx, owner, wanted.method_id)
    elif await payments.default_method(tx, shop.till, owner) is None:
        raise AutoTopUpNeedsMethod("Auto top-up needs a payment method on file; add one first")


async def top_up(top_ups: TopUps, org_id: UUID, wallet_id: UUID) -> Purchase | None:
    """Buy for a wallet if it should, and return what is being bought. A job has it paid."""
    shop = top_ups.shop
    try:
        async with shop.till.database.transaction() as tx:
            return await _top_up(tx, top_ups, org_id, wallet_id, shop.till.clock.now())
    except Unavailable:
        raise
    except TollkeeperError as error:
        # Such as a processor that was taken out of the settings.
        _log.warning("auto_top_up_not_begun", wallet=show_id("wal", wallet_id), reason=error.code)
        return None


async def _top_up(
    tx: Connection, top_ups: TopUps, org_id: UUID, wallet_id: UUID, now: datetime
) -> Purchase | None:
    setting = await store.lock(tx, org_id, wallet_id)
    if setting is None:
        return None
    wallet = await ledger.find_wallet(tx, org_id, wallet_id)
    sums = await store.sums(tx, org_id, wallet_id, month=month_of(now), day=day_of(now))
    decided = decide(setting, sums, wallet.available, top_ups.rules, now)
    if not isinstance(decided, Fire) or wallet.frozen_reason is not None:
        return None
    method_id = await _method(tx, top_ups.shop, setting)
    if method_id is None:
        await _fail(tx, setting, "no_payment_method", "there is no payment method on file", now)
        return None
    order = Order(
        org_id=org_id,
        purchase_id=uuid7(),
        wallet_id=wallet_id,
        livemode=setting.livemode,
        amount=decided.amount,
        currency=setting.currency,
        actor=ACTOR,
        return_url=top_ups.shop.billing_page,
        origin=Origin.AUTO_TOP_UP,
        method_id=method_id,
        off_session=True,
    )
    purchase = await begin_purchase(tx, top_ups.shop, order, now)
    await enqueue(tx, CHARGE, org_id=str(org_id), purchase_id=str(order.purchase_id), priority=1)
    return purchase


async def _method(tx: Connection, shop: Shop, setting: TopUp) -> UUID | None:
    """The chosen method; the default one, where the chosen one is gone."""
    owner = Owner(org_id=setting.org_id, livemode=setting.livemode)
    on_file = await payments.list_methods(tx, shop.till, owner)
    chosen = [method for method in on_file if method.method_id == setting.method_id]
    default = [method for method in on_file if method.is_default]
    return next((method.method_id for method in [*chosen, *default]), None)


async def charge(top_ups: TopUps, org_id: UUID, purchase_id: UUID) -> None:
    """The body of the job; once, however often it is run. What nobody wants any more by then is
    given up."""
    till = top_ups.shop.till
    async with till.database.connection() as connection:
        purchase = await find_purchase(connection, org_id, purchase_id)
        setting = await store.read(connection, org_id, purchase.wallet_id)
    if (
        setting is not None and setting.wanted
    ) or purchase.status is not PurchaseStatus.REQUIRES_PAYMENT:
        await payments.charge(till, org_id, purchase_id)
    else:
        await payments.cancel(till, org_id, purchase_id)


# ── What comes of it ─────────────────────────────────────────────────────────────────────────────


async def follow_payment(tx: Connection, top_ups: TopUps, change: PaymentChanged) -> None:
    """Hear of an auto top-up that was declined, or that its bank asks about."""
    payment = change.payment
    if payment.status not in (PaymentStatus.FAILED, PaymentStatus.REQUIRES_ACTION):
        return
    purchase = await purchase_store.read(tx, payment.org_id, payment.subject_id)
    if purchase is None or purchase.origin is not Origin.AUTO_TOP_UP:
        return
    setting = await store.lock(tx, purchase.org_id, purchase.wallet_id)
    now = top_ups.shop.till.clock.now()
    if payment.status is PaymentStatus.REQUIRES_ACTION:
        await _ask_for_consent(tx, top_ups, purchase, now)
    elif setting is not None:
        await _declined(tx, setting, payment, now)


async def follow_success(tx: Connection, top_ups: TopUps, purchase: Purchase) -> None:
    if purchase.origin is not Origin.AUTO_TOP_UP:
        return
    setting = await store.lock(tx, purchase.org_id, purchase.wallet_id)
    if setting is None:
        return
    now = top_ups.shop.till.clock.now()
    rested = replace(
        setting,
        failures=0,
        suspended_reason=DISPUTED if setting.suspended_reason == DISPUTED else None,
        not_before=now + top_ups.rules.cooldown,
        last_failure=None,
        last_failure_at=None,
    )
    await store.write(tx, rested)
    event = CreditAutoRechargeTriggered(
        purchase_id=show_id("pur", purchase.purchase_id),
        amount=Money(purchase.credit_nanos),
        threshold=Money(setting.threshold_nanos),
        available=Money(purchase.balance_after or 0),
        currency=purchase.currency,
    )
    await notify(tx, purchase.org_id, event, livemode=purchase.livemode, now=now)
    sums = await store.sums(
        tx, setting.org_id, setting.wallet_id, month=month_of(now), day=day_of(now)
    )
    before = sums.month_nanos - purchase.credit_nanos
    percent = crossed(before, sums.month_nanos, setting.monthly_cap_nanos)
    if percent is not None:
        reached = UsageLimitReached(
            limit_id=show_id("wal", setting.wallet_id),
            limit_name="Auto top-up in a month",
            percent=percent,
            spent=Money(sums.month_nanos),
            limit=Money(setting.monthly_cap_nanos),
            currency=setting.currency,
        )
        await notify(tx, setting.org_id, reached, livemode=setting.livemode, now=now)


async def _declined(tx: Connection, setting: TopUp, payment: Payment, now: datetime) -> None:
    code = payment.failure_code or FailureCode.REFUSED
    if code in _OURS:
        return  # a process of ours died before it asked; the next look begins anew
    if code is FailureCode.CANCELED and not setting.wanted:
        return  # given up, and no fault of the card
    await _fail(tx, setting, code.value, payment.failure_detail or "the payment was declined", now)


async def _fail(tx: Connection, setting: TopUp, code: str, why: str, now: datetime) -> None:
    failures = setting.failures + 1
    suspended = failures >= MOST_FAILURES or code == "no_payment_method"
    failed = replace(
        setting,
        failures=failures,
        suspended_reason=setting.suspended_reason or (code if suspended else None),
        not_before=None if suspended else after_failure(failures, now),
        last_failure=code,
        last_failure_at=now,
    )
    await store.write(tx, failed)
    if suspended:
        event = CreditAutoRechargeSuspended(reason=code, message=why, failures=failures)
        await notify(tx, setting.org_id, event, livemode=setting.livemode, now=now)


async def follow_dispute(tx: Connection, top_ups: TopUps, change: DisputeChanged) -> None:
    """Charge nobody by themselves who has just had a charge taken back."""
    purchase = await purchase_store.read(tx, change.payment.org_id, change.payment.subject_id)
    if purchase is None or change.dispute.status not in _TAKEN:
        return
    setting = await store.lock(tx, purchase.org_id, purchase.wallet_id)
    if setting is None or not setting.enabled or setting.suspended_reason == DISPUTED:
        return
    await store.write(tx, replace(setting, suspended_reason=DISPUTED, not_before=None))
    why = "a payment was disputed at its bank"
    event = CreditAutoRechargeSuspended(reason=DISPUTED, message=why, failures=0)
    now = top_ups.shop.till.clock.now()
    await notify(tx, setting.org_id, event, livemode=setting.livemode, now=now)


async def _ask_for_consent(
    tx: Connection, top_ups: TopUps, purchase: Purchase, now: datetime
) -> None:
    expires_at = purchase.created_at + LINK_VALID
    event = CreditAutoRechargeActionRequired(
        purchase_id=show_id("pur", purchase.purchase_id),
        amount=Money(purchase.credit_nanos),
        currency=purchase.currency,
        action_url=top_ups.links.make(purchase.org_id, purchase.purchase_id, expires_at),
        expires_at=expires_at,
    )
    await notify(tx, purchase.org_id, event, livemode=purchase.livemode, now=now)


async def give_up_waiting(top_ups: TopUps) -> int:
    """Cancel auto top-ups whose customers did not come for a day. Returns how many."""
    till = top_ups.shop.till
    async with till.database.connection() as connection:
        waiting = await store.waiting_long(connection, till.clock.now() - LINK_VALID)
    for org_id, purchase_id in waiting:
        try:
            await payments.cancel(till, org_id, purchase_id)
        except Unavailable:
            raise
        except TollkeeperError as error:
            # Its processor was taken out of the settings: no reason to keep the others waiting.
            _log.warning(
                "auto_top_up_not_given_up",
                purchase=show_id("pur", purchase_id),
                reason=error.code,
            )
    return len(waiting)


# ── Payment methods ──────────────────────────────────────────────────────────────────────────────


async def welcome_method(tx: Connection, method: Method) -> None:
    """A new method is a new beginning for what was suspended, or rests after a decline."""
    for setting in await store.lock_all(tx, method.org_id, livemode=method.livemode):
        if setting.failures or setting.suspended_reason is not None:
            fresh = replace(
                setting,
                failures=0,
                suspended_reason=None,
                not_before=None,
                method_id=method.method_id,
            )
            await store.write(tx, fresh)


async def refuse_removal(tx: Connection, shop: Shop, method: Method) -> None:
    """Raises PaymentMethodInUse for the last method of an enabled auto top-up, or its chosen
    one."""
    owner = Owner(org_id=method.org_id, livemode=method.livemode)
    others = [
        other
        for other in await payments.list_methods(tx, shop.till, owner)
        if other.method_id != method.method_id
    ]
    for setting in await store.lock_all(tx, method.org_id, livemode=method.livemode):
        if setting.enabled and (setting.method_id == method.method_id or not others):
            raise PaymentMethodInUse(
                "Auto top-up pays with this method; choose another one there, or turn it off"
            )
