"""The room, opened: rules from the settings, and an ear at the till."""

from __future__ import annotations

from typing import Final

from tollkeeper.base.money import NANOS_PER_UNIT
from tollkeeper.base.settings import Credits, Settings
from tollkeeper.credits.model import PurchaseRules, Shop
from tollkeeper.credits.purchases import follow_payment
from tollkeeper.credits.returning import follow_dispute, follow_refund
from tollkeeper.db import Connection
from tollkeeper.payments import Till
from tollkeeper.payments.model import DisputeChanged, PaymentChanged, RefundChanged

# The settings say whole cents.
_CENT: Final = NANOS_PER_UNIT // 100


def open_shop(settings: Settings, till: Till, billing_page: str) -> Shop:
    """Have payments, refunds and disputes move credit, each in the transaction that records it.

    `billing_page` is where customers are led back to who name no other place.
    """
    shop = Shop(
        till=till,
        rules=rules_of(settings.credits),
        taxes=settings.taxes,
        billing_page=billing_page,
        on_dispute=settings.payments.on_dispute,
    )

    async def payment_changed(tx: Connection, change: PaymentChanged) -> None:
        await follow_payment(tx, shop, change)

    async def refund_changed(tx: Connection, change: RefundChanged) -> None:
        await follow_refund(tx, shop, change)

    async def dispute_changed(tx: Connection, change: DisputeChanged) -> None:
        await follow_dispute(tx, shop, change)

    till.handlers.on(PaymentChanged, payment_changed)
    till.handlers.on(RefundChanged, refund_changed)
    till.handlers.on(DisputeChanged, dispute_changed)
    return shop


def rules_of(said: Credits) -> PurchaseRules:
    return PurchaseRules(
        least=said.purchase_min_nanos,
        most=said.purchase_max_nanos,
        presets=tuple(
            preset
            for preset in said.presets
            if said.purchase_min_nanos <= preset <= said.purchase_max_nanos
        ),
        fee_ppm=said.fee_percent,
        fee_fixed_minor=said.fee_fixed_nanos // _CENT,
        fee_least_minor=said.fee_min_nanos // _CENT,
        address_required=said.address_required,
    )
