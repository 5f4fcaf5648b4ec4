"""Money that goes back, and the credit that goes with it: refunds and disputes.

What was paid stands for credit in proportion. What is taken back is worked out from all that has
gone back so far: the parts of a whole refund add up to the whole credit, and a payment that is both
refunded and disputed takes its credit once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from tollkeeper import ledger, payments
from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.base.money import Money
from tollkeeper.credits import store
from tollkeeper.credits.model import Purchase, PurchaseStatus, Shop
from tollkeeper.credits.purchases import find_purchase
from tollkeeper.db import Connection
from tollkeeper.ledger import EntryKind, InsufficientCredits, Posting, Wallet
from tollkeeper.notifications import CreditRefunded, DisputeOpened, notify
from tollkeeper.payments import NewRefund, RefundRefused, show_minor
from tollkeeper.payments.model import (
    Dispute,
    DisputeChanged,
    DisputeStatus,
    Refund,
    RefundChanged,
    RefundStatus,
)

_TAKEN: Final = (DisputeStatus.OPEN, DisputeStatus.LOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundOrder:
    """`force` refunds also what is spent, into debt."""

    org_id: UUID
    purchase_id: UUID
    refund_id: UUID
    reason: str
    actor: str
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refundable:
    """What is left of a purchase: of its money, in cents, and of its credit, spent or not."""

    money_minor: int
    credit: int
    unspent: int


async def begin_refund(
    tx: Connection, shop: Shop, order: RefundOrder, amount_minor: int | None = None
) -> tuple[Refund, bool]:
    """Take the credit off and write down the refund; `payments.refund` sends it, after the commit.

    Without an amount it is all that is left. The same `refund_id` again gives the refund there is;
    also returned is whether it is new. Raises NotFound, RefundRefused, and
    InsufficientCredits where what it stands for is spent and nobody forces it.
    """
    purchase = await find_purchase(tx, order.org_id, order.purchase_id)
    if not purchase.status.credited:
        raise RefundRefused("This purchase has not been paid, so there is nothing to refund")
    try:
        return await payments.get_refund(tx, order.org_id, order.refund_id), False
    except NotFound:
        pass
    if amount_minor is None:
        amount_minor = max(purchase.total_minor - await _money_back(tx, purchase), 0)
    new = NewRefund(
        org_id=order.org_id,
        refund_id=order.refund_id,
        payment_id=order.purchase_id,
        amount_minor=amount_minor,
        reason=order.reason,
    )
    refund = await payments.intend_refund(tx, new, shop.till.clock.now())
    purchase = await _lock(tx, order.org_id, order.purchase_id)
    back = await _money_back(tx, purchase)
    if not order.force:
        await _check_unspent(tx, purchase, _missing(purchase, back))
    await _level(tx, shop, purchase, back, _cause_of(refund, actor=order.actor))
    return refund, True


async def follow_refund(tx: Connection, shop: Shop, change: RefundChanged) -> None:
    """Hold the ledger to what became of a refund, ours or one made in the processor's dashboard."""
    refund = change.refund
    purchase = await store.lock(tx, refund.org_id, change.payment.subject_id)
    if purchase is None or not purchase.status.credited:
        return
    await _level(tx, shop, purchase, await _money_back(tx, purchase), _cause_of(refund))
    await _restate(tx, purchase)
    if refund.status is RefundStatus.SUCCEEDED and change.was is not RefundStatus.SUCCEEDED:
        event = CreditRefunded(
            purchase_id=show_id("pur", purchase.purchase_id),
            refund_id=show_id("ref", refund.refund_id),
            amount=Money(payments.to_nanos(refund.amount_minor, refund.currency)),
            currency=refund.currency,
        )
        now = shop.till.clock.now()
        await notify(tx, refund.org_id, event, livemode=refund.livemode, now=now)


async def follow_dispute(tx: Connection, shop: Shop, change: DisputeChanged) -> None:
    """While the bank has the money, the credit is gone; won, it comes back. Each once."""
    dispute = change.dispute
    purchase = await store.lock(tx, dispute.org_id, change.payment.subject_id)
    if purchase is None or not purchase.status.credited:
        return
    await _level(tx, shop, purchase, await _money_back(tx, purchase), _cause_of(dispute))
    await _restate(tx, purchase)
    if dispute.status in _TAKEN and change.was not in _TAKEN:
        await _tell_dispute(tx, shop, purchase, dispute)
    await _freeze_or_not(tx, shop, purchase, dispute)


async def _freeze_or_not(tx: Connection, shop: Shop, purchase: Purchase, dispute: Dispute) -> None:
    if dispute.status is DisputeStatus.INQUIRY:
        return
    # Whoever else begins or ends a dispute of this balance waits, and sees how this one ends.
    wallet = await ledger.lock_wallet(tx, purchase.org_id, purchase.wallet_id)
    if dispute.status is DisputeStatus.OPEN:
        # What an operator or another dispute has frozen stays so for their reason.
        if shop.on_dispute == "freeze" and wallet.frozen_reason is None:
            await ledger.freeze(tx, wallet.org_id, wallet.wallet_id, _freezing(dispute))
    elif wallet.frozen_reason == _freezing(dispute):
        await ledger.unfreeze(tx, wallet.org_id, wallet.wallet_id)
        for other in await _open_disputes(tx, purchase):
            await ledger.freeze(tx, wallet.org_id, wallet.wallet_id, _freezing(other))


def _freezing(dispute: Dispute) -> str:
    return f"dispute {show_id('dis', dispute.dispute_id)}"


