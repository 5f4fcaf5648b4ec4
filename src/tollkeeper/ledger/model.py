"""The nouns of the ledger. Two minutes here give the whole vocabulary.

Amounts are nanos of the wallet's currency. Instants are aware datetimes in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from msgspec import Raw, Struct

from tollkeeper.base.errors import TollkeeperError


class EntryKind(StrEnum):
    """Why the balance moved."""

    PURCHASE = "purchase"
    AUTO_TOP_UP = "auto_top_up"
    GRANT = "grant"
    CONSUMPTION = "consumption"
    REFUND = "refund"
    DISPUTE = "dispute"
    EXPIRY = "expiry"
    ADJUSTMENT = "adjustment"


class Account(StrEnum):
    """Where the other half of an entry stands. The values are columns of `wallet`."""

    CASH = "cash"
    PROMOTIONAL = "promotional"
    REVENUE = "revenue"
    BREAKAGE = "breakage"
    REFUNDS = "refunds"
    DISPUTES = "disputes"
    ADJUSTMENTS = "adjustments"


ACCOUNT_OF = {
    EntryKind.PURCHASE: Account.CASH,
    EntryKind.AUTO_TOP_UP: Account.CASH,
    EntryKind.GRANT: Account.PROMOTIONAL,
    EntryKind.CONSUMPTION: Account.REVENUE,
    EntryKind.REFUND: Account.REFUNDS,
    EntryKind.DISPUTE: Account.DISPUTES,
    EntryKind.EXPIRY: Account.BREAKAGE,
    EntryKind.ADJUSTMENT: Account.ADJUSTMENTS,
}


class LotKind(StrEnum):
    PURCHASED = "purchased"
    PROMOTIONAL = "promotional"
    ALLOWANCE = "allowance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    org_id: UUID
    wallet_id: UUID
    livemode: bool
    currency: str
    posted: int
    held: int
    overdraft: int
    overrun: int
    added: int  # bought or topped up, ever
    spent: int  # consumed, ever
    frozen_reason: str | None
    next_expiry_at: datetime | None

    @property
    def available(self) -> int:
        return self.posted - self.held

    @property
    def spendable(self) -> int:
        """What a new hold may take."""
        return self.available + self.overdraft


class Draw(Struct, frozen=True, kw_only=True):
    """What a call takes of something that is counted: a budget, a rate, an allowance.

    The counter is `limit_id` in live or test mode, for `subject` where it counts some apart; it
    counts the period that began at `period_start`, and takes a later one over when it comes.
    `amount` is in units of the limit; None counts what the call costs in credit, times `worth`
    nanos for each unit of the wallet's currency.

    Without `covers` the call is refused where used + held + amount would exceed `ceiling`; None
    only counts. With it, the units stand for `covers` nanos of the call's cost: as many as there
    are left of them are drawn, and their part of the cost is not taken from credit; `whole` refuses
    a call for which there are not enough. `lines` are the places of those lines among the record's.
    """

    limit_id: UUID
    livemode: bool
    period_start: datetime
    ceiling: int | None
    subject: str = ""
    amount: int | None = None
    worth: int = 1_000_000_000
    covers: int | None = None
    whole: bool = False
    lines: tuple[int, ...] = ()


class Short(NamedTuple):
    """A limit that was in the way: what it had room for, and what it was asked for."""

    limit_id: UUID
    room: int
    asked: int


class NewHold(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A reservation to place. `hold_id` is the id that the call's usage record will have."""

    org_id: UUID
    wallet_id: UUID
    hold_id: UUID
    amount: int
    expires_at: datetime
    project_id: UUID | None = None
    key_id: UUID | None = None
    context: Raw | None = None  # JSON, given back by `find_hold`
    draws: tuple[Draw, ...] = ()


class HoldOutcome(StrEnum):
    """What became of a wish to hold, in the order of checking."""

    WALLET_UNKNOWN = "wallet_unknown"
    ALREADY_CHARGED = "already_charged"
    EXISTS = "exists"
    EXISTS_WITH_OTHER_AMOUNT = "exists_with_other_amount"  # or in another wallet
    FROZEN = "frozen"
    LIMITED = "limited"
    INSUFFICIENT = "insufficient"
    PLACED = "placed"


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldResult:
    """`amount` is what is or would be reserved of credit; `limits` are those in the way."""

    outcome: HoldOutcome
    spendable: int  # beside the other holds; what one that was refused could have cost
    amount: int = 0
    limits: tuple[Short, ...] = ()


