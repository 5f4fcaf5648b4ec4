"""Reconciling a month of payments with the processor's books.

    ./dev bench reconcile [--payments N]

The books are the sandbox's, read from the same server: what is measured is ours, not a network.
Stripe gives a hundred lines in an answer, one answer after the other, and sets the pace itself.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Final

import psutil
import psycopg

from _report import Row, show
from _stand import postgres
from tollkeeper.base.clock import SystemClock
from tollkeeper.credits import Window, reconcile
from tollkeeper.db import Database
from tollkeeper.payments import Till
from tollkeeper.payments.processors import Processors
from tollkeeper.payments.processors.sandbox import SandboxProcessor

_ORGS: Final = 100
_DAYS: Final = 30
_MIB: Final = 1024 * 1024

# A number becomes the ids of everything that belongs to one payment.
_ID: Final = "('00000000-0000-7000-8{kind}00-' || lpad(to_hex(n), 12, '0'))::uuid"
_ORG: Final = "('00000000-0000-7000-8000-' || lpad(to_hex(mod(n, {orgs})), 12, '0'))::uuid"
_AT: Final = (
    "%(until)s::timestamptz - interval '2 hours' - n * (interval '{days} days' / %(count)s)"
)
_WALLETS: Final = """
INSERT INTO wallet (org_id, wallet_id, livemode, currency, newest_at, opened_at)
SELECT {org}, {org}, false, 'USD', %(until)s, %(until)s FROM generate_series(0, {orgs} - 1) AS n
"""
_PAYMENTS: Final = """
INSERT INTO payment (
    org_id, payment_id, livemode, processor, subject_id, status, amount_minor, currency,
    description, return_url, page, off_session, save_method, ref, intended_at, settled_at
)
SELECT {org}, {payment}, false, 'sandbox', {purchase}, 'succeeded', 500 + mod(n, 5000), 'USD',
       'Credit', 'https://a.test', 'hosted', false, false, 'sbpay_' || n, {at},
       {at} + interval '5 seconds'
FROM generate_series(1, %(count)s) AS n
"""
_ENTRIES: Final = """
INSERT INTO entry (
    org_id, wallet_id, seq, entry_id, kind, account, amount, balance_after, posted_at, source
)
SELECT {org}, {org}, n, {purchase}, 'purchase', 'cash', (500 + mod(n, 5000)) * 10000000::bigint, 0,
       {at} + interval '5 seconds', 'payment:' || {payment}
FROM generate_series(1, %(count)s) AS n
"""
_LINES: Final = """
INSERT INTO sandbox_object (object_id, kind, parent, created_at, body)
SELECT 'sblin_' || n, 'line', 'sbpay_' || n, {at}, jsonb_build_object(
    'ref', 'sblin_' || n, 'created_at', {at}, 'movement', 'payment', 'source', 'sbpay_' || n,
    'payment', 'sbpay_' || n, 'org_id', {org}, 'payment_id', {payment},
    'amount', 500 + mod(n, 5000), 'fee', 50, 'currency', 'USD')
FROM generate_series(1, %(count)s) AS n
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--payments", type=int, default=100_000)
    options = parser.parse_args()
    sizes = [options.payments // 10, options.payments]
    rows: list[Row] = []
    for size in sizes:
        with postgres() as server:
            until = datetime.now(UTC)
            _populate(server.url, size, until)
            rows.append(asyncio.run(_reconcile(server.url, until, size)))
    grown = float(str(rows[-1]["MiB at most"])) - float(str(rows[0]["MiB at most"]))
    show(
        "reconcile",
        rows,
        [
            (f"seconds for {sizes[-1]:,} payments", float(str(rows[-1]["seconds"])), "≤ 60"),
            ("MiB more for ten times as many", grown, "about 0"),
        ],
    )


def _populate(url: str, count: int, until: datetime) -> None:
    names = {
        "orgs": str(_ORGS),
        "org": _ORG.format(orgs=_ORGS),
        "payment": _ID.format(kind=1),
        "purchase": _ID.format(kind=2),
        "at": _AT.format(days=_DAYS),
    }
    with psycopg.connect(url, autocommit=True) as owner:
        for statement in (_WALLETS, _PAYMENTS, _ENTRIES, _LINES):
            owner.execute(statement.format(**names).encode(), {"count": count, "until": until})
        owner.execute("ANALYZE")


async def _reconcile(url: str, until: datetime, count: int) -> Row:
    clock, peak = SystemClock(), [0]
    watch = asyncio.create_task(_watch(peak))
    async with Database.open(url) as database:
        sandbox = SandboxProcessor(database, clock, b"s" * 32, "http://nowhere.invalid")
        till = Till(database=database, processors=Processors((sandbox,)), clock=clock)
        window = Window(until - timedelta(days=_DAYS + 1), until)
        began = time.perf_counter()
        made = await reconcile(till, sandbox, window)
        seconds = time.perf_counter() - began
    watch.cancel()
    if not made.clean or sum(day.payments for day in made.days) != count:
        raise SystemExit(f"not clean, or not all: {made.counts} {made.movements} of {count}")
    return {
        "payments": count,
        "seconds": seconds,
        "payments per second": count / seconds,
        "MiB at most": peak[0] / _MIB,
    }


async def _watch(peak: list[int]) -> None:
    process = psutil.Process()
    while True:
        peak[0] = max(peak[0], process.memory_info().rss)
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    main()
