"""Written by `generate.py` from `billing_async.py`: change that one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from tollkeeper_client.calling_sync import Calling
from tollkeeper_client.trying import below


class Billing(Calling):
    def balance(self) -> Balance:
        return self._get(Balance, "/billing/balance")

    def quote(self, amount: Amount) -> Quote:
        return self._post(Quote, "/billing/quotes", {"amount": amount})

    def create_purchase(
        self, amount: Amount, *, idempotency_key: str | None = None, **terms: Unpack[PurchaseTerms]
    ) -> Purchase:
        """Buy credit: by the default payment method, unless the terms say otherwise."""
        said = {"amount": amount, **terms}
        return self._post(Purchase, "/billing/purchases", said, idempotency_key)

    def get_purchase(self, purchase_id: str) -> Purchase:
        return self._get(Purchase, below("/billing/purchases", purchase_id))

    def list_purchases(self, *, limit: int = 50, cursor: str | None = None) -> Page[Purchase]:
        asked = {"limit": limit, "cursor": cursor}
        return self._get(Page[Purchase], "/billing/purchases", asked)

    def purchases(self) -> Iterator[Purchase]:
        return self.each(Purchase, "/billing/purchases")

    def purchase_options(self) -> PurchaseOptions:
        """Say what may be bought, and with what a payment page is to be opened."""
        return self._get(PurchaseOptions, "/billing/purchase-options")

    def resume_purchase(
        self,
        purchase_id: str,
        *,
        payment_method_id: str | None = None,
        return_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> Purchase:
        said = {"payment_method_id": payment_method_id, "return_url": return_url}
        path = below("/billing/purchases", purchase_id, "/resume")
        return self._post(Purchase, path, said, idempotency_key)

    def cancel_purchase(self, purchase_id: str) -> Purchase:
        return self._post(Purchase, below("/billing/purchases", purchase_id, "/cancel"))

    def get_auto_top_up(self) -> AutoTopUp:
        return self._get(AutoTopUp, "/billing/auto-top-up")

    def set_auto_top_up(self, *, enabled: bool, **change: Unpack[TopUpChange]) -> AutoTopUp:
        said = {"enabled": enabled, **change}
        return self.request(AutoTopUp, "PUT", "/billing/auto-top-up", said)

    def list_payment_methods(self) -> Page[PaymentMethod]:
        return self._get(Page[PaymentMethod], "/billing/payment-methods")

    def add_payment_method(self, **terms: Unpack[SetupTerms]) -> PaymentMethodSetup:
        """By a token of the processor's own form, or on a page of its, at `action_url`."""
        return self._post(PaymentMethodSetup, "/billing/payment-methods", terms)

    def set_default_payment_method(self, method_id: str) -> PaymentMethod:
        path = below("/billing/payment-methods", method_id, "/default")
        return self.request(PaymentMethod, "PUT", path)

    def remove_payment_method(self, method_id: str) -> None:
        path = below("/billing/payment-methods", method_id)
        self.request(NoneType, "DELETE", path)

    def open_portal(self, *, return_url: str | None = None) -> str:
        """Return the address of the processor's own page for methods and receipts."""
        said = {"return_url": return_url}
        return (self._post(PortalSession, "/billing/portal-session", said)).url

    def get_profile(self) -> Profile:
        """Return who is billed. Raises NotFound while nobody has said."""
        return self._get(Profile, "/billing/profile")

    def set_profile(
        self, name: str, address: Mapping[str, str], **more: Unpack[ProfileChange]
    ) -> Profile:
        """`address` has `country` and `line1`; each country's other members are checked."""
        said = {"name": name, "address": address, **more}
        return self.request(Profile, "PUT", "/billing/profile", said)

    def list_usage_records(self, **asked: Unpack[RecordFilter]) -> Page[UsageRecord]:
        """Newest first. A page may be short, or empty, while it has a `next_cursor`."""
        return self._get(Page[UsageRecord], "/billing/usage-records", asked)

    def list_transactions(self, **asked: Unpack[TransactionFilter]) -> Page[Transaction]:
        return self._get(Page[Transaction], "/billing/transactions", asked)

    def usage_records(self, **asked: Unpack[RecordFilter]) -> Iterator[UsageRecord]:
        """Newest first, all that there are; `limit` is the size of a page."""
        return self.each(UsageRecord, "/billing/usage-records", asked)

    def transactions(self, **asked: Unpack[TransactionFilter]) -> Iterator[Transaction]:
        return self.each(Transaction, "/billing/transactions", asked)

    def entries(self, **asked: Unpack[EntryFilter]) -> Iterator[Entry]:
        """Everything that moved the balance."""
        return self.each(Entry, "/billing/entries", asked)

    def lots(self, **asked: Unpack[LotFilter]) -> Iterator[Lot]:
        """What each grant and purchase has left, and until when."""
        return self.each(Lot, "/billing/lots", asked)

    def invoices(self, **asked: Unpack[InvoiceFilter]) -> Iterator[Invoice]:
        return self.each(Invoice, "/billing/invoices", asked)

    def get_invoice(self, invoice_id: str) -> InvoiceInFull:
        return self._get(InvoiceInFull, below("/billing/invoices", invoice_id))

    def invoice_pdf(self, invoice_id: str) -> bytes:
        return self._get(bytes, below("/billing/invoices", invoice_id, "/pdf"))

    def statement(self, month: str, *, currency: str | None = None) -> Statement:
        """Return a month's statement, `2026-11`."""
        asked = {"currency": currency}
        return self._get(Statement, below("/billing/statements", month), asked)

    def statement_pdf(self, month: str, *, currency: str | None = None) -> bytes:
        asked = {"currency": currency}
        return self._get(bytes, below("/billing/statements", month, "/pdf"), asked)
