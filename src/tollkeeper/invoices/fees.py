"""The invoice of a plan's fee: issued in the transaction that writes down that it is paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.base.money import divide_half_up
from tollkeeper.base.settings import TaxRule
from tollkeeper.credits import buyer_of, tax_on
from tollkeeper.db import Connection
from tollkeeper.invoices.desk import Desk
from tollkeeper.invoices.model import (
    Content,
    DocumentType,
    Invoice,
    Line,
    NewInvoice,
    PaidBy,
    Party,
    TaxLine,
)
from tollkeeper.invoices.numbering import issue
from tollkeeper.payments import Handlers, SubscriptionFeePaid
from tollkeeper.profiles import Tax

CAUSE: Final = "fee:"
_WHOLE_PPM: Final = 1_000_000


def hear_of_fees(handlers: Handlers, desk: Desk, taxes: Mapping[str, TaxRule]) -> None:
    """Have an invoice issued for each fee; register it last, for it locks the numbers."""

    async def paid(tx: Connection, told: SubscriptionFeePaid) -> None:
        await issue_for_fee(tx, desk, taxes, told)

    handlers.on(SubscriptionFeePaid, paid)


async def issue_for_fee(
    tx: Connection, desk: Desk, taxes: Mapping[str, TaxRule], told: SubscriptionFeePaid
) -> Invoice:
    """Issue it once. What the processor has charged is the total: taxes are contained in it."""
    billed, fee = told.subscription, told.fee
    buyer, decided = await buyer_of(tx, billed.org_id, taxes)
    net_minor, lines = contained(fee.amount_minor, decided)
    begins, ends = (at.astimezone(desk.zone).date() for at in (fee.period_start, fee.period_end))
    new = NewInvoice(
        org_id=billed.org_id,
        invoice_id=uuid7(),
        livemode=billed.livemode,
        type=DocumentType.INVOICE,
        cause=f"{CAUSE}{show_id('sub', billed.subscription_id)}:{fee.ref}",
        currency=fee.currency,
        content=Content(
            seller=desk.seller,
            buyer=Party(
                name=buyer.name,
                address=buyer.address,
                country=buyer.country,
                tax_ids=buyer.tax_ids,
                email=buyer.email,
            ),
            lines=(
                Line(
                    description=billed.product_name,
                    detail=f"{begins.isoformat()} – {ends.isoformat()}",  # noqa: RUF001 (a range)
                    net_minor=net_minor,
                ),
            ),
            taxes=lines,
            paid_by=PaidBy(method=None, last4=None, at=fee.paid_at),
            footer=desk.footer,
            language=desk.language,
        ),
    )
    return await issue(tx, new, desk.numbering, fee.paid_at)


def contained(total_minor: int, taxes: Sequence[Tax]) -> tuple[int, tuple[TaxLine, ...]]:
    """Split what was paid into what is ours and the taxes in it; the sum is the whole, exactly."""
    rate = sum(0 if tax.reverse_charge else tax.rate_ppm for tax in taxes)
    base_minor = divide_half_up(total_minor * _WHOLE_PPM, _WHOLE_PPM + rate)
    amounts = [tax_on(base_minor, tax) for tax in taxes]
    net_minor = total_minor - sum(amounts)
    lines = tuple(
        TaxLine(
            label=tax.label,
            rate_ppm=tax.rate_ppm,
            base_minor=net_minor,
            tax_minor=amount,
            reverse_charge=tax.reverse_charge,
            note=tax.note,
        )
        for tax, amount in zip(taxes, amounts, strict=True)
    )
    return net_minor, lines
