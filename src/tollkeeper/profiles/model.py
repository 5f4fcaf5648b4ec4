"""The nouns of this room: who an invoice is made out to, and what taxes that means."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from msgspec import Struct


class BuyerKind(StrEnum):
    BUSINESS = "business"
    CONSUMER = "consumer"


class Address(Struct, frozen=True, kw_only=True):
    """`country` is an ISO 3166 code; `state` and `postal_code` as that country writes them."""

    country: str
    line1: str
    line2: str | None = None
    city: str | None = None
    district: str | None = None
    state: str | None = None
    postal_code: str | None = None


class TaxId(Struct, frozen=True, kw_only=True):
    """`type` is Stripe's word for it, such as eu_vat."""

    type: str
    value: str


class Profile(Struct, frozen=True, kw_only=True):
    """Who an organization's invoices are made out to. They show the first of its `emails`."""

    org_id: UUID
    name: str
    kind: BuyerKind
    address: Address
    tax_ids: tuple[TaxId, ...] = ()
    emails: tuple[str, ...] = ()
    updated_at: datetime


class Tax(Struct, frozen=True, kw_only=True):
    """A tax on what a buyer buys. With reverse charge the buyer owes it to the state."""

    label: str
    rate_ppm: int
    reverse_charge: bool = False
    note: str | None = None
