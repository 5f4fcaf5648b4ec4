"""The three set-based statements of the hot path. Each takes many items and costs one round trip.

All lock the wallets they touch first, in the order of their ids, so that no two of them can wait
for each other; then they look, decide per item, and write. `ord` is an item's place in the batch.
An item that did not fit only because of what came before it in the same batch is sent `again`.

Items travel as one JSON array: it costs the sender a tenth of what arrays by column cost.
"""

from __future__ import annotations

from typing import Final, LiteralString

# LATERAL with a lock or a LIMIT inside is looked up by its index row by row, whatever the planner
# believes about sizes: a plan made while a table was small stays right when it is large.
_LOCKED: Final[LiteralString] = """
locked AS MATERIALIZED (
    SELECT w.*
    FROM (SELECT DISTINCT i.org_id, i.wallet_id FROM item i ORDER BY 1, 2) d
    CROSS JOIN LATERAL (
        SELECT w.org_id, w.wallet_id, w.posted, w.posted - w.held + w.overdraft AS spendable,
               w.frozen_reason IS NOT NULL AS frozen,
               coalesce(w.next_expiry_at <= %(now)s, false) AS expiry_due,
               w.entry_seq, w.usage_seq, w.line_seq, greatest(w.newest_at, %(now)s) AS at
        FROM wallet w
        WHERE w.org_id = d.org_id AND w.wallet_id = d.wallet_id
        FOR UPDATE
    ) w
)"""

HOLD: Final[LiteralString] = f"""
WITH item AS MATERIALIZED (
    SELECT * FROM ROWS FROM (json_to_recordset(%(items)s::json) AS (
        org_id uuid, wallet_id uuid, hold_id uuid, amount bigint, expires_at timestamptz,
        project_id uuid, key_id uuid, context jsonb
    )) WITH ORDINALITY AS t (
        org_id, wallet_id, hold_id, amount, expires_at, project_id, key_id, context, ord
    )
), {_LOCKED}, looked AS MATERIALIZED (
    SELECT i.*, l.spendable,
           CASE WHEN l.org_id IS NULL THEN 'wallet_unknown'
                WHEN EXISTS (
                    SELECT FROM usage_record u
                    WHERE u.org_id = i.org_id AND u.usage_id = i.hold_id
                ) THEN 'already_charged'
                WHEN h.state = 'open' AND h.amount = i.amount THEN 'exists'
                WHEN h.state = 'open' THEN 'exists_with_other_amount'
                WHEN l.frozen THEN 'frozen'
                WHEN l.expiry_due THEN 'expiry_due'
           END AS refused
    FROM item i
    LEFT JOIN locked l USING (org_id, wallet_id)
    LEFT JOIN LATERAL (
        SELECT h.state, h.amount FROM hold h
        WHERE h.org_id = i.org_id AND h.hold_id = i.hold_id
        LIMIT 1
    ) h ON true
), summed AS MATERIALIZED (
    SELECT k.*, sum(k.amount) OVER w AS amount_to_here,
           k.refused IS NULL AND sum(k.amount) OVER w <= k.spendable AS fits
    FROM looked k
    WINDOW w AS (PARTITION BY k.org_id, k.wallet_id, k.refused IS NULL ORDER BY k.ord)
), placed AS (
    INSERT INTO hold AS h (org_id, hold_id, wallet_id, amount, state,
                           project_id, key_id, placed_at, expires_at, context)
    SELECT s.org_id, s.hold_id, s.wallet_id, s.amount, 'open',
           s.project_id, s.key_id, %(now)s, s.expires_at, s.context
    FROM summed s
    WHERE s.fits
    -- The same request may try again after its hold was voided or has expired.
    ON CONFLICT (org_id, hold_id) DO UPDATE
    SET wallet_id = excluded.wallet_id, amount = excluded.amount, state = 'open',
        project_id = excluded.project_id, key_id = excluded.key_id,
        placed_at = excluded.placed_at, expires_at = excluded.expires_at, ended_at = NULL,
        context = excluded.context
    WHERE h.state <> 'open'
    RETURNING h.org_id, h.wallet_id, h.hold_id, h.amount
), total AS MATERIALIZED (
    SELECT p.org_id, p.wallet_id, sum(p.amount)::bigint AS amount FROM placed p GROUP BY 1, 2
), moved AS (
    UPDATE wallet w SET held = w.held + t.amount
    FROM total t
    WHERE w.org_id = t.org_id AND w.wallet_id = t.wallet_id
)
SELECT CASE WHEN s.refused IS NOT NULL THEN s.refused
            WHEN p.hold_id IS NOT NULL THEN 'placed'
            -- Another process placed the same hold while this statement waited.
            WHEN s.fits THEN 'exists'
            WHEN s.amount > s.spendable - s.fitting THEN 'insufficient'
            ELSE 'again'
       END,
       coalesce(s.spendable - s.fitting + CASE WHEN s.fits THEN s.amount ELSE 0 END, 0)::bigint
FROM (
    SELECT summed.*, coalesce(sum(amount) FILTER (WHERE fits) OVER (
               PARTITION BY org_id, wallet_id
           ), 0) AS fitting
    FROM summed
) s
LEFT JOIN placed p ON p.org_id = s.org_id AND p.hold_id = s.hold_id
ORDER BY s.ord
"""

