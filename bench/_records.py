"""Ten million usage records: one is charged, the others are it, repeated inside the database."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta

import aiohttp
import psycopg

from _stand import Customer
from tollkeeper.db import Database
from tollkeeper.metering import sums

DAYS = 90
_CHARGE = {
    "provider": "openai",
    "model": "gpt-4.1-mini",
    "usage": {"input": 1200, "output": 300},
    "requestId": "the-first",
}
_AGE_FIRST = """
UPDATE usage_record SET recorded_at = now() - %(span)s::interval,
                        started_at = now() - %(span)s::interval - interval '1 second'
WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s AND request_id = 'the-first'
"""
REPEAT = """
INSERT INTO usage_record (
    org_id, wallet_id, seq, usage_id, entry_seq, amount, balance_after, held, late, lines,
    line_seq, recorded_at, started_at, duration_ms, project_id, key_id, request_id, fingerprint,
    status, source, provider, model, operation, thread_id, detail
)
SELECT org_id, wallet_id, n, gen_random_uuid(), entry_seq, amount, balance_after, held, late,
       lines, n * lines, v.at, v.at - interval '1 second', duration_ms,
       md5((k %% 5)::text)::uuid, md5('key' || k)::uuid, NULL, NULL, status, source, provider,
       'model-' || n * 7 %% 8, CASE WHEN n %% 10 = 0 THEN 'embeddings' ELSE 'chat.completions' END,
       thread_id,
       detail || jsonb_build_object('endUser', 'user-' || n * 31 %% 500,
                                    'tags', jsonb_build_object('team', 'team-' || n * 17 %% 10))
FROM usage_record
CROSS JOIN generate_series(%(first)s::bigint, %(last)s::bigint) AS n
CROSS JOIN LATERAL (SELECT n * 13 %% 20 AS k) AS key
CROSS JOIN LATERAL (
    SELECT CASE WHEN %(step)s::interval IS NULL THEN clock_timestamp()
                ELSE now() - %(span)s::interval + n * %(step)s::interval END AS at
) AS v
WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s AND seq = 1
"""
MOVE = """
UPDATE wallet SET usage_seq = %(last)s, line_seq = %(last)s * 2
WHERE org_id = %(org_id)s AND wallet_id = %(wallet_id)s
"""


async def charge(base: str, customer: Customer) -> None:
    headers = {"authorization": f"Bearer {customer.key}"}
    async with (
        aiohttp.ClientSession(base) as session,
        session.post("/api/v1/metering/charges", json=_CHARGE, headers=headers) as answer,
    ):
        if answer.status >= 300:
            raise SystemExit(f"{answer.status} {await answer.text()}")


def fill(url: str, customer: Customer, records: int) -> None:
    print(f"writing {records:,} records", flush=True)
    values = {
        "org_id": customer.org_id,
        "wallet_id": customer.wallet_id,
        "first": 2,
        "last": records,
        "span": timedelta(days=DAYS),
        "step": timedelta(days=DAYS) / (records + 1),
    }
    with psycopg.connect(url) as connection:
        for statement in (_AGE_FIRST, REPEAT, MOVE):
            connection.execute(statement, values)


async def add_up(url: str) -> float:
    async with Database.open(url) as database:
        began = time.perf_counter()
        return await sums.sweep(database) / (time.perf_counter() - began)


def quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]
