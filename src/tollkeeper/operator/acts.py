"""What an operator does to organizations and their credit, each act with its audit row.

Every function runs in the caller's transaction. `source` makes a money act happen once: the same
source again gives the first entry back, and notes nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from tollkeeper import credits, ledger, orgs  # noqa: A004 (the room's name)
from tollkeeper.base.errors import InvalidRequest, NotFound
from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.base.money import Money
from tollkeeper.base.settings import Settings
from tollkeeper.credits import Welcome
from tollkeeper.db import Connection
from tollkeeper.ledger import (
    Entry,
    EntryKind,
    InsufficientCredits,
    LotKind,
    NewLot,
    Posting,
    Wallet,
)
from tollkeeper.orgs import AuditEntry, Organization

USD: Final = "USD"
NO_WELCOME: Final = Welcome()


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Who acts, why, and when."""

    who: str
    why: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Which of an organization's balances an act is about."""

    org_id: UUID
    livemode: bool
    currency: str = USD


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What the balances of a new organization begin with; nanos of USD."""

    overdraft: int
    sandbox_credit: int
    welcome: Welcome = NO_WELCOME


def opening_of(settings: Settings) -> Opening:
    """Say what a new organization's balances begin with."""
    return Opening(
        overdraft=settings.billing.overdraft_nanos,
        sandbox_credit=settings.billing.sandbox_credit_nanos,
        welcome=Welcome(settings.grants.welcome_nanos, settings.grants.welcome_days),
    )


async def create_organization(
    tx: Connection, act: Act, *, org_id: UUID, name: str, opening: Opening
) -> Organization:
    """Make an organization with its balances."""
    made = await orgs.create_org(tx, org_id=org_id, name=name, now=act.at)
    await open_balances(tx, org_id, opening, act.at)
    await note(tx, act, "organization.create", org_id, name=name)
    return made


async def open_balances(tx: Connection, org_id: UUID, opening: Opening, now: datetime) -> None:
    """Open the live and the test balance of a new organization, and give it what is free."""
    for livemode in (True, False):
        wallet = await ledger.open_wallet(
            tx,
            org_id=org_id,
            wallet_id=uuid7(),
            livemode=livemode,
            currency=USD,
            now=now,
            overdraft=opening.overdraft,
        )
        if opening.sandbox_credit and not livemode:
            posting = Posting(
                org_id=org_id,
                wallet_id=wallet.wallet_id,
                entry_id=uuid7(),
                kind=EntryKind.GRANT,
                amount=opening.sandbox_credit,
                lot=NewLot(kind=LotKind.PROMOTIONAL, label="Sandbox credit"),
                reason="Sandbox credit",
            )
            await ledger.post(tx, posting, now)
    await credits.give_to_newcomer(tx, org_id, opening.welcome, now)


def check_currency(currency: str, currencies: Collection[str]) -> None:
    """Raises InvalidRequest for one that is not granted here."""
    if currency not in currencies:
        said = f"must be one of {', '.join(sorted(currencies))}"
        raise InvalidRequest(f"currency: {said}", {"currency": [said]})


async def grant(
    tx: Connection, act: Act, balance: Balance, amount: int, lot: NewLot, source: str | None
) -> Entry:
    """Give credit. A currency that the organization has no balance in gets one."""
    _check_positive(amount)
    if lot.expires_at is not None and lot.expires_at <= act.at:
        raise InvalidRequest("expiresAt: must lie ahead", {"expiresAt": ["must lie ahead"]})
    await orgs.get_org(tx, balance.org_id)
    wallet = await ledger.open_wallet(
        tx,
        org_id=balance.org_id,
        wallet_id=uuid7(),
        livemode=balance.livemode,
        currency=balance.currency,
        now=act.at,
    )
    posting = _posting(wallet, act, EntryKind.GRANT, amount, lot=lot, source=source)
    return await _post(tx, act, "credit.grant", posting)


async def adjust(
    tx: Connection, act: Act, balance: Balance, amount: int, source: str | None
) -> Entry:
    """Correct a balance, up or down; always posts, below zero if need be."""
    if amount == 0:
        raise InvalidRequest("amount: must not be 0", {"amount": ["must not be 0"]})
    wallet = await find_balance(tx, balance)
    posting = _posting(wallet, act, EntryKind.ADJUSTMENT, amount, source=source)
    return await _post(tx, act, "credit.adjust", posting)


