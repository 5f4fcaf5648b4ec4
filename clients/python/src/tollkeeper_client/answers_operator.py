"""What Tollkeeper answers operators."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class Organization:
    id: str
    name: str
    created_at: datetime


@dataclass(frozen=True)
class NewOrganization(Organization):
    project_id: str
    admin_key_id: str
    secret: str | None


@dataclass(frozen=True)
class Posted:
    """An entry that an operator's act made."""

    id: str
    kind: str
    amount: Decimal
    balance_after: Decimal
    posted_at: datetime
    lot_id: str | None
    reason: str | None


@dataclass(frozen=True)
class WalletBalance:
    livemode: bool
    currency: str
    posted: Decimal
    held: Decimal
    available: Decimal
    overdraft: Decimal
    lifetime_added: Decimal
    lifetime_spent: Decimal
    frozen_reason: str | None


@dataclass(frozen=True)
class WalletBalances:
    data: list[WalletBalance]


@dataclass(frozen=True)
class Refund:
    id: str
    purchase_id: str
    status: str
    amount: Decimal
    currency: str
    reason: str
    failure_message: str | None
    created_at: datetime


@dataclass(frozen=True)
class Dispute:
    id: str
    organization_id: str
    purchase_id: str
    reference: str
    status: str
    amount: Decimal
    currency: str
    reason: str
    evidence_due_at: datetime | None
    opened_at: datetime
    settled_at: datetime | None


@dataclass(frozen=True)
class AuditEntry:
    id: str
    at: datetime
    who: str
    what: str
    why: str
    organization_id: str | None
    details: dict[str, Any]
