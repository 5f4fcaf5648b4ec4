"""The nouns of this room: what is bought, what it costs, and how far it has come."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from msgspec import Struct

from tollkeeper.base.ids import show_id
from tollkeeper.base.money import Money, divide_half_up
from tollkeeper.base.settings import TaxRule
from tollkeeper.credits.errors import AmountOutOfRange
from tollkeeper.db import Connection
from tollkeeper.ledger import Entry
from tollkeeper.payments import Till, to_minor
from tollkeeper.payments.model import PageKind, Payment
from tollkeeper.profiles import Tax

_PPM = 1_000_000


class Origin(StrEnum):
    PURCHASE = "purchase"
    """Somebody bought."""
    AUTO_TOP_UP = "auto_top_up"
    """The balance did."""


class PurchaseStatus(StrEnum):
    """The payment's, and what became of it later."""

    REQUIRES_PAYMENT = "requires_payment"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUNDED = "refunded"
    """All of it."""
    DISPUTED = "disputed"

    @property
    def credited(self) -> bool:
        return self in (
            PurchaseStatus.SUCCEEDED,
            PurchaseStatus.REFUNDED,
            PurchaseStatus.DISPUTED,
        )


class Buyer(Struct, frozen=True, kw_only=True):
    """Who buys, as the invoice will say it: kept with the purchase, whatever changes later."""

    name: str
    address: tuple[str, ...] = ()
    country: str | None = None
    tax_ids: tuple[str, ...] = ()
    email: str | None = None


def tax_on(base_minor: int, tax: Tax) -> int:
    return 0 if tax.reverse_charge else divide_half_up(base_minor * tax.rate_ppm, _PPM)


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseRules:
    """What may be bought, and what is charged for it. Amounts of credit in nanos of USD, parts per
    million for the fee's share, and the smallest unit of the currency for the rest."""

    least: int
    most: int
    presets: tuple[int, ...] = ()
    fee_ppm: int = 0
    fee_fixed_minor: int = 0
    fee_least_minor: int = 0
    address_required: bool = False

    def check(self, amount: int) -> None:
        """Raises AmountOutOfRange."""
        if not self.least <= amount <= self.most:
            said = f"must be from {Money(self.least)} to {Money(self.most)}"
            raise AmountOutOfRange(f"amount: {said}", {"amount": [said]})

    def price(self, amount: int, currency: str, taxes: Sequence[Tax] = ()) -> Price:
        """Raises AmountOutOfRange, AmountNotPayable for what is not a whole number of cents."""
        self.check(amount)
        return self.price_of(amount, currency, taxes)

    def price_of(self, amount: int, currency: str, taxes: Sequence[Tax] = ()) -> Price:
        """The same for any amount: auto top-up has limits of its own."""
        price_minor = to_minor(amount, currency)
        share = divide_half_up(price_minor * self.fee_ppm, _PPM) + self.fee_fixed_minor
        fee_minor = max(share, self.fee_least_minor)
        return Price(
            credit_nanos=amount,
            price_minor=price_minor,
            fee_minor=fee_minor,
            tax_minor=sum(tax_on(price_minor + fee_minor, tax) for tax in taxes),
            taxes=tuple(taxes),
            currency=currency,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    credit_nanos: int
    price_minor: int
    fee_minor: int
    tax_minor: int
    taxes: tuple[Tax, ...]
    currency: str

    @property
    def total_minor(self) -> int:
        return self.price_minor + self.fee_minor + self.tax_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What somebody wants to buy, and how it is to be paid: by a method, or on a `page`."""

    org_id: UUID
    purchase_id: UUID
    wallet_id: UUID
    livemode: bool
    amount: int
    currency: str
    actor: str
    return_url: str
    cancel_url: str | None = None
    origin: Origin = Origin.PURCHASE
    method_id: UUID | None = None
    off_session: bool = False
    page: PageKind | None = None
    save_method: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    org_id: UUID
    purchase_id: UUID
    wallet_id: UUID
    livemode: bool
    origin: Origin
    status: PurchaseStatus
    credit_nanos: int
    price_minor: int
    fee_minor: int
    tax_minor: int
    total_minor: int
    currency: str
    taxes: tuple[Tax, ...]
    buyer: Buyer
    actor: str
    created_at: datetime
    succeeded_at: datetime | None
    balance_after: int | None
    returned_nanos: int

    def credit_of(self, paid_minor: int) -> int:
        """The credit that so much of what was paid stands for, in nanos: all of it for all."""
        return self.credit_nanos * paid_minor // self.total_minor


@dataclass(frozen=True, slots=True)
class PurchaseSucceeded:
    """Credit is in the balance: told in the transaction that put it there."""

    purchase: Purchase
    payment: Payment
    entry: Entry


Succeeded = Callable[[Connection, PurchaseSucceeded], Awaitable[object]]
OnDispute = Literal["hold", "freeze"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """What acts of this room work with. `succeeded` hear of each purchase in its transaction, in
    order; the last of them may lock what others wait for. `billing_page` is where customers are
    led back to who name no other place."""

    till: Till
    rules: PurchaseRules
    taxes: Mapping[str, TaxRule]
    billing_page: str
    on_dispute: OnDispute = "hold"
    succeeded: list[Succeeded] = field(default_factory=list[Succeeded])

    def return_page(self, purchase_id: UUID) -> str:
        return f"{self.billing_page}?purchase={show_id('pur', purchase_id)}"
