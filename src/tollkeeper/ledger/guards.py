"""What the database refuses by itself: the constraints and privileges that hold the rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, LiteralString, NamedTuple

from tollkeeper.db import Connection
from tollkeeper.ledger import guards_store as store
from tollkeeper.ledger.model import Account, EntryKind, Finding, LotKind

# Written once: the application may add to these and no more.
IMMUTABLE: Final = ("entry", "lot", "usage_record")


class Guard(NamedTuple):
    """A constraint that holds a rule, as PostgreSQL words it, and what to look for without it."""

    rule: str
    table: str
    definition: str
    doubles: LiteralString | None = None


def _one_of(column: str, values: Iterable[str]) -> str:
    said = ", ".join(f"'{value}'::text" for value in values)
    return f"CHECK (({column} = ANY (ARRAY[{said}])))"


GUARDS: Final = {
    "usage_record_once": Guard(
        "L5", "usage_record", "UNIQUE (org_id, usage_id)", store.DOUBLE_USAGE
    ),
    "entry_once_per_source": Guard(
        "L5", "entry", "btree (org_id, source) WHERE (source IS NOT NULL)", store.DOUBLE_SOURCES
    ),
    "entry_reversed_once": Guard(
        "L5",
        "entry",
        "btree (org_id, wallet_id, reverses_seq) WHERE (reverses_seq IS NOT NULL)",
        store.DOUBLE_REVERSALS,
    ),
    "entry_amount_not_zero": Guard("L2", "entry", "CHECK ((amount <> 0))"),
    "entry_seq_positive": Guard("L2", "entry", "CHECK ((seq > 0))"),
    "entry_kind_known": Guard("L2", "entry", _one_of("kind", EntryKind)),
    "entry_account_known": Guard("L11", "entry", _one_of("account", Account)),
    "usage_record_amount_not_negative": Guard("L2", "usage_record", "CHECK ((amount >= 0))"),
    "usage_record_source_known": Guard(
        "L2",
        "usage_record",
        _one_of("source", ("provider", "partial", "estimated", "reported", "none")),
    ),
    "lot_amount_positive": Guard("L7", "lot", "CHECK ((amount > 0))"),
    "lot_kind_known": Guard("L7", "lot", _one_of("kind", LotKind)),
    "hold_amount_not_negative": Guard("L3", "hold", "CHECK ((amount >= 0))"),
    "hold_state_known": Guard("L4", "hold", _one_of("state", ("open", "voided", "expired"))),
    "hold_ends_once": Guard("L4", "hold", "CHECK (((state = 'open'::text) = (ended_at IS NULL)))"),
    "counter_pkey": Guard("L3", "counter", "PRIMARY KEY (org_id, limit_id, livemode, subject)"),
    "counter_not_negative": Guard("L3", "counter", "CHECK (((used >= 0) AND (held >= 0)))"),
    "entry_pkey": Guard("L2", "entry", "PRIMARY KEY (org_id, wallet_id, seq)"),
    "usage_record_pkey": Guard("L2", "usage_record", "PRIMARY KEY (org_id, wallet_id, seq)"),
    "lot_pkey": Guard("L5", "lot", "PRIMARY KEY (org_id, lot_id)"),
    "hold_pkey": Guard("L4", "hold", "PRIMARY KEY (org_id, hold_id)"),
    "wallet_pkey": Guard("L3", "wallet", "PRIMARY KEY (org_id, wallet_id)"),
    "wallet_one_per_currency": Guard("L3", "wallet", "UNIQUE (org_id, livemode, currency)"),
    "wallet_hard_stop": Guard(
        "L3", "wallet", "CHECK (((((posted - held) + overdraft) + overrun) >= 0))"
    ),
    "wallet_held_not_negative": Guard("L3", "wallet", "CHECK ((held >= 0))"),
    "wallet_limits_not_negative": Guard(
        "L3", "wallet", "CHECK (((overdraft >= 0) AND (overrun >= 0)))"
    ),
    "wallet_books_balance": Guard(
        "L11",
        "wallet",
        "CHECK (((((((((posted + cash) + promotional) + revenue) + breakage) + refunds) + disputes)"
        " + adjustments) = 0))",
    ),
}


async def check_guards(tx: Connection) -> list[Finding]:
    """What the database must refuse it can refuse: privileges and constraints are in place."""
    found = [
        _finding("L1", table, "privilege", "SELECT, INSERT", privilege)
        for table, privilege in await store.excess_privileges(tx, IMMUTABLE)
    ]
    present = await store.constraints(tx)
    for name, guard in GUARDS.items():
        there = present.get(name, "none")
        if there == guard.definition:
            continue
        found.append(_finding(guard.rule, guard.table, name, guard.definition, there))
        if guard.doubles is not None:
            found += await _find_doubles(tx, name, guard, guard.doubles)
    return found


async def _find_doubles(
    tx: Connection, name: str, guard: Guard, statement: LiteralString
) -> list[Finding]:
    return [
        Finding(
            rule=guard.rule,
            org_id=org_id,
            wallet_id=wallet_id,
            table=guard.table,
            seq=seq,
            row=row,
            column=column,
            expected=expected or "none",
            found=found or "none",
            because=f"as {name} would have it",
        )
        for org_id, wallet_id, seq, row, column, expected, found in await store.doubles(
            tx, statement
        )
    ]


def _finding(rule: str, table: str, column: str, expected: str, found: str) -> Finding:
    return Finding(
        rule=rule,
        org_id=None,
        wallet_id=None,
        table=table,
        seq=None,
        row=f"table {table}",
        column=column,
        expected=expected,
        found=found,
        because="or the database would let the rule be broken",
    )
