"""The nouns of this room. A document is a value with every word that is printed on it.

Amounts are integers of the currency's smallest unit (`…_minor`: cents), and never negative: a
credit note says what is given back. A value whose sums do not add up cannot be made.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from typing import Literal
from uuid import UUID

from msgspec import Struct

Language = Literal["en", "de", "fr", "es"]


class DocumentType(StrEnum):
    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"


class Party(Struct, frozen=True, kw_only=True):
    """Who sells or buys, as it is printed.

    `country` is an ISO 3166 code; `register` is what law wants at the foot of a seller's letters.
    """

    name: str
    address: tuple[str, ...] = ()
    country: str | None = None
    tax_ids: tuple[str, ...] = ()
    email: str | None = None
    register: str | None = None


class Line(Struct, frozen=True, kw_only=True):
    """What is sold, without tax."""

    description: str
    net_minor: int
    detail: str | None = None


class TaxLine(Struct, frozen=True, kw_only=True):
    """One tax on `base_minor`. With reverse charge the amount is 0 and the buyer owes it."""

    label: str
    rate_ppm: int
    base_minor: int
    tax_minor: int
    reverse_charge: bool = False
    note: str | None = None


class PaidBy(Struct, frozen=True, kw_only=True):
    """What it was paid with, such as visa and 4242; `method` is None when it is not known."""

    method: str | None
    last4: str | None
    at: datetime


class Content(Struct, frozen=True, kw_only=True):
    """The words and figures of a document, kept as they are."""

    seller: Party
    buyer: Party
    lines: tuple[Line, ...]
    taxes: tuple[TaxLine, ...] = ()
    paid_by: PaidBy | None = None
    reason: str | None = None
    footer: str | None = None
    language: Language = "en"

    def __post_init__(self) -> None:
        if not self.lines:
            raise ValueError("A document has at least one line")
        amounts = [line.net_minor for line in self.lines]
        amounts += [amount for tax in self.taxes for amount in (tax.base_minor, tax.tax_minor)]
        if min(amounts) < 0:
            raise ValueError("Amounts of a document are not negative")
        if any(tax.base_minor > self.net_minor for tax in self.taxes):
            raise ValueError("A tax is on no more than what is sold")
        if any(tax.reverse_charge and tax.tax_minor for tax in self.taxes):
            raise ValueError("A tax that the buyer owes is not charged")

    @property
    def net_minor(self) -> int:
        return sum(line.net_minor for line in self.lines)

    @property
    def tax_minor(self) -> int:
        return sum(tax.tax_minor for tax in self.taxes)

    @property
    def total_minor(self) -> int:
        return self.net_minor + self.tax_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInvoice:
    """A document to issue. `cause` is what it is issued for, once: `purchase:…`, `refund:…`.

    A credit note names the invoice that it corrects.
    """

    org_id: UUID
    invoice_id: UUID
    livemode: bool
    type: DocumentType
    cause: str
    currency: str
    content: Content
    purchase_id: UUID | None = None
    corrects_id: UUID | None = None

    def __post_init__(self) -> None:
        if (self.type is DocumentType.CREDIT_NOTE) != (self.corrects_id is not None):
            raise ValueError("A credit note, and nothing else, corrects an invoice")


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """A document as it was issued. `corrects_number` is the number of the invoice it corrects."""

    org_id: UUID
    invoice_id: UUID
    livemode: bool
    type: DocumentType
    number: str
    cause: str
    purchase_id: UUID | None
    corrects_id: UUID | None
    corrects_number: str | None
    issued_at: datetime
    currency: str
    net_minor: int
    tax_minor: int
    total_minor: int
    content: Content


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbering:
    """How documents are numbered: equal prefixes share a series."""

    entity: str = "main"
    invoice_prefix: str = "INV"
    credit_note_prefix: str = "CN"
    zone: tzinfo = UTC

    def series_of(self, kind: DocumentType) -> str:
        match kind:
            case DocumentType.INVOICE:
                return self.invoice_prefix
            case DocumentType.CREDIT_NOTE:
                return self.credit_note_prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A series of numbers: one legal entity's, of one mode, for one year."""

    entity: str
    livemode: bool
    series: str
    year: int

    def show(self, number: int) -> str:
        test = "" if self.livemode else "TEST-"
        return f"{test}{self.series}-{self.year}-{number:06}"