async def refund(
    tx: Connection,
    act: Act,
    balance: Balance,
    amount: int,
    lot_id: UUID | None,
    source: str | None,
) -> Entry:
    """Take credit off whose price was paid back outside, from one lot if it is named.

    Raises InsufficientCredits for more than is available: what is spent cannot be taken back.
    """
    _check_positive(amount)
    wallet = await find_balance(tx, balance)
    wallet = await ledger.lock_wallet(tx, wallet.org_id, wallet.wallet_id)
    known = source is not None and await ledger.entry_by_source(tx, wallet.org_id, source)
    if not known and amount > max(wallet.available, 0):
        raise InsufficientCredits(
            f"Only {Money(max(wallet.available, 0))} {wallet.currency} is left to be refunded",
            required=Money(amount),
            available=Money(max(wallet.available, 0)),
            currency=wallet.currency,
        )
    posting = _posting(wallet, act, EntryKind.REFUND, -amount, lot_id=lot_id, source=source)
    return await _post(tx, act, "credit.refund", posting)


async def freeze(tx: Connection, act: Act, balance: Balance) -> Wallet:
    """Refuse new holds and charges, for the reason of the act; what is running still settles."""
    wallet = await find_balance(tx, balance)
    await ledger.freeze(tx, wallet.org_id, wallet.wallet_id, act.why)
    await _note_wallet(tx, act, "balance.freeze", wallet)
    return await ledger.find_wallet(tx, wallet.org_id, wallet.wallet_id)


async def unfreeze(tx: Connection, act: Act, balance: Balance) -> Wallet:
    wallet = await find_balance(tx, balance)
    await ledger.unfreeze(tx, wallet.org_id, wallet.wallet_id)
    await _note_wallet(tx, act, "balance.unfreeze", wallet, was_frozen_for=wallet.frozen_reason)
    return await ledger.find_wallet(tx, wallet.org_id, wallet.wallet_id)


async def set_overdraft(tx: Connection, act: Act, balance: Balance, overdraft: int) -> Wallet:
    """Say how far below zero the balance may be spent."""
    wallet = await find_balance(tx, balance)
    await ledger.set_overdraft(tx, wallet.org_id, wallet.wallet_id, overdraft)
    change = {"overdraft": str(Money(overdraft)), "before": str(Money(wallet.overdraft))}
    await _note_wallet(tx, act, "balance.overdraft", wallet, **change)
    return await ledger.find_wallet(tx, wallet.org_id, wallet.wallet_id)


async def note(tx: Connection, act: Act, what: str, org_id: UUID | None, **details: object) -> None:
    """Write the audit row."""
    await orgs.audit(
        tx,
        AuditEntry(
            audit_id=uuid7(),
            at=act.at,
            who=act.who,
            what=what,
            why=act.why,
            org_id=org_id,
            details=details,
        ),
    )


async def find_balance(tx: Connection, balance: Balance) -> Wallet:
    """Raises NotFound."""
    await orgs.get_org(tx, balance.org_id)
    for wallet in await ledger.wallets_of(tx, balance.org_id):
        if (wallet.livemode, wallet.currency) == (balance.livemode, balance.currency):
            return wallet
    mode = "live" if balance.livemode else "test"
    raise NotFound(f"This organization has no {mode} balance in {balance.currency}")


def _posting(wallet: Wallet, act: Act, kind: EntryKind, amount: int, **more: Any) -> Posting:
    return Posting(
        org_id=wallet.org_id,
        wallet_id=wallet.wallet_id,
        entry_id=uuid7(),
        kind=kind,
        amount=amount,
        actor=act.who,
        reason=act.why,
        **more,
    )


async def _post(tx: Connection, act: Act, what: str, posting: Posting) -> Entry:
    entry = await ledger.post(tx, posting, act.at)
    if entry.entry_id == posting.entry_id:
        amount = str(Money(posting.amount))
        entry_id = show_id("ent", entry.entry_id)
        await note(tx, act, what, posting.org_id, amount=amount, entryId=entry_id)
    return entry


async def _note_wallet(
    tx: Connection, act: Act, what: str, wallet: Wallet, **details: object
) -> None:
    which = {"livemode": wallet.livemode, "currency": wallet.currency}
    await note(tx, act, what, wallet.org_id, **which, **details)


def _check_positive(amount: int) -> None:
    if amount <= 0:
        raise InvalidRequest("amount: must be above 0", {"amount": ["must be above 0"]})
