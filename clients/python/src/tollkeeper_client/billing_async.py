"""What customers ask with their ADMIN key. `billing_sync.py` is written from this file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from types import NoneType
from typing import Unpack

from tollkeeper_client.answers import (
    AutoTopUp,
    Balance,
    Page,
    PaymentMethod,
    Purchase,
    Quote,
    Transaction,
    UsageRecord,
)
from tollkeeper_client.answers_billing import (
    Entry,
    Invoice,
    InvoiceInFull,
    Lot,
    PaymentMethodSetup,
    PortalSession,
    Profile,
    PurchaseOptions,
    Statement,
)
from tollkeeper_client.asking import (
    Amount,
    EntryFilter,
    InvoiceFilter,
    LotFilter,
    ProfileChange,
    PurchaseTerms,
    RecordFilter,
    SetupTerms,
    TopUpChange,
    TransactionFilter,
)
from tollkeeper_client.calling_async import AsyncCalling
from tollkeeper_client.trying import below


class AsyncBilling(AsyncCalling):
    async def balance(self) -> Balance:
        return await self._get(Balance, "/billing/balance")

    async def quote(self, amount: Amount) -> Quote:
        return await self._post(Quote, "/billing/quotes", {"amount": amount})

    async def create_purchase(
        self, amount: Amount, *, idempotency_key: str | None = None, **terms: Unpack[PurchaseTerms]
    ) -> Purchase:
        """Buy credit: by the default payment method, unless the terms say otherwise."""
        said = {"amount": amount, **terms}
        return await self._post(Purchase, "/billing/purchases", said, idempotency_key)

    async def get_purchase(self, purchase_id: str) -> Purchase:
        return await self._get(Purchase, below("/billing/purchases", purchase_id))

    async def list_purchases(self, *, limit: int = 50, cursor: str | None = None) -> Page[Purchase]:
        asked = {"limit": limit, "cursor": cursor}
        return await self._get(Page[Purchase], "/billing/purchases", asked)

    def purchases(self) -> AsyncIterator[Purchase]:
        return self.each(Purchase, "/billing/purchases")

    async def purchase_options(self) -> PurchaseOptions:
        """Say what may be bought, and with what a payment page is to be opened."""
        return await self._get(PurchaseOptions, "/billing/purchase-options")

    async def resume_purchase(
        self,
        purchase_id: str,
        *,
        payment_method_id: str | None = None,
        return_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> Purchase:
        said = {"payment_method_id": payment_method_id, "return_url": return_url}
        path = below("/billing/purchases", purchase_id, "/resume")
        return await self._post(Purchase, path, said, idempotency_key)

    async def cancel_purchase(self, purchase_id: str) -> Purchase:
        return await self._post(Purchase, below("/billing/purchases", purchase_id, "/cancel"))

    async def get_auto_top_up(self) -> AutoTopUp:
        return await self._get(AutoTopUp, "/billing/auto-top-up")

    async def set_auto_top_up(self, *, enabled: bool, **change: Unpack[TopUpChange]) -> AutoTopUp:
        said = {"enabled": enabled, **change}
        return await self.request(AutoTopUp, "PUT", "/billing/auto-top-up", said)

    async def list_payment_methods(self) -> Page[PaymentMethod]:
        return await self._get(Page[PaymentMethod], "/billing/payment-methods")

    async def add_payment_method(self, **terms: Unpack[SetupTerms]) -> PaymentMethodSetup:
        """By a token of the processor's own form, or on a page of its, at `action_url`."""
        return await self._post(PaymentMethodSetup, "/billing/payment-methods", terms)

    async def set_default_payment_method(self, method_id: str) -> PaymentMethod:
        path = below("/billing/payment-methods", method_id, "/default")
        return await self.request(PaymentMethod, "PUT", path)

    async def remove_payment_method(self, method_id: str) -> None:
        path = below("/billing/payment-methods", method_id)
        await self.request(NoneType, "DELETE", path)

    async def open_portal(self, *, return_url: str | None = None) -> str:
        """Return the address of the processor's own page for methods and receipts."""
        said = {"return_url": return_url}
        return (await self._post(PortalSession, "/billing/portal-session", said)).url

    async def get_profile(self) -> Profile:
        """Return who is billed. Raises NotFound while nobody has said."""
        return await self._get(Profile, "/billing/profile")

    async def set_profile(
        self, name: str, address: Mapping[str, str], **more: Unpack[ProfileChange]
    ) -> Profile:
        """`address` has `country` and `line1`; each country's other members are checked."""
        said = {"name": name, "address": address, **more}
        return await self.request(Profile, "PUT", "/billing/profile", said)

    async def list_usage_records(self, **asked: Unpack[RecordFilter]) -> Page[UsageRecord]:
        """Newest first. A page may be short, or empty, while it has a `next_cursor`."""
        return await self._get(Page[UsageRecord], "/billing/usage-records", asked)

    async def list_transactions(self, **asked: Unpack[TransactionFilter]) -> Page[Transaction]:
        return await self._get(Page[Transaction], "/billing/transactions", asked)

    def usage_records(self, **asked: Unpack[RecordFilter]) -> AsyncIterator[UsageRecord]:
        """Newest first, all that there are; `limit` is the size of a page."""
        return self.each(UsageRecord, "/billing/usage-records", asked)

    def transactions(self, **asked: Unpack[TransactionFilter]) -> AsyncIterator[Transaction]:
        return self.each(Transaction, "/billing/transactions", asked)

    def entries(self, **asked: Unpack[EntryFilter]) -> AsyncIterator[Entry]:
        """Everything that moved the balance."""
        return self.each(Entry, "/billing/entries", asked)

    def lots(self, **asked: Unpack[LotFilter]) -> AsyncIterator[Lot]:
        """What each grant and purchase has left, and until when."""
        return self.each(Lot, "/billing/lots", asked)

    def invoices(self, **asked: Unpack[InvoiceFilter]) -> AsyncIterator[Invoice]:
        return self.each(Invoice, "/billing/invoices", asked)

    async def get_invoice(self, invoice_id: str) -> InvoiceInFull:
        return await self._get(InvoiceInFull, below("/billing/invoices", invoice_id))

    async def invoice_pdf(self, invoice_id: str) -> bytes:
        return await self._get(bytes, below("/billing/invoices", invoice_id, "/pdf"))

    async def statement(self, month: str, *, currency: str | None = None) -> Statement:
        """Return a month's statement, `2026-11`."""
        asked = {"currency": currency}
        return await self._get(Statement, below("/billing/statements", month), asked)

    async def statement_pdf(self, month: str, *, currency: str | None = None) -> bytes:
        asked = {"currency": currency}
        return await self._get(bytes, below("/billing/statements", month, "/pdf"), asked)
