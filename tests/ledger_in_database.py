"""The real ledger as an executor of the tests' language, and its books in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID, uuid5

from msgspec import Raw

from ledger_books import BEGINNING, Books, assert_agrees, read_books
from ledger_language import Called, Posted
from ledger_on_paper import KIND, LOT_KIND, Paper, organization
from tollkeeper import ledger
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.errors import NotFound
from tollkeeper.base.ids import uuid7
from tollkeeper.base.money import format_nanos
from tollkeeper.db import Connection
from tollkeeper.ledger import (
    AlreadyReversed,
    ChargeResult,
    EntryKind,
    LotKind,
    NewCharge,
    NewHold,
    NewLot,
    Posting,
    SourceReused,
)


class InDatabase:
    """Each instance has organizations of its own, so that many can share a database."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.scope = uuid7()
        self.now = self.latest = BEGINNING
        self.wallets: dict[str, tuple[UUID, UUID]] = {}
        self.entries: dict[str, tuple[str, int]] = {}
        self.names: dict[UUID, str] = {}

    async def open(self, wallet: str, overdraft: int) -> None:
        org_id, wallet_id = self.address(wallet)
        async with self.connection.transaction():
            await ledger.open_wallet(
                self.connection,
                org_id=org_id,
                wallet_id=wallet_id,
                livemode=True,
                currency=wallet.partition(".")[2] or "USD",
                now=self.now,
                overdraft=overdraft,
            )
        self.wallets[wallet] = org_id, wallet_id

    async def post(self, posted: Posted) -> str:
        org_id, wallet_id = self.address(posted.wallet)
        entry_id = self._id("entry", posted.name)
        brings = posted.verb in LOT_KIND
        posting = Posting(
            org_id=org_id,
            wallet_id=wallet_id,
            entry_id=entry_id,
            kind=EntryKind(KIND.get(posted.verb, posted.verb)),
            amount=-posted.amount if posted.verb in ("refund", "dispute") else posted.amount,
            lot=self._new_lot(posted) if brings else None,
            lot_id=self._id("entry", posted.from_lot) if posted.from_lot else None,
            source=posted.source,
        )
        try:
            async with self.connection.transaction():
                entry = await ledger.post(self.connection, posting, self.now)
        except (SourceReused, NotFound) as error:
            return error.code
        if entry.entry_id != entry_id:
            return "same"
        self.entries[posted.name] = posted.wallet, entry.seq
        return "posted"

    async def reverse(self, name: str, reversal: str) -> str:
        wallet, seq = self.entries[name]
        try:
            async with self.connection.transaction():
                entry = await ledger.find_entry(self.connection, *self.address(wallet), seq)
                reversing = await ledger.reverse(
                    self.connection,
                    entry,
                    entry_id=self._id("entry", reversal),
                    actor="ada",
                    reason="a mistake",
                    now=self.now,
                )
        except AlreadyReversed:
            return "already_reversed"
        self.entries[reversal] = wallet, reversing.seq
        return "posted"

    async def hold(self, calls: Sequence[Called]) -> list[str]:
        items = [self._new_hold(call) for call in calls]
        results = await ledger.hold(self.connection, items, self.now)
        return [f"{result.outcome} {format_nanos(result.spendable)}" for result in results]

    async def settle(self, calls: Sequence[Called]) -> list[str]:
        items = [self._new_charge(call, held=True) for call in calls]
        return [_said(result) for result in await ledger.settle(self.connection, items, self.now)]

    async def charge(self, calls: Sequence[Called]) -> list[str]:
        items = [self._new_charge(call, held=False) for call in calls]
        return [_said(result) for result in await ledger.charge(self.connection, items, self.now)]

    async def void(self, calls: Sequence[Called]) -> list[str]:
        names = [(*self.address(call.wallet), self.request_id(call)) for call in calls]
        return [str(outcome) for outcome in await ledger.void(self.connection, names, self.now)]

    async def expire_holds(self) -> None:
        while await ledger.expire_holds(self.connection, self.now) == 500:
            pass

    async def expire_lots(self) -> None:
        while await ledger.expire_due_lots(self.connection, self.now) == 100:
            pass

    async def freeze(self, wallet: str) -> None:
        await ledger.freeze(self.connection, *self.address(wallet), "disputed")

    async def unfreeze(self, wallet: str) -> None:
        await ledger.unfreeze(self.connection, *self.address(wallet))

    async def set_overdraft(self, wallet: str, overdraft: int) -> None:
        await ledger.set_overdraft(self.connection, *self.address(wallet), overdraft)

    async def set_clock(self, seconds: int) -> None:
        self.now = BEGINNING + timedelta(seconds=seconds)
        self.latest = max(self.latest, self.now)

    async def balance(self, wallet: str) -> Mapping[str, int]:
        found = await ledger.find_wallet(self.connection, *self.address(wallet))
        return {
            "amount": found.posted,
            "held": found.held,
            "available": found.available,
            "overrun": found.overrun,
        }

    async def lot(self, name: str) -> Mapping[str, int]:
        wallet, _ = self.entries[name]
        drawn = (await self.books()).drawn(self.wallets[wallet][1])
        lot_id = self._id("entry", name)
        return {
            "amount": drawn.remaining[lot_id],
            "spent": drawn.spent[lot_id],
            "expired": drawn.expired[lot_id],
            "taken": drawn.taken_back[lot_id],
        }

    async def record(self, call: Called) -> Mapping[str, int]:
        calls = (await self.books()).calls(self.wallets[call.wallet][1])
        found = next(found for found in calls if found.request == call.request)
        return {"amount": found.amount, "balance": found.balance, "held": found.held or 0}

    async def verify(self) -> list[str]:
        organizations = {org_id for org_id, _ in self.wallets.values()}
        return [
            finding.sentence
            for org_id in organizations
            async for finding in ledger.verify(
                self.connection,
                MovableClock(self.latest),
                org_id=org_id,
                slack=timedelta(days=100_000),
            )
        ]

    async def end(self) -> None:
        """Leave nothing behind that a sweep of another instance would come across."""
        self.now = BEGINNING + timedelta(days=100_000)
        await self.expire_holds()
        await self.expire_lots()

    def address(self, wallet: str) -> tuple[UUID, UUID]:
        return self._id("organization", organization(wallet)), self._id("wallet", wallet)

    def request_id(self, call: Called) -> UUID:
        return self._id("request", f"{organization(call.wallet)} {call.request}")

    async def books(self) -> Books:
        organizations = list({org_id for org_id, _ in self.wallets.values()})
        return await read_books(self.connection, organizations, self.names)

    async def agrees_with(self, paper: Paper) -> None:
        """Raises AssertionError unless every word in the books is on paper too."""
        assert_agrees(await self.books(), self.wallets, paper)

    def _new_lot(self, posted: Posted) -> NewLot:
        return NewLot(
            kind=LotKind(posted.kind or LOT_KIND[posted.verb]),
            priority=posted.priority,
            expires_at=None
            if posted.expires is None
            else BEGINNING + timedelta(seconds=posted.expires),
        )

    def _new_hold(self, call: Called) -> NewHold:
        org_id, wallet_id = self.address(call.wallet)
        return NewHold(
            org_id=org_id,
            wallet_id=wallet_id,
            hold_id=self.request_id(call),
            amount=call.amount,
            expires_at=self.now + timedelta(seconds=call.seconds),
        )

    def _new_charge(self, call: Called, *, held: bool) -> NewCharge:
        org_id, wallet_id = self.address(call.wallet)
        return NewCharge(
            org_id=org_id,
            wallet_id=wallet_id,
            usage_id=self.request_id(call),
            hold_id=self.request_id(call) if held else None,
            fingerprint=call.fingerprint,
            amount=call.amount,
            lines=call.lines,
            started_at=self.now,
            status=200,
            source="provider",
            detail=Raw(b"{}"),
        )

    def _id(self, sort: str, name: str) -> UUID:
        value = uuid5(self.scope, f"{sort} {name}")
        self.names[value] = name
        return value


def _said(result: ChargeResult) -> str:
    refused = result.outcome in ("wallet_unknown", "frozen", "insufficient")
    numbers = [result.spendable] if refused else [result.amount, result.balance_after]
    return " ".join([result.outcome, *map(format_nanos, numbers)])
