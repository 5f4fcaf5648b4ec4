"""The three set-based statements of the hot path. Each takes many items and costs one round trip.

All lock the wallets they touch first, in the order of their ids, so that no two of them can wait
for each other; then they look, decide per item, and write. `ord` is an item's place in the batch.

What they read of a wallet is its newest state, since it is locked. What they look up elsewhere is
as old as the statement, which may have waited for its locks: a hold or a record that somebody
wrote meanwhile is not seen. Writing runs into it all the same (a unique index, the recheck of an
UPDATE or DELETE), and such an item is sent `again`, as is one that did not fit only because of
what came before it, and the second of two with the same id. docs/decisions/0027 has the cases.

What takes nothing of its wallet fits, also into one that is below zero: it makes no debt larger.

Items travel as one JSON array: it costs the sender a tenth of what arrays by column cost.
"""

from __future__ import annotations

from typing import Final, LiteralString

# LATERAL with a lock or a LIMIT inside is looked up by its index row by row, whatever the planner
# believes about sizes: a plan made while a table was small stays right when it is large. (EXISTS
# is not safe: it may be turned into a hash of the whole table.)
LOCKED: Final[LiteralString] = """
locked AS MATERIALIZED (
    SELECT w.*
    FROM (SELECT DISTINCT i.org_id, i.wallet_id FROM item i ORDER BY 1, 2) d
    CROSS JOIN LATERAL (
        SELECT w.org_id, w.wallet_id, w.posted, w.posted - w.held + w.overdraft AS spendable,
               w.frozen_reason IS NOT NULL AS frozen,
               coalesce(w.next_expiry_at <= %(now)s, false) AS expiry_due,
               -- How far a charge without `must_fit` may go: sums of nanos stay 64-bit integers.
               least(w.posted + 2305843009213693952,
                     9223372036854775807 - greatest(w.revenue, 0)) AS depth,
               w.entry_seq, w.usage_seq, w.line_seq, greatest(w.newest_at, %(now)s) AS at
        FROM wallet w
        WHERE w.org_id = d.org_id AND w.wallet_id = d.wallet_id
        FOR UPDATE
    ) w
)"""

HOLD_ITEM: Final[LiteralString] = """
item AS MATERIALIZED (
    SELECT * FROM ROWS FROM (json_to_recordset(%(items)s::json) AS (
        org_id uuid, wallet_id uuid, hold_id uuid, amount bigint, expires_at timestamptz,
        project_id uuid, key_id uuid, context jsonb
    )) WITH ORDINALITY AS t (
        org_id, wallet_id, hold_id, amount, expires_at, project_id, key_id, context, ord
    )
)"""

_HOLD_LOOKED: Final[LiteralString] = """
seen AS MATERIALIZED (
    -- This read is as old as the statement, the locked one is not.
    SELECT l.*, l.usage_seq > w.usage_seq AS charged_meanwhile
    FROM locked l
    CROSS JOIN LATERAL (
        SELECT w.usage_seq FROM wallet w
        WHERE w.org_id = l.org_id AND w.wallet_id = l.wallet_id
        LIMIT 1
    ) w
), looked AS MATERIALIZED (
    SELECT i.*, l.spendable, l.charged_meanwhile,
           CASE WHEN l.org_id IS NULL THEN 'wallet_unknown'
                WHEN u.usage_id IS NOT NULL THEN 'already_charged'
                WHEN h.state = 'open' AND ({same_amount}) AND h.wallet_id = i.wallet_id
                    THEN 'exists'
                WHEN h.state = 'open' THEN 'exists_with_other_amount'
                WHEN l.frozen THEN 'frozen'
                WHEN l.expiry_due THEN 'expiry_due'
                WHEN i.nth > 1 THEN 'again'
           END AS refused
    FROM (
        SELECT item.*, row_number() OVER (PARTITION BY org_id, hold_id ORDER BY ord) AS nth
        FROM item
    ) i
    LEFT JOIN seen l USING (org_id, wallet_id)
    LEFT JOIN LATERAL (
        SELECT h.wallet_id, h.state, h.amount, h.draws FROM hold h
        WHERE h.org_id = i.org_id AND h.hold_id = i.hold_id
        LIMIT 1
    ) h ON true
    LEFT JOIN LATERAL (
        SELECT u.usage_id FROM usage_record u
        WHERE u.org_id = i.org_id AND u.usage_id = i.hold_id
        LIMIT 1
    ) u ON true
)"""
# What an allowance has paid of a hold is not in its amount, so that the amounts say nothing.
HOLD_LOOKED: Final[LiteralString] = _HOLD_LOOKED.format(same_amount="h.amount = i.amount")
COUNTED_HOLD_LOOKED: Final[LiteralString] = _HOLD_LOOKED.format(
    same_amount="h.amount = i.amount OR h.draws IS NOT NULL"
)

