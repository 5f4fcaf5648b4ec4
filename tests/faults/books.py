"""What the books say of the clients' wishes, read as a superuser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from load import Wish

_RECORDS = """
SELECT request_id, amount, status, source, late FROM usage_record WHERE request_id IS NOT NULL
"""
# Nothing is granted while the clients run, so this is how far the balances fell.
_SPENT = "SELECT coalesce(-sum(amount), 0)::bigint FROM entry WHERE kind = 'consumption'"
_FALLEN = """
SELECT coalesce(sum(granted.amount - w.posted), 0)::bigint
FROM wallet w
CROSS JOIN LATERAL (
    SELECT coalesce(sum(e.amount), 0)::bigint AS amount FROM entry e
    WHERE e.org_id = w.org_id AND e.wallet_id = w.wallet_id AND e.kind <> 'consumption'
) granted
"""
_HELD = "SELECT sum(held)::bigint, (SELECT count(*) FROM hold WHERE state = 'open') FROM wallet"
_LATEST_EXPIRY = """
SELECT count(*), coalesce(max(extract(epoch FROM ended_at - expires_at)), 0)::float
FROM hold WHERE state = 'expired'
"""


@dataclass(frozen=True)
class Found:
    """`kept` are wishes whose cost the client was told, `unheard` those charged unheard."""

    kept: int
    unheard: int
    nothing: int
    told_nanos: int
    unheard_nanos: int
    late: int


def compare(connection: psycopg.Connection[Any], wishes: Sequence[Wish]) -> Found:
    """Hold every wish against its record. Raises AssertionError with the ones that differ."""
    charged: dict[str, list[int]] = {}
    late = 0
    for name, amount, status, _, was_late in connection.execute(_RECORDS):
        late += was_late
        if status < 400:
            charged.setdefault(name, []).append(amount)
    # A hold that nobody settled is charged nothing, which no record says.
    due = [wish for wish in wishes if wish.kind != "hold alone"]
    known = {wish.name for wish in wishes}
    lost = [w for w in due if w.settled and len(charged.get(w.name, [])) != 1]
    wrong = [w for w in due if w.told is not None and charged.get(w.name) != [w.told]]
    dear = [w for w in due if w.told is not None and w.told != w.cost]
    assert lost == [], f"{len(lost)} acknowledged wishes are not charged once"
    assert wrong == [], f"{len(wrong)} wishes were told another cost than they are charged"
    assert dear == [], f"{len(dear)} wishes cost something else than they should"
    twice = {name: costs for name, costs in charged.items() if len(costs) > 1}
    assert twice == {}
    assert charged.keys() <= known
    unheard = {w.name: charged[w.name][0] for w in due if w.told is None and w.name in charged}
    above = [w for w in due if unheard.get(w.name, 0) > w.cost]
    assert above == [], "what nobody heard the end of costs at most what was asked for"
    told = sum(wish.told for wish in due if wish.told is not None)
    (spent,) = connection.execute(_SPENT).fetchone() or (None,)
    (fallen,) = connection.execute(_FALLEN).fetchone() or (None,)
    assert told + sum(unheard.values()) == spent == fallen
    kept = [wish for wish in due if wish.told is not None]
    nothing = len(due) - len(kept) - len(unheard)
    return Found(len(kept), len(unheard), nothing, told, sum(unheard.values()), late)


def held(connection: psycopg.Connection[Any]) -> tuple[int, int]:
    """Return nanos held, and how many holds are open."""
    return connection.execute(_HELD).fetchone() or (0, 0)


def expiry_delay(connection: psycopg.Connection[Any]) -> tuple[int, float]:
    """Return how many holds expired, and the most seconds that one outlived its time."""
    return connection.execute(_LATEST_EXPIRY).fetchone() or (0, 0.0)
