"""All that stands in the real ledger's books, read at once and put in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, LiteralString
from uuid import UUID

from ledger_on_paper import ACCOUNT, Call, Line, Paper, Sheet, merged
from tollkeeper.db import Connection
from tollkeeper.ledger import Account, Drawn, Entry, EntryKind, Lot, LotKind, draw

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)

# Times as seconds since the beginning, rows in the order of their sequence.
_READ: LiteralString = """
SELECT json_build_object(
    'wallets', (SELECT json_agg(to_json(w)) FROM wallet w WHERE org_id = ANY(%(org_ids)s)),
    'entries', (SELECT json_agg(to_json(e) ORDER BY seq) FROM entry e
                WHERE org_id = ANY(%(org_ids)s)),
    'records', (SELECT json_agg(to_json(u) ORDER BY seq) FROM usage_record u
                WHERE org_id = ANY(%(org_ids)s)),
    'lots', (SELECT json_agg(to_json(l) ORDER BY entry_seq) FROM lot l
             WHERE org_id = ANY(%(org_ids)s)),
    'holds', (SELECT json_agg(to_json(h)) FROM hold h WHERE org_id = ANY(%(org_ids)s))
)
"""

Row = dict[str, Any]


@dataclass(frozen=True)
class Books:
    """The rows of some organizations, by table; `names` are those of the tests' language."""

    rows: Mapping[str, list[Row]]
    names: Mapping[UUID, str]

    def of(self, table: str, wallet_id: UUID) -> list[Row]:
        return [row for row in self.rows[table] if row["wallet_id"] == str(wallet_id)]

    def name(self, value: str | None) -> str | None:
        return None if value is None else self.names[UUID(value)]

    def lines(self, wallet_id: UUID) -> list[Line]:
        return [
            Line(
                kind=row["kind"],
                account=row["account"],
                amount=row["amount"],
                balance=row["balance_after"],
                at=seconds(row["posted_at"]) or 0,
                lot=self.name(row["lot_id"]),
                source=row["source"],
            )
            for row in self.of("entries", wallet_id)
        ]

    def calls(self, wallet_id: UUID) -> list[Call]:
        return [
            Call(
                request=(self.name(row["usage_id"]) or "").split()[1],
                amount=row["amount"],
                balance=row["balance_after"],
                at=seconds(row["recorded_at"]) or 0,
                held=row["held"],
                late=row["late"],
                lines=row["lines"],
                fingerprint=row["fingerprint"],
            )
            for row in self.of("records", wallet_id)
        ]

    def drawn(self, wallet_id: UUID) -> Drawn:
        lots = [
            Lot(
                lot_id=UUID(row["lot_id"]),
                entry_seq=row["entry_seq"],
                kind=LotKind(row["kind"]),
                amount=row["amount"],
                priority=row["priority"],
                arrived_at=_instant(row["arrived_at"]),
                expires_at=row["expires_at"] and _instant(row["expires_at"]),
                label=row["label"],
            )
            for row in self.of("lots", wallet_id)
        ]
        movements = [
            _entry(row) for row in self.of("entries", wallet_id) if row["kind"] != "consumption"
        ]
        (wallet,) = self.of("wallets", wallet_id)
        return draw(lots, movements, wallet["posted"])


async def read_books(
    connection: Connection, org_ids: list[UUID], names: Mapping[UUID, str]
) -> Books:
    cursor = await connection.execute(_READ, {"org_ids": org_ids}, prepare=True)
    (row,) = await cursor.fetchall()
    return Books({table: rows or [] for table, rows in row[0].items()}, names)


def assert_agrees(books: Books, addresses: Mapping[str, tuple[UUID, UUID]], paper: Paper) -> None:
    """Everything that is written in the one is written in the other."""
    for wallet, sheet in paper.sheets.items():
        _, wallet_id = addresses[wallet]
        _assert_head_agrees(books, wallet_id, wallet, paper)
        assert [_plain(line) for line in merged(books.lines(wallet_id))] == [
            _plain(line) for line in merged(sheet.lines)
        ]
        assert books.calls(wallet_id) == sheet.calls
        _assert_lots_agree(books, wallet_id, sheet)
    assert {
        books.name(row["hold_id"]): (row["wallet_id"], row["amount"], row["state"])
        for row in books.rows["holds"]
    } == {
        " ".join(name): (str(addresses[hold.wallet][1]), hold.amount, hold.state)
        for name, hold in paper.reserved.items()
    }


def _assert_head_agrees(books: Books, wallet_id: UUID, wallet: str, paper: Paper) -> None:
    sheet = paper.sheets[wallet]
    (head,) = books.of("wallets", wallet_id)
    expected = {
        "posted": sheet.posted,
        "held": paper.held(wallet),
        "overdraft": sheet.overdraft,
        "overrun": max(0, -paper.spendable(wallet)),
        "usage_seq": len(sheet.calls),
        "line_seq": sum(call.lines for call in sheet.calls),
    }
    for account in ACCOUNT.values():
        expected[account] = -sum(line.amount for line in sheet.lines if line.account == account)
    assert {name: head[name] for name in expected} == expected
    assert (head["frozen_reason"] is not None) == sheet.frozen
    assert seconds(head["newest_at"]) == sheet.newest
    assert seconds(head["next_expiry_at"]) == sheet.next_expiry


def _assert_lots_agree(books: Books, wallet_id: UUID, sheet: Sheet) -> None:
    drawn = books.drawn(wallet_id)
    assert [
        (
            books.names[lot_id],
            drawn.remaining[lot_id],
            drawn.spent[lot_id],
            drawn.expired[lot_id],
            drawn.taken_back[lot_id],
        )
        for lot_id in drawn.lots
    ] == [(c.name, c.left, c.spent, c.expired, c.taken) for c in sheet.credits]
    assert drawn.debt == sheet.debt
    assert drawn.expired_beyond == {}


def seconds(at: str | None) -> int | None:
    return None if at is None else round((_instant(at) - BEGINNING).total_seconds())


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _entry(row: Row) -> Entry:
    return Entry(
        org_id=UUID(row["org_id"]),
        wallet_id=UUID(row["wallet_id"]),
        seq=row["seq"],
        entry_id=UUID(row["entry_id"]),
        kind=EntryKind(row["kind"]),
        account=Account(row["account"]),
        amount=row["amount"],
        balance_after=row["balance_after"],
        posted_at=_instant(row["posted_at"]),
        lot_id=None if row["lot_id"] is None else UUID(row["lot_id"]),
        source=row["source"],
        reverses_seq=row["reverses_seq"],
        actor=row["actor"],
        reason=row["reason"],
    )


def _plain(line: Line) -> tuple[Any, ...]:
    return (line.kind, line.account, line.amount, line.balance, line.at, line.lot, line.source)