class EndOutcome(StrEnum):
    """What became of a wish to void, in the order of checking."""

    SETTLED = "settled"
    VOIDED = "voided"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


class NewCharge(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A call to be charged; `settle` ends `hold_id` with it, if there is one.

    `usage_id` is what makes it happen once: the same id is the same call, and one with another
    `fingerprint` is refused. The fields from `started_at` on are kept, not understood.
    """

    org_id: UUID
    wallet_id: UUID
    usage_id: UUID
    amount: int
    lines: int
    started_at: datetime
    status: int
    source: str
    detail: Raw
    hold_id: UUID | None = None
    fingerprint: int | None = None
    duration_ms: int | None = None
    project_id: UUID | None = None
    key_id: UUID | None = None
    request_id: str | None = None
    provider: str | None = None
    model: str | None = None
    operation: str | None = None
    thread_id: str | None = None
    draws: tuple[Draw, ...] = ()


class ChargeOutcome(StrEnum):
    """What became of a charge, in the order of checking."""

    WALLET_UNKNOWN = "wallet_unknown"
    EXISTS = "exists"
    EXISTS_WITH_OTHER_FINGERPRINT = "exists_with_other_fingerprint"
    FROZEN = "frozen"
    LIMITED = "limited"
    INSUFFICIENT = "insufficient"
    POSTED = "posted"
    POSTED_LATE = "posted_late"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeResult:
    """`amount` and `balance_after` are those of the first charge when the outcome is `exists`;
    `amount` is what was taken of credit, `limits` those that were in the way."""

    outcome: ChargeOutcome
    amount: int
    balance_after: int
    spendable: int
    limits: tuple[Short, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    org_id: UUID
    wallet_id: UUID
    seq: int
    entry_id: UUID
    kind: EntryKind
    account: Account
    amount: int
    balance_after: int
    posted_at: datetime
    lot_id: UUID | None
    source: str | None
    reverses_seq: int | None
    actor: str | None
    reason: str | None


class NewLot(Struct, frozen=True, kw_only=True):
    """How arriving credit is to be spent: lower `priority` first; see `lots.drawing_order`."""

    kind: LotKind
    priority: int = 100
    expires_at: datetime | None = None
    label: str | None = None


class Posting(Struct, frozen=True, kw_only=True):
    """An entry to write that is not consumption.

    A credit brings its `lot`; a debit may name the `lot_id` it is taken from. `source` is the
    outside cause: posting the same source again gives the first entry back.
    """

    org_id: UUID
    wallet_id: UUID
    entry_id: UUID
    kind: EntryKind
    amount: int
    lot: NewLot | None = None
    lot_id: UUID | None = None
    source: str | None = None
    actor: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenHold:
    """A hold as it stands: `state` is open, voided or expired."""

    org_id: UUID
    hold_id: UUID
    wallet_id: UUID
    amount: int
    state: str
    project_id: UUID | None
    key_id: UUID | None
    placed_at: datetime
    expires_at: datetime
    context: Raw | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    lot_id: UUID
    entry_seq: int
    kind: LotKind
    amount: int
    priority: int
    arrived_at: datetime
    expires_at: datetime | None
    label: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something in the books that is wrong. Whoever verifies something yields these.

    `rule` is the L-number; organization and wallet are None for what concerns all; `row` names the
    row to a reader, `seq` to a program if it has one. `because` completes the sentence.
    """

    rule: str
    org_id: UUID | None
    wallet_id: UUID | None
    table: str
    seq: int | None
    row: str
    column: str
    expected: str
    found: str
    because: str

    @property
    def sentence(self) -> str:
        whose = "" if self.wallet_id is None else f" of wallet {self.wallet_id}"
        return (
            f"{self.rule}: {self.row}{whose}: {self.column} should be {self.expected},"
            f" {self.because}, but is {self.found}."
        )


class InsufficientCredits(TollkeeperError):
    """Insufficient credits"""

    code = "insufficient_credits"
    status = 402


class WalletFrozen(TollkeeperError):
    """Spending from this balance is frozen"""

    code = "wallet_frozen"
    status = 402


class SourceReused(TollkeeperError):
    """This cause has already posted another entry"""

    code = "source_reused"
    status = 422


class BalanceTooLarge(TollkeeperError):
    """The balance would become too large to keep"""

    code = "balance_too_large"
    status = 422


class AlreadyReversed(TollkeeperError):
    """This entry has been reversed before"""

    code = "already_reversed"
    status = 422