# The same request may try again after its hold was voided or has expired.
PLACED_ANEW: Final[LiteralString] = """ON CONFLICT (org_id, hold_id) DO UPDATE
    SET wallet_id = excluded.wallet_id, amount = excluded.amount, state = 'open',
        project_id = excluded.project_id, key_id = excluded.key_id,
        placed_at = excluded.placed_at, expires_at = excluded.expires_at, ended_at = NULL,
        context = excluded.context, draws = excluded.draws
    WHERE h.state <> 'open'
    RETURNING h.org_id, h.wallet_id, h.hold_id, h.amount"""

HOLD: Final[LiteralString] = f"""
WITH {HOLD_ITEM}, {LOCKED}, {HOLD_LOOKED}, summed AS MATERIALIZED (
    SELECT k.*,
           k.refused IS NULL AND sum(k.amount) OVER w <= greatest(k.spendable, 0) AS fits
    FROM looked k
    WINDOW w AS (
        PARTITION BY k.org_id, k.wallet_id, coalesce(k.refused, 'again') = 'again' ORDER BY k.ord
    )
), placed AS (
    INSERT INTO hold AS h (org_id, hold_id, wallet_id, amount, state,
                           project_id, key_id, placed_at, expires_at, context)
    SELECT s.org_id, s.hold_id, s.wallet_id, s.amount, 'open',
           s.project_id, s.key_id, %(now)s, s.expires_at, s.context
    FROM summed s
    WHERE s.fits
    {PLACED_ANEW}
), total AS MATERIALIZED (
    SELECT p.org_id, p.wallet_id, sum(p.amount)::bigint AS amount FROM placed p GROUP BY 1, 2
), moved AS (
    UPDATE wallet w SET held = w.held + t.amount
    FROM total t
    WHERE w.org_id = t.org_id AND w.wallet_id = t.wallet_id
)
SELECT CASE WHEN s.refused IS NOT NULL THEN s.refused
            WHEN s.is_placed AND s.charged_meanwhile THEN 'placed_unless_charged'
            WHEN s.is_placed THEN 'placed'
            -- Somebody placed the same hold while this statement waited.
            WHEN s.fits THEN 'again'
            WHEN s.amount > greatest(s.spendable - s.taken, 0) THEN 'insufficient'
            ELSE 'again'
       END,
       coalesce(s.spendable - s.taken + CASE WHEN s.is_placed THEN s.amount ELSE 0 END, 0)::bigint
FROM (
    SELECT summed.*, p.hold_id IS NOT NULL AND fits AS is_placed,
           coalesce(sum(summed.amount) FILTER (WHERE p.hold_id IS NOT NULL AND fits) OVER (
               PARTITION BY summed.org_id, summed.wallet_id
           ), 0) AS taken
    FROM summed
    LEFT JOIN placed p ON p.org_id = summed.org_id AND p.hold_id = summed.hold_id
) s
ORDER BY s.ord
"""

CHARGE_ITEM: Final[LiteralString] = """
item AS MATERIALIZED (
    SELECT * FROM ROWS FROM (json_to_recordset(%(items)s::json) AS (
        org_id uuid, wallet_id uuid, usage_id uuid, hold_id uuid, amount bigint, lines smallint,
        started_at timestamptz, duration_ms integer, project_id uuid, key_id uuid,
        request_id text, fingerprint bigint, status smallint, source text, provider text,
        model text, operation text, thread_id text, detail jsonb
    )) WITH ORDINALITY AS t (
        org_id, wallet_id, usage_id, hold_id, amount, lines, started_at, duration_ms, project_id,
        key_id, request_id, fingerprint, status, source, provider, model, operation, thread_id,
        detail, ord
    )
)"""

CHARGE_LOOKED: Final[LiteralString] = """
looked AS MATERIALIZED (
    SELECT i.*, l.posted, l.spendable, l.entry_seq, l.usage_seq, l.line_seq, l.at,
           CASE WHEN %(must_fit)s THEN least(greatest(l.spendable, 0), l.depth) ELSE l.depth
           END AS room,
           u.amount AS first_amount, u.balance_after AS first_balance,
           CASE WHEN l.org_id IS NULL THEN 'wallet_unknown'
                WHEN u.usage_id IS NOT NULL AND u.fingerprint IS DISTINCT FROM i.fingerprint
                    THEN 'exists_with_other_fingerprint'
                WHEN u.usage_id IS NOT NULL THEN 'exists'
                WHEN l.frozen AND %(must_fit)s THEN 'frozen'
                WHEN l.expiry_due AND %(must_fit)s THEN 'expiry_due'
                WHEN i.nth_of_id > 1 THEN 'again'
           END AS refused
    FROM (
        SELECT item.*, row_number() OVER (PARTITION BY org_id, usage_id ORDER BY ord) AS nth_of_id
        FROM item
    ) i
    LEFT JOIN locked l USING (org_id, wallet_id)
    LEFT JOIN LATERAL (
        SELECT u.usage_id, u.fingerprint, u.amount, u.balance_after FROM usage_record u
        WHERE u.org_id = i.org_id AND u.usage_id = i.usage_id
        LIMIT 1
    ) u ON true
)"""

