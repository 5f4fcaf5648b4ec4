"""The SQL of those checks of `verify` that look for rows wherever they are, not by wallet.

They give rows as the checks of `verify_store.py` do, and take an organization, or NULL for all.
"""

from __future__ import annotations

from typing import Final, LiteralString

# Every currency, live and test, whoever the rows belong to.
TOTALS: Final[LiteralString] = """
SELECT NULL::uuid, NULL::uuid, NULL::bigint,
       'all wallets in ' || currency || CASE WHEN livemode THEN '' ELSE ', test' END,
       'posted', '0', total::text
FROM (
    SELECT livemode, currency,
           sum(posted::numeric + cash + promotional + revenue + breakage + refunds + disputes
               + adjustments) AS total
    FROM wallet
    WHERE %(org_id)s::uuid IS NULL OR org_id = %(org_id)s
    GROUP BY 1, 2
) s
WHERE total <> 0
"""

OVERDUE_HOLDS: Final[LiteralString] = """
SELECT org_id, wallet_id, NULL::bigint, 'hold ' || hold_id, 'state', 'ended by ' || expires_at,
       state
FROM hold
WHERE state = 'open' AND expires_at < %(before)s
  AND (%(org_id)s::uuid IS NULL OR org_id = %(org_id)s)
ORDER BY expires_at
LIMIT %(most)s
"""
# Only what was written by hand is not a list.
_DRAWS: Final[LiteralString] = """
    SELECT h.org_id, (d ->> 0)::uuid AS limit_id, (d ->> 1)::boolean AS livemode,
           d ->> 2 AS subject, (d ->> 3)::timestamptz AS period_start,
           sum((d ->> 4)::bigint) AS units
    FROM hold h
    CROSS JOIN LATERAL jsonb_array_elements(
        CASE jsonb_typeof(h.draws) WHEN 'array' THEN h.draws ELSE '[]' END
    ) AS d
    WHERE h.state = 'open' AND h.draws IS NOT NULL
    GROUP BY 1, 2, 3, 4, 5"""
DRAWS_OF_HOLDS: Final[LiteralString] = """
SELECT h.org_id, h.wallet_id, NULL::bigint, 'hold ' || h.hold_id, 'draws', 'a list',
       left(h.draws::text, 200)
FROM hold h
WHERE h.draws IS NOT NULL AND jsonb_typeof(h.draws) <> 'array'
  AND (%(org_id)s::uuid IS NULL OR h.org_id = %(org_id)s)
ORDER BY h.hold_id
LIMIT %(most)s
"""
# A hold of an earlier period, or from before a counter was begun anew, reserves nothing of it.
COUNTERS: Final[LiteralString] = f"""
SELECT v.org_id, NULL::uuid, NULL::bigint,
       'counter ' || v.limit_id || CASE WHEN v.subject = '' THEN '' ELSE ' of ' || v.subject END,
       'held', v.expected::text, v.held::text
FROM (
    SELECT k.org_id, k.limit_id, k.livemode, k.subject, k.held, coalesce(h.units, 0) AS expected
    FROM counter k
    LEFT JOIN ({_DRAWS}) h USING (org_id, limit_id, livemode, subject, period_start)
    UNION ALL
    SELECT h.org_id, h.limit_id, h.livemode, h.subject, NULL, h.units
    FROM ({_DRAWS}) h
    LEFT JOIN counter k USING (org_id, limit_id, livemode, subject)
    WHERE k.org_id IS NULL
) v
WHERE v.expected IS DISTINCT FROM v.held AND (%(org_id)s::uuid IS NULL OR v.org_id = %(org_id)s)
ORDER BY v.org_id, v.limit_id, v.livemode, v.subject
LIMIT %(most)s
"""


def _without_wallet(table: LiteralString) -> LiteralString:
    # From one wallet's rows to the next one's, however many rows lie between.
    first: LiteralString = f"""
    SELECT r.org_id, r.wallet_id FROM {table} r
    WHERE (%(org_id)s::uuid IS NULL OR r.org_id = %(org_id)s)"""
    following: LiteralString = first + " AND (r.org_id, r.wallet_id) > (o.org_id, o.wallet_id)"
    order: LiteralString = " ORDER BY r.org_id, r.wallet_id LIMIT 1"
    return f"""
WITH RECURSIVE owner AS (
    ({first}{order})
    UNION ALL
    SELECT n.* FROM owner o CROSS JOIN LATERAL ({following}{order}) n
)
SELECT o.org_id, o.wallet_id, NULL::bigint, 'wallet', 'wallet_id', 'a wallet', 'rows without one'
FROM owner o
LEFT JOIN wallet w USING (org_id, wallet_id)
WHERE w.org_id IS NULL
LIMIT %(most)s
"""


ENTRIES_WITHOUT_WALLET: Final[LiteralString] = _without_wallet("entry")
USAGE_WITHOUT_WALLET: Final[LiteralString] = _without_wallet("usage_record")
LOTS_WITHOUT_WALLET: Final[LiteralString] = _without_wallet("lot")
HOLDS_WITHOUT_WALLET: Final[LiteralString] = """
SELECT DISTINCT h.org_id, h.wallet_id, NULL::bigint, 'wallet', 'wallet_id', 'a wallet',
       'rows without one'
FROM hold h
LEFT JOIN wallet w USING (org_id, wallet_id)
WHERE w.org_id IS NULL AND (%(org_id)s::uuid IS NULL OR h.org_id = %(org_id)s)
LIMIT %(most)s
"""
