"""Calls of one wallet, written down as the ledger would have: chained, and each at its own time.

The ledger's statement records a batch at one moment, the present. A year of calls, each at its
moment, would be as many statements: decision 88 has the measurements.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from tollkeeper.base.money import Money
from tollkeeper.demo.store import Purse
from tollkeeper.demo.traffic import Made
from tollkeeper.ledger import InsufficientCredits, NewCharge
from tollkeeper.metering import refused_call

Row = tuple[object, ...]

_TOGETHER: Final = timedelta(seconds=45)


class History:
    """Takes calls in the order of their ends. Those that end close together are recorded together,
    under one entry; `close_entry` ends that. `records` and `entries` are rows for `store.write`."""

    def __init__(self, purse: Purse) -> None:
        self.purse = purse
        self.records: list[Row] = []
        self.entries: list[Row] = []
        self._open: list[NewCharge] = []
        self._spent = 0
        self._since = self._until = purse.newest_at

    def add(self, made: Made) -> None:
        """What the balance does not cover is refused, and recorded as that."""
        charge, end = made.charge, ended(made.charge)
        if self._open and end - self._since > _TOGETHER:
            self.close_entry()
        if not self._open:
            self._since = end
        left = self.purse.spendable - self._spent
        if charge.amount > left:
            charge = refused_call(made.call, too_dear(charge, left))
        self._until = max(self._until, end)
        self._spent += charge.amount
        self._open.append(charge)

    def close_entry(self) -> None:
        purse = self.purse
        if not self._open:
            return
        for charge in self._open:
            self._record(charge, self._until)
        if self._spent:
            purse.entry_seq += 1
            self.entries.append(
                (
                    purse.org_id,
                    purse.wallet_id,
                    purse.entry_seq,
                    self._open[-1].usage_id,
                    "consumption",
                    "revenue",
                    -self._spent,
                    purse.posted,
                    self._until,
                )
            )
        purse.newest_at = self._until
        self._open, self._spent = [], 0

    def _record(self, charge: NewCharge, at: datetime) -> None:
        purse = self.purse
        purse.posted -= charge.amount
        purse.usage_seq += 1
        purse.line_seq += charge.lines
        self.records.append(
            (
                purse.org_id,
                purse.wallet_id,
                purse.usage_seq,
                charge.usage_id,
                purse.entry_seq + 1 if charge.amount else None,
                charge.amount,
                purse.posted,
                False,
                charge.lines,
                purse.line_seq,
                at,
                charge.started_at,
                charge.duration_ms,
                charge.project_id,
                charge.key_id,
                charge.request_id,
                charge.fingerprint,
                charge.status,
                charge.source,
                charge.provider,
                charge.model,
                charge.operation,
                charge.thread_id,
                bytes(charge.detail).decode(),
            )
        )


def ended(charge: NewCharge) -> datetime:
    return charge.started_at + timedelta(milliseconds=charge.duration_ms or 0)


def too_dear(charge: NewCharge, spendable: int) -> InsufficientCredits:
    return InsufficientCredits(
        f"This call costs {Money(charge.amount)} USD; {Money(max(0, spendable))} is left"
    )
