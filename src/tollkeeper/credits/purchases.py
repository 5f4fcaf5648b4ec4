"""From an order to credit: written down, paid, credited in the transaction that hears of the money.

A purchase and its payment have one id, so however often an order is repeated there is one of each.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from tollkeeper import ledger, orgs, payments
from tollkeeper.base.errors import InvalidRequest, NotFound
from tollkeeper.base.ids import named_uuid, show_id
from tollkeeper.base.money import Money
from tollkeeper.credits import store
from tollkeeper.credits.buyers import buyer_of
from tollkeeper.credits.errors import PurchaseInProgress
from tollkeeper.credits.model import (
    Order,
    Origin,
    Purchase,
    PurchaseStatus,
    PurchaseSucceeded,
    Shop,
)
from tollkeeper.db import Connection
from tollkeeper.ledger import Entry, EntryKind, LotKind, NewLot, Posting
from tollkeeper.notifications import CreditPurchased, CreditPurchaseFailed, notify
from tollkeeper.orgs import By
from tollkeeper.payments import Owner, show_minor
from tollkeeper.payments.model import (
    FailureCode,
    NewPayment,
    Payment,
    PaymentChanged,
    PaymentStatus,
)

_SOURCE: Final = "purchase:"
_KINDS: Final = {
    Origin.PURCHASE: EntryKind.PURCHASE,
    Origin.AUTO_TOP_UP: EntryKind.AUTO_TOP_UP,
}
_STATUSES: Final = {
    PaymentStatus.REQUIRES_PAYMENT: PurchaseStatus.REQUIRES_PAYMENT,
    PaymentStatus.REQUIRES_ACTION: PurchaseStatus.REQUIRES_ACTION,
    PaymentStatus.PROCESSING: PurchaseStatus.PROCESSING,
    PaymentStatus.SUCCEEDED: PurchaseStatus.SUCCEEDED,
    PaymentStatus.FAILED: PurchaseStatus.FAILED,
}
# Nobody needs to be told of what they have done, or left undone, themselves.
_OWN_WISH: Final = (FailureCode.CANCELED, FailureCode.PAGE_EXPIRED)
# What pays in the sandbox where nothing is on file.
_TEST_CARD: Final = "pm_card_visa"
_SANDBOX: Final = "sandbox"


async def begin_purchase(
    tx: Connection, shop: Shop, order: Order, now: datetime, by: By | None = None
) -> Purchase:
    """Write down a purchase and the payment it needs; nobody is asked for money yet.

    The same `purchase_id` again gives the purchase there is. Raises AmountOutOfRange (of an auto
    top-up its own rules say), AmountNotPayable, PaymentsNotConfigured, PurchaseInProgress, and
    InvalidRequest for another order under its id.
    """
    if order.origin is Origin.PURCHASE:
        shop.rules.check(order.amount)
    buyer, taxes = await buyer_of(tx, order.org_id, shop.taxes)
    price = shop.rules.price_of(order.amount, order.currency, taxes)
    payment = NewPayment(
        org_id=order.org_id,
        payment_id=order.purchase_id,
        livemode=order.livemode,
        subject_id=order.purchase_id,
        amount_minor=price.total_minor,
        currency=price.currency,
        description=f"Credit for {show_minor(price.price_minor, price.currency)}",
        return_url=order.return_url,
        cancel_url=order.cancel_url,
        method_id=order.method_id,
        off_session=order.off_session,
        page=order.page,
        save_method=order.save_method,
    )
    if await store.insert(tx, order, buyer, price, now):
        await payments.intend_payment(tx, shop.till, payment, now)
        await _note(tx, by, order, now)
    known = await store.read(tx, order.org_id, order.purchase_id)
    if known is None:
        raise PurchaseInProgress("The purchase before this one is still being charged; wait for it")
    if (known.wallet_id, known.credit_nanos) != (order.wallet_id, order.amount):
        raise InvalidRequest("There is another purchase with this id")
    return known


async def _note(tx: Connection, by: By | None, order: Order, now: datetime) -> None:
    told = {
        "livemode": order.livemode,
        "purchaseId": show_id("pur", order.purchase_id),
        "amount": str(Money(order.amount)),
        "currency": order.currency,
    }
    await orgs.note(tx, by, "purchase.create", order.org_id, now, **told)


async def buy(shop: Shop, order: Order, by: By | None = None) -> tuple[Purchase, Payment]:
    """Begin a purchase and have it paid, as far as that goes now. Safe to repeat.

    Raises as `begin_purchase`, PaymentMethodNotFound, InvalidRequest where there is nothing to pay
    with, and ProcessorUnavailable or ProcessorRefused for a page.
    """
    till = shop.till
    async with till.database.connection() as connection:
        known = await store.read(connection, order.org_id, order.purchase_id)
    if known is None:
        shop.rules.check(order.amount)
        order = await _choose_method(shop, order)
        async with till.database.transaction() as tx:
            await begin_purchase(tx, shop, order, till.clock.now(), by)
    payment = await payments.charge(till, order.org_id, order.purchase_id)
    if payment.page is not None:
        payment = await payments.open_page(till, order.org_id, order.purchase_id)
    async with till.database.connection() as connection:
        return await find_purchase(connection, order.org_id, order.purchase_id), payment


async def _choose_method(shop: Shop, order: Order) -> Order:
    """Have an order paid by the default method, where it says nothing.

    In the sandbox a card that pays is put on file for whoever has none.
    """
    till, owner = shop.till, Owner(org_id=order.org_id, livemode=order.livemode)
    processor = till.processors.serving(livemode=order.livemode)
    if order.page is not None:
        return order
    async with till.database.connection() as connection:
        if order.method_id is not None:
            method = await payments.get_method(connection, owner, order.method_id)
        else:
            method = await payments.default_method(connection, till, owner)
    if method is None and processor.name == _SANDBOX:
        card_id = named_uuid(order.purchase_id, "test card")
        _, method = await payments.add_by_token(till, owner, card_id, _TEST_CARD, order.return_url)
    if method is None:
        said = "is required, or checkout: there is no payment method on file"
        raise InvalidRequest(f"paymentMethodId: {said}", {"paymentMethodId": [said]})
    return replace(order, method_id=method.method_id)


async def resume(
    shop: Shop,
    purchase: Purchase,
    method_id: UUID | None,
    return_url: str,
    by: By | None = None,
) -> tuple[Purchase, Payment]:
    """Go on with a purchase whose bank wants to see the customer, or that was declined.

    It is the same payment, so it is charged once. Raises PaymentMethodNotFound, PurchaseInProgress
    for an auto top-up that was declined: it has its own next turn.
    """
    till = shop.till
    if purchase.origin is Origin.AUTO_TOP_UP and purchase.status is PurchaseStatus.FAILED:
        raise PurchaseInProgress("A declined auto top-up is tried again by itself; buy instead")
    if method_id is not None:
        owner = Owner(org_id=purchase.org_id, livemode=purchase.livemode)
        async with till.database.connection() as connection:
            await payments.get_method(connection, owner, method_id)
    payment = await payments.resume(
        till, purchase.org_id, purchase.purchase_id, return_url, method_id, by=by
    )
    async with till.database.connection() as connection:
        return await find_purchase(connection, purchase.org_id, purchase.purchase_id), payment


async def cancel(shop: Shop, purchase: Purchase, by: By | None = None) -> tuple[Purchase, Payment]:
    """See to it that a purchase can no longer be paid; one that is paid already stays so."""
    payment = await payments.cancel(shop.till, purchase.org_id, purchase.purchase_id, by)
    async with shop.till.database.connection() as connection:
        return await find_purchase(connection, purchase.org_id, purchase.purchase_id), payment


async def find_purchase(connection: Connection, org_id: UUID, purchase_id: UUID) -> Purchase:
    """Raises NotFound."""
    found = await store.read(connection, org_id, purchase_id)
    if found is None:
        raise NotFound(f"There is no purchase {show_id('pur', purchase_id)}")
    return found


def purchase_of(entry: Entry) -> UUID | None:
    """Return the id of the purchase that an entry is, if it is one."""
    source = entry.source or ""
    return UUID(source.removeprefix(_SOURCE)) if source.startswith(_SOURCE) else None


async def follow_payment(tx: Connection, shop: Shop, change: PaymentChanged) -> None:
    """Bring a purchase to where its payment is. The payment is locked; then the purchase is, then
    the wallet."""
    payment = change.payment
    purchase = await store.lock(tx, payment.org_id, payment.subject_id)
    if purchase is None or purchase.status.credited:
        return
    if payment.status is PaymentStatus.SUCCEEDED:
        await _credit(tx, shop, purchase, payment)
        return
    if purchase.origin is Origin.AUTO_TOP_UP and purchase.status is PurchaseStatus.FAILED:
        return  # the next one may be under way
    await store.set_status(tx, purchase.org_id, purchase.purchase_id, _STATUSES[payment.status])
    if payment.status is PaymentStatus.FAILED and payment.failure_code not in _OWN_WISH:
        await notify(
            tx,
            purchase.org_id,
            _failed(purchase, payment),
            livemode=purchase.livemode,
            now=shop.till.clock.now(),
        )


async def _credit(tx: Connection, shop: Shop, purchase: Purchase, payment: Payment) -> None:
    now = shop.till.clock.now()
    posting = Posting(
        org_id=purchase.org_id,
        wallet_id=purchase.wallet_id,
        entry_id=purchase.purchase_id,
        kind=_KINDS[purchase.origin],
        amount=purchase.credit_nanos,
        lot=NewLot(kind=LotKind.PURCHASED),
        source=f"{_SOURCE}{purchase.purchase_id}",
        actor=purchase.actor,
    )
    entry = await ledger.post(tx, posting, now)
    await store.set_credited(tx, purchase.org_id, purchase.purchase_id, entry.balance_after, now)
    credited = await find_purchase(tx, purchase.org_id, purchase.purchase_id)
    event = CreditPurchased(
        purchase_id=show_id("pur", purchase.purchase_id),
        amount=Money(purchase.credit_nanos),
        total=Money(payments.to_nanos(purchase.total_minor, purchase.currency)),
        currency=purchase.currency,
        balance=Money(entry.balance_after),
    )
    await notify(tx, purchase.org_id, event, livemode=purchase.livemode, now=now)
    for hear in shop.succeeded:
        await hear(tx, PurchaseSucceeded(credited, payment, entry))


def _failed(purchase: Purchase, payment: Payment) -> CreditPurchaseFailed:
    failure = payment.failure
    reason = "unknown" if failure is None else failure.code.value
    why = f"{reason.replace('_', ' ')}." if failure is not None else "the payment was not made."
    return CreditPurchaseFailed(
        purchase_id=show_id("pur", purchase.purchase_id),
        amount=Money(purchase.credit_nanos),
        currency=purchase.currency,
        reason=reason,
        message=(failure.detail if failure is not None else "") or why,
    )
