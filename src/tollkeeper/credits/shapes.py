"""What the routes of this room take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from tollkeeper import ledger, payments
from tollkeeper.base.errors import InvalidRequest
from tollkeeper.base.ids import show_id
from tollkeeper.base.money import Money, PositiveMoneyIn
from tollkeeper.credits.model import Origin, Price, Purchase, PurchaseStatus
from tollkeeper.db import Connection
from tollkeeper.ledger import Wallet
from tollkeeper.orgs import Caller
from tollkeeper.payments import Owner
from tollkeeper.payments.model import PageKind, Payment, PaymentStatus
from tollkeeper.profiles import AddressShape, TaxIdShape

USD: Final = "USD"

MethodId = Annotated[
    str, Meta(pattern=r"^met_[0-9a-f]{32}\Z", description="A payment method on file.")
]
WebAddress = Annotated[
    str, Meta(pattern=r"^https?://\S+\Z", max_length=2000, examples=["https://example.com/billing"])
]


class In(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    pass


class Out(Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class NewQuote(In, frozen=True, kw_only=True):
    amount: Annotated[PositiveMoneyIn, Meta(description="The credit that is wanted.")]
    currency: Literal["USD"] = USD


class NewPurchase(NewQuote, frozen=True, kw_only=True):
    """Paid by a method on file (the default one, unless `paymentMethodId` says another), or on a
    page of the payment processor (`checkout`)."""

    payment_method_id: MethodId | None = None
    checkout: Annotated[
        PageKind | None, Meta(description="How the processor's page is to be shown.")
    ] = None
    save_payment_method: Annotated[
        bool, Meta(description="Whether what is paid with there is kept on file.")
    ] = False
    billing_address: Annotated[
        AddressShape | None, Meta(description="Kept in the billing profile.")
    ] = None
    tax_id: Annotated[
        TaxIdShape | None, Meta(description="Kept in the billing profile, beside others.")
    ] = None
    return_url: Annotated[
        WebAddress | None, Meta(description="Where the customer is led when it is done.")
    ] = None
    cancel_url: Annotated[
        WebAddress | None, Meta(description="Where the customer is led who does not want to.")
    ] = None

    def __post_init__(self) -> None:
        if self.payment_method_id is not None and self.checkout is not None:
            raise ValueError("must not have both paymentMethodId and checkout")


class Resumption(In, frozen=True, kw_only=True):
    payment_method_id: MethodId | None = None
    return_url: Annotated[
        WebAddress | None, Meta(description="Where the customer is led when it is done.")
    ] = None


class Quote(Out, frozen=True, kw_only=True):
    """What an amount of credit costs."""

    credit: Money
    fee: Money
    tax: Money
    total: Money
    currency: str

    @classmethod
    def of(cls, price: Price) -> Quote:
        return cls(
            credit=Money(price.credit_nanos),
            fee=_money(price.fee_minor, price.currency),
            tax=_money(price.tax_minor, price.currency),
            total=_money(price.total_minor, price.currency),
            currency=price.currency,
        )


class PurchaseOptions(Out, frozen=True, kw_only=True):
    """What may be bought. `processor` takes the money; None where nothing can be bought. Its own
    forms in a browser take `publishableKey`."""

    currency: str
    minimum: Money
    maximum: Money
    presets: list[Money]
    processor: str | None
    publishable_key: str | None


class PurchaseOut(Out, frozen=True, kw_only=True):
    """`amount` is the credit, `total` what is paid. At `actionUrl` the customer goes on: to the
    processor's page, or to the bank; embedded pages take `clientSecret`."""

    id: str
    status: PurchaseStatus
    type: Origin
    amount: Money
    fee: Money
    tax: Money
    total: Money
    currency: str
    balance_after: Money | None
    livemode: bool
    created_at: datetime
    succeeded_at: datetime | None
    payment_method_id: str | None
    action_url: str | None
    client_secret: str | None
    expires_at: datetime | None
    failure_code: str | None
    failure_message: str | None

    @classmethod
    def of(cls, known: Purchase, payment: Payment) -> PurchaseOut:
        waits = payment.status is PaymentStatus.REQUIRES_PAYMENT
        page_url = payment.page_url if waits else None
        method_id = payment.method_id
        return cls(
            id=show_id("pur", known.purchase_id),
            status=known.status,
            type=known.origin,
            amount=Money(known.credit_nanos),
            fee=_money(known.fee_minor, known.currency),
            tax=_money(known.tax_minor, known.currency),
            total=_money(known.total_minor, known.currency),
            currency=known.currency,
            balance_after=None if known.balance_after is None else Money(known.balance_after),
            livemode=known.livemode,
            created_at=known.created_at,
            succeeded_at=known.succeeded_at,
            payment_method_id=None if method_id is None else show_id("met", method_id),
            action_url=payment.action_url or page_url,
            client_secret=payment.page_secret if waits else None,
            expires_at=payment.page_expires_at if waits else None,
            failure_code=None if payment.failure is None else payment.failure.code.value,
            failure_message=None if payment.failure is None else payment.failure.detail or None,
        )


def _money(minor: int, currency: str) -> Money:
    return Money(payments.to_nanos(minor, currency))


async def wallet_of(connection: Connection, caller: Caller | Owner, currency: str) -> Wallet:
    """Raises InvalidRequest."""
    for wallet in await ledger.wallets_of(connection, caller.org_id):
        if (wallet.livemode, wallet.currency) == (caller.livemode, currency):
            return wallet
    said = "is no currency of this organization"
    raise InvalidRequest(f"currency: {said}", {"currency": [said]})