# With `must_fit`, a charge that the money does not cover is refused; without it the call has
# happened and is posted come what may.
CHARGE: Final[LiteralString] = f"""
WITH item AS MATERIALIZED (
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
), {_LOCKED}, looked AS MATERIALIZED (
    SELECT i.*, l.posted, l.spendable, l.entry_seq, l.usage_seq, l.line_seq, l.at,
           u.amount AS first_amount, u.balance_after AS first_balance,
           CASE WHEN l.org_id IS NULL THEN 'wallet_unknown'
                WHEN u.usage_id IS NOT NULL AND u.fingerprint IS DISTINCT FROM i.fingerprint
                    THEN 'exists_with_other_fingerprint'
                WHEN u.usage_id IS NOT NULL THEN 'exists'
                WHEN l.frozen AND %(must_fit)s THEN 'frozen'
                WHEN l.expiry_due AND %(must_fit)s THEN 'expiry_due'
           END AS refused
    FROM item i
    LEFT JOIN locked l USING (org_id, wallet_id)
    LEFT JOIN LATERAL (
        SELECT u.usage_id, u.fingerprint, u.amount, u.balance_after FROM usage_record u
        WHERE u.org_id = i.org_id AND u.usage_id = i.usage_id
        LIMIT 1
    ) u ON true
), summed AS MATERIALIZED (
    SELECT k.*, row_number() OVER w AS nth, sum(k.amount) OVER w AS amount_to_here,
           sum(k.lines) OVER w AS lines_to_here,
           k.refused IS NULL
               AND (NOT %(must_fit)s OR sum(k.amount) OVER w <= k.spendable) AS taken
    FROM looked k
    WINDOW w AS (PARTITION BY k.org_id, k.wallet_id, k.refused IS NULL ORDER BY k.ord)
), released AS (
    DELETE FROM hold h USING summed s
    WHERE s.taken AND h.org_id = s.org_id AND h.hold_id = s.hold_id AND h.wallet_id = s.wallet_id
    RETURNING s.ord, h.amount, h.state
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
)
SELECT CASE WHEN s.refused IS NOT NULL THEN s.refused
            WHEN s.taken AND s.late THEN 'posted_late'
            WHEN s.taken THEN 'posted'
            WHEN s.amount > s.spendable - s.spent THEN 'insufficient'
            ELSE 'again'
       END,
       CASE WHEN s.taken THEN s.amount ELSE coalesce(s.first_amount, 0) END,
       CASE WHEN s.taken THEN (s.posted - s.amount_to_here)::bigint
            ELSE coalesce(s.first_balance, 0) END,
       coalesce(s.spendable - s.spent + s.freed_of_wallet, 0)::bigint
FROM (
    SELECT settled.*,
           coalesce(sum(amount) FILTER (WHERE taken) OVER x, 0) AS spent,
           sum(freed) OVER x AS freed_of_wallet
    FROM settled
    WINDOW x AS (PARTITION BY org_id, wallet_id)
) s
ORDER BY s.ord
"""

# Voids, or, with `expire`, ends only what is past its time.
END_HOLDS: Final[LiteralString] = f"""
WITH item AS MATERIALIZED (
    SELECT * FROM ROWS FROM (json_to_recordset(%(items)s::json) AS (
        org_id uuid, wallet_id uuid, hold_id uuid
    )) WITH ORDINALITY AS t (org_id, wallet_id, hold_id, ord)
), {_LOCKED}, ended AS (
    UPDATE hold h
    SET state = CASE WHEN %(expire)s THEN 'expired' ELSE 'voided' END, ended_at = %(now)s
    FROM item i JOIN locked l USING (org_id, wallet_id)
    WHERE h.org_id = i.org_id AND h.hold_id = i.hold_id AND h.wallet_id = i.wallet_id
          AND h.state = 'open' AND (NOT %(expire)s OR h.expires_at <= %(now)s)
    RETURNING h.org_id, h.wallet_id, h.hold_id, h.amount, h.state
), total AS MATERIALIZED (
    SELECT e.org_id, e.wallet_id, sum(e.amount)::bigint AS amount FROM ended e GROUP BY 1, 2
), moved AS (
    UPDATE wallet w
    SET held = w.held - t.amount,
        overrun = greatest(0, -(w.posted - w.held + t.amount + w.overdraft))
    FROM total t
    WHERE w.org_id = t.org_id AND w.wallet_id = t.wallet_id
)
SELECT CASE WHEN EXISTS (
                SELECT FROM usage_record u
                WHERE u.org_id = i.org_id AND u.usage_id = i.hold_id
            ) THEN 'settled'
            ELSE coalesce(e.state, nullif(h.state, 'open'), 'unknown')
       END
FROM item i
LEFT JOIN ended e ON e.org_id = i.org_id AND e.hold_id = i.hold_id
LEFT JOIN hold h ON h.org_id = i.org_id AND h.hold_id = i.hold_id
ORDER BY i.ord
"""