async def _open_disputes(tx: Connection, purchase: Purchase) -> list[Dispute]:
    return [
        dispute
        for purchase_id in await store.disputed(tx, purchase.org_id, purchase.wallet_id)
        for dispute in await payments.disputes_of(tx, purchase.org_id, purchase_id)
        if dispute.status is DisputeStatus.OPEN
    ]


# ── The ledger's side ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cause:
    """What moves credit: away under one source, back under another, each at most once."""

    kind: EntryKind
    takes: str
    gives: str
    reason: str
    actor: str = "processor"


def _cause_of(back: Refund | Dispute, actor: str = "processor") -> _Cause:
    match back:
        case Refund(refund_id=id_, reason=reason):
            takes, gives = f"refund:{id_}", f"refund_failed:{id_}"
            return _Cause(
                kind=EntryKind.REFUND, takes=takes, gives=gives, reason=reason, actor=actor
            )
        case Dispute(dispute_id=id_, reason=reason):
            takes, gives = f"dispute:{id_}", f"dispute_won:{id_}"
            return _Cause(kind=EntryKind.DISPUTE, takes=takes, gives=gives, reason=reason)


async def _level(tx: Connection, shop: Shop, purchase: Purchase, back: int, cause: _Cause) -> None:
    """Have as much credit taken back as money went back. The purchase is locked."""
    missing = _missing(purchase, back)
    if missing == 0:
        return
    posting = Posting(
        org_id=purchase.org_id,
        wallet_id=purchase.wallet_id,
        entry_id=uuid7(),
        kind=cause.kind,
        amount=-missing,
        lot_id=purchase.purchase_id,
        source=cause.takes if missing > 0 else cause.gives,
        actor=cause.actor,
        reason=cause.reason,
    )
    await ledger.post(tx, posting, shop.till.clock.now())
    returned = purchase.returned_nanos + missing
    await store.set_returned(tx, purchase.org_id, purchase.purchase_id, returned)


def _missing(purchase: Purchase, back: int) -> int:
    """The credit that has yet to be taken back; below zero, what is to be given again."""
    return purchase.credit_of(min(back, purchase.total_minor)) - purchase.returned_nanos


async def read_refundable(connection: Connection, purchase: Purchase) -> Refundable:
    """Say what a refund would find, without a lock."""
    wallet = await ledger.find_wallet(connection, purchase.org_id, purchase.wallet_id)
    back = await _money_back(connection, purchase)
    return Refundable(
        money_minor=max(purchase.total_minor - back, 0) if purchase.status.credited else 0,
        credit=max(purchase.credit_nanos - purchase.returned_nanos, 0),
        unspent=await _unspent(connection, purchase, wallet),
    )


async def _unspent(connection: Connection, purchase: Purchase, wallet: Wallet) -> int:
    drawn = await ledger.drawn_lots(connection, wallet.org_id, wallet.wallet_id, wallet.posted)
    return max(min(drawn.remaining.get(purchase.purchase_id, 0), wallet.available), 0)


async def _check_unspent(tx: Connection, purchase: Purchase, credit: int) -> None:
    wallet = await ledger.lock_wallet(tx, purchase.org_id, purchase.wallet_id)
    left = await _unspent(tx, purchase, wallet)
    if credit > left:
        raise InsufficientCredits(
            f"Only {Money(left)} {wallet.currency} of this purchase is unspent; force it to refund"
            " what is spent too, into debt",
            required=Money(credit),
            available=Money(left),
            currency=wallet.currency,
        )


# ── How a purchase stands ────────────────────────────────────────────────────────────────────────


async def _money_back(tx: Connection, purchase: Purchase) -> int:
    """All that has gone back or is about to, in cents. A payment that was refunded can be disputed
    as well, so it may be more than was paid."""
    refunds, disputes = await _returns(tx, purchase)
    return sum(_minor(one) for one in (*refunds, *disputes))


def _minor(back: Refund | Dispute) -> int:
    match back:
        case Refund(status=status, amount_minor=amount):
            return 0 if status is RefundStatus.FAILED else amount
        case Dispute(status=status, amount_minor=amount):
            return amount if status in _TAKEN else 0


async def _returns(tx: Connection, purchase: Purchase) -> tuple[list[Refund], list[Dispute]]:
    return (
        await payments.refunds_of(tx, purchase.org_id, purchase.purchase_id),
        await payments.disputes_of(tx, purchase.org_id, purchase.purchase_id),
    )


async def _restate(tx: Connection, purchase: Purchase) -> None:
    refunds, disputes = await _returns(tx, purchase)
    refunded = sum(r.amount_minor for r in refunds if r.status is RefundStatus.SUCCEEDED)
    status = PurchaseStatus.SUCCEEDED
    if any(dispute.status in _TAKEN for dispute in disputes):
        status = PurchaseStatus.DISPUTED
    elif refunded >= purchase.total_minor:
        status = PurchaseStatus.REFUNDED
    if status is not purchase.status:
        await store.set_status(tx, purchase.org_id, purchase.purchase_id, status)


async def _lock(tx: Connection, org_id: UUID, purchase_id: UUID) -> Purchase:
    return await store.lock(tx, org_id, purchase_id) or await find_purchase(tx, org_id, purchase_id)


async def _tell_dispute(tx: Connection, shop: Shop, purchase: Purchase, dispute: Dispute) -> None:
    event = DisputeOpened(
        dispute_id=show_id("dis", dispute.dispute_id),
        purchase_id=show_id("pur", purchase.purchase_id),
        amount=Money(payments.to_nanos(dispute.amount_minor, dispute.currency)),
        currency=dispute.currency,
        reason=dispute.reason or show_minor(dispute.amount_minor, dispute.currency),
    )
    now = shop.till.clock.now()
    await notify(tx, dispute.org_id, event, livemode=dispute.livemode, now=now)