# `summed` are the items with what each costs and whether it is `taken`.
CHARGE_POSTED: Final[LiteralString] = """
released AS (
    DELETE FROM hold h USING summed s
    WHERE s.taken AND h.org_id = s.org_id AND h.hold_id = s.hold_id AND h.wallet_id = s.wallet_id
    RETURNING s.ord, h.org_id, h.amount, h.state, h.draws
), settled AS MATERIALIZED (
    SELECT s.*, r.amount AS held, CASE WHEN r.state = 'open' THEN r.amount ELSE 0 END AS freed,
           s.hold_id IS NOT NULL AND r.state IS DISTINCT FROM 'open' AS late
    FROM summed s LEFT JOIN released r ON r.ord = s.ord
), recorded AS (
    INSERT INTO usage_record (
        org_id, wallet_id, seq, usage_id, entry_seq, amount, balance_after,
        held, late, lines, line_seq, recorded_at, started_at, duration_ms, project_id, key_id,
        request_id, fingerprint, status, source, provider, model, operation, thread_id, detail
    )
    SELECT s.org_id, s.wallet_id, s.usage_seq + s.nth, s.usage_id,
           CASE WHEN s.amount > 0 THEN s.entry_seq + 1 END, s.amount, s.posted - s.amount_to_here,
           s.held, s.late, s.lines, s.line_seq + s.lines_to_here, s.at, s.started_at,
           s.duration_ms, s.project_id, s.key_id, s.request_id, s.fingerprint, s.status,
           s.source, s.provider, s.model, s.operation, s.thread_id, s.detail
    FROM settled s
    WHERE s.taken
), total AS MATERIALIZED (
    SELECT s.org_id, s.wallet_id, sum(s.amount)::bigint AS amount, count(*) AS records,
           sum(s.lines) AS lines, sum(s.freed)::bigint AS freed, min(s.at) AS at,
           min(s.entry_seq) + 1 AS next_seq, min(s.posted) - sum(s.amount)::bigint AS balance,
           (array_agg(s.usage_id ORDER BY s.ord DESC))[1] AS newest_usage_id
    FROM settled s
    WHERE s.taken
    GROUP BY 1, 2
), moved AS (
    UPDATE wallet w
    SET posted = w.posted - t.amount,
        revenue = w.revenue + t.amount,
        held = w.held - t.freed,
        overrun = greatest(0, -(w.posted - t.amount - w.held + t.freed + w.overdraft)),
        entry_seq = w.entry_seq + CASE WHEN t.amount > 0 THEN 1 ELSE 0 END,
        usage_seq = w.usage_seq + t.records,
        line_seq = w.line_seq + t.lines,
        newest_at = t.at
    FROM total t
    WHERE w.org_id = t.org_id AND w.wallet_id = t.wallet_id
), journal AS (
    INSERT INTO entry (org_id, wallet_id, seq, entry_id, kind, account,
                       amount, balance_after, posted_at)
    SELECT t.org_id, t.wallet_id, t.next_seq, t.newest_usage_id, 'consumption', 'revenue',
           -t.amount, t.balance, t.at
    FROM total t
    WHERE t.amount > 0
)"""

# Each item beside what was spent and set free of its wallet.
SETTLED_OF_WALLET: Final[LiteralString] = """(
    SELECT settled.*,
           coalesce(sum(amount) FILTER (WHERE taken) OVER x, 0) AS spent,
           sum(freed) OVER x AS freed_of_wallet
    FROM settled
    WINDOW x AS (PARTITION BY org_id, wallet_id)
)"""

# Gives back what holds had reserved of counters, unless their period is over.
_GIVEN_BACK: Final[LiteralString] = """
given_back AS MATERIALIZED (
    SELECT e.org_id, (d ->> 0)::uuid AS limit_id, (d ->> 1)::boolean AS livemode,
           d ->> 2 AS subject, (d ->> 3)::timestamptz AS period_start,
           sum((d ->> 4)::bigint)::bigint AS units
    FROM {ended} e CROSS JOIN LATERAL jsonb_array_elements(e.draws) AS d
    WHERE e.draws IS NOT NULL
    GROUP BY 1, 2, 3, 4, 5
), counter_locked AS MATERIALIZED (
    SELECT k.org_id
    FROM (SELECT DISTINCT g.org_id, g.limit_id, g.livemode, g.subject
          FROM given_back g ORDER BY 1, 2, 3, 4) g
    CROSS JOIN LATERAL (
        SELECT k.org_id FROM counter k
        WHERE k.org_id = g.org_id AND k.limit_id = g.limit_id AND k.livemode = g.livemode
          AND k.subject = g.subject
        FOR UPDATE
    ) k
), uncount AS (
    UPDATE counter k SET held = greatest(0, k.held - g.units)
    FROM given_back g
    WHERE k.org_id = g.org_id AND k.limit_id = g.limit_id AND k.livemode = g.livemode
      AND k.subject = g.subject AND k.period_start = g.period_start
      AND (SELECT count(*) FROM counter_locked) >= 0
)"""

# With `must_fit`, a charge that the money does not cover is refused; without it the call has
# happened and is posted come what may.
CHARGE: Final[LiteralString] = f"""
WITH {CHARGE_ITEM}, {LOCKED}, {CHARGE_LOOKED}, summed AS MATERIALIZED (
    SELECT k.*, row_number() OVER w AS nth, sum(k.amount) OVER w AS amount_to_here,
           sum(k.lines) OVER w AS lines_to_here,
           k.refused IS NULL AND sum(k.amount) OVER w <= k.room AS taken
    FROM looked k
    WINDOW w AS (PARTITION BY k.org_id, k.wallet_id, k.refused IS NULL ORDER BY k.ord)
), {CHARGE_POSTED}, still_reserved AS (
    SELECT r.org_id, r.draws FROM released r WHERE r.state = 'open'
), {_GIVEN_BACK.format(ended="still_reserved")}
SELECT CASE WHEN s.refused IS NOT NULL THEN s.refused
            WHEN s.taken AND s.late THEN 'posted_late'
            WHEN s.taken THEN 'posted'
            WHEN s.amount > s.room - s.spent THEN 'insufficient'
            ELSE 'again'
       END,
       CASE WHEN s.taken THEN s.amount ELSE coalesce(s.first_amount, 0) END,
       CASE WHEN s.taken THEN (s.posted - s.amount_to_here)::bigint
            ELSE coalesce(s.first_balance, 0) END,
       coalesce(s.spendable - s.spent + s.freed_of_wallet, 0)::bigint
FROM {SETTLED_OF_WALLET} s
ORDER BY s.ord
"""

# Voids, or, with `expire`, ends only what is past its time.
END_HOLDS: Final[LiteralString] = f"""
WITH item AS MATERIALIZED (
    SELECT * FROM ROWS FROM (json_to_recordset(%(items)s::json) AS (
        org_id uuid, wallet_id uuid, hold_id uuid
    )) WITH ORDINALITY AS t (org_id, wallet_id, hold_id, ord)
), {LOCKED}, ended AS (
    UPDATE hold h
    SET state = CASE WHEN %(expire)s THEN 'expired' ELSE 'voided' END, ended_at = %(now)s
    FROM item i JOIN locked l USING (org_id, wallet_id)
    WHERE h.org_id = i.org_id AND h.hold_id = i.hold_id AND h.wallet_id = i.wallet_id
          AND h.state = 'open' AND (NOT %(expire)s OR h.expires_at <= %(now)s)
    RETURNING h.org_id, h.wallet_id, h.hold_id, h.amount, h.state, h.draws
), total AS MATERIALIZED (
    SELECT e.org_id, e.wallet_id, sum(e.amount)::bigint AS amount FROM ended e GROUP BY 1, 2
), moved AS (
    UPDATE wallet w
    SET held = w.held - t.amount,
        overrun = greatest(0, -(w.posted - w.held + t.amount + w.overdraft))
    FROM total t
    WHERE w.org_id = t.org_id AND w.wallet_id = t.wallet_id
), {_GIVEN_BACK.format(ended="ended")}
SELECT CASE WHEN u.usage_id IS NOT NULL THEN 'settled'
            WHEN e.state IS NOT NULL THEN e.state
            -- Somebody ended it while this statement waited.
            WHEN h.state = 'open' AND NOT %(expire)s THEN 'again'
            ELSE coalesce(nullif(h.state, 'open'), 'unknown')
       END
FROM item i
LEFT JOIN ended e ON e.org_id = i.org_id AND e.hold_id = i.hold_id AND e.wallet_id = i.wallet_id
LEFT JOIN LATERAL (
    SELECT h.state FROM hold h
    WHERE h.org_id = i.org_id AND h.hold_id = i.hold_id AND h.wallet_id = i.wallet_id
    LIMIT 1
) h ON true
LEFT JOIN LATERAL (
    SELECT u.usage_id FROM usage_record u
    WHERE u.org_id = i.org_id AND u.usage_id = i.hold_id
    LIMIT 1
) u ON true
ORDER BY i.ord
"""
