"""The hot statements while every counter has room for all that a batch asks of it.

That is nearly always so, and then nothing has to be shared out: each call draws all it asks for,
costs what that leaves, and fits, if its wallet can pay. All of that the sender works out, and the
statement supposes it. Where a counter has no room for the whole batch, nothing is done for that
organization, and its calls are `tight`. They, and what was not done for whatever other reason, go
to the statements of `counted_statements`, which weigh every call and say why one is refused.

They lock the same rows in the same order as those do, and decide by what they read of locked rows.
"""

from __future__ import annotations

from typing import Final, LiteralString

from tollkeeper.ledger.counted_statements import (
    COUNT,
    COUNTED,
    FREED,
    KEYS_ASKED,
    KEYS_ASKED_OR_HELD,
    RESERVED,
)
from tollkeeper.ledger.statements import (
    CHARGE_ITEM,
    CHARGE_LOOKED,
    CHARGE_POSTED,
    HOLD_ITEM,
    HOLD_LOOKED,
    LOCKED,
    PLACED_ANEW,
    SETTLED_OF_WALLET,
)

_SUPPOSED: Final[LiteralString] = """
counter_in AS MATERIALIZED (
    SELECT * FROM ROWS FROM (json_to_recordset(%(counters)s::json) AS (
        org_id uuid, limit_id uuid, livemode boolean, subject text, period_start timestamptz,
        ceiling bigint, total bigint, pays boolean
    )) WITH ORDINALITY AS t (
        org_id, limit_id, livemode, subject, period_start, ceiling, total, pays, n
    )
), draw_in AS MATERIALIZED (
    SELECT t.* FROM unnest(
        %(places)s::bigint[], %(numbers)s::bigint[], %(units)s::bigint[]
    ) AS t (ord, n, units)
)"""

_TIGHT: Final[LiteralString] = """
tight AS MATERIALIZED (
    SELECT DISTINCT i.org_id
    FROM counter_in i LEFT JOIN counted c USING (n)
    WHERE c.n IS NULL OR ({binds} AND i.total > 0 AND c.room < i.total)
)"""

HOLD: Final[LiteralString] = f"""
WITH {HOLD_ITEM}, {_SUPPOSED}, {LOCKED}, {KEYS_ASKED}, {COUNTED}, {_TIGHT.format(binds="true")},
{HOLD_LOOKED}, summed AS MATERIALIZED (
    SELECT k.*, t.org_id IS NOT NULL AS tight,
           k.refused IS NULL AND t.org_id IS NULL
               AND sum(k.amount) OVER w <= greatest(k.spendable, 0) AS fits
    FROM looked k LEFT JOIN tight t USING (org_id)
    WINDOW w AS (
        PARTITION BY k.org_id, k.wallet_id, coalesce(k.refused, 'again') = 'again' ORDER BY k.ord
    )
), reserved AS MATERIALIZED (
    SELECT d.ord, jsonb_agg(jsonb_build_array(
               c.limit_id, c.livemode, c.subject, c.period_start, d.units
           )) AS draws
    FROM draw_in d JOIN counted c USING (n)
    GROUP BY 1
), placed AS (
    INSERT INTO hold AS h (org_id, hold_id, wallet_id, amount, state,
                           project_id, key_id, placed_at, expires_at, context, draws)
    SELECT s.org_id, s.hold_id, s.wallet_id, s.amount, 'open',
           s.project_id, s.key_id, %(now)s, s.expires_at, s.context, r.draws
    FROM summed s LEFT JOIN reserved r USING (ord)
    WHERE s.fits
    {PLACED_ANEW}
), done AS MATERIALIZED (
    SELECT s.ord, p.org_id, p.wallet_id, p.amount
    FROM summed s JOIN placed p ON p.org_id = s.org_id AND p.hold_id = s.hold_id
    WHERE s.fits
), total AS MATERIALIZED (
    SELECT d.org_id, d.wallet_id, sum(d.amount)::bigint AS amount FROM done d GROUP BY 1, 2
), moved AS (
    UPDATE wallet w SET held = w.held + t.amount
    FROM total t
    WHERE w.org_id = t.org_id AND w.wallet_id = t.wallet_id
), count_by AS MATERIALIZED (
    SELECT c.*, 0 AS more_used, t.units AS more_held
    FROM (
        SELECT d.n, sum(d.units)::bigint AS units FROM draw_in d JOIN done USING (ord) GROUP BY 1
    ) t JOIN counted c USING (n)
), {COUNT}
SELECT CASE WHEN s.tight THEN 'tight'
            WHEN d.ord IS NULL THEN 'again'
            WHEN s.charged_meanwhile THEN 'placed_unless_charged'
            ELSE 'placed'
       END,
       coalesce(s.spendable - t.amount + d.amount, 0)::bigint
FROM summed s
LEFT JOIN done d USING (ord)
LEFT JOIN total t ON t.org_id = s.org_id AND t.wallet_id = s.wallet_id
ORDER BY s.ord
"""

# A call that has happened is counted past any budget, so that only allowances can be too small.
CHARGE: Final[LiteralString] = f"""
WITH {CHARGE_ITEM}, {_SUPPOSED}, {LOCKED}, {CHARGE_LOOKED}, {RESERVED}, {KEYS_ASKED_OR_HELD},
{COUNTED}, {FREED}, {_TIGHT.format(binds="(%(must_fit)s OR i.pays)")}, summed AS MATERIALIZED (
    SELECT k.*, row_number() OVER w AS nth, sum(k.amount) OVER w AS amount_to_here,
           sum(k.lines) OVER w AS lines_to_here, t.org_id IS NOT NULL AS tight,
           k.refused IS NULL AND t.org_id IS NULL AND sum(k.amount) OVER w <= k.room AS taken
    FROM looked k LEFT JOIN tight t USING (org_id)
    WINDOW w AS (PARTITION BY k.org_id, k.wallet_id, k.refused IS NULL ORDER BY k.ord)
), {CHARGE_POSTED}, taken_units AS MATERIALIZED (
    SELECT d.n, sum(d.units)::bigint AS units
    FROM draw_in d JOIN summed s USING (ord)
    WHERE s.taken
    GROUP BY 1
), lapsed_units AS MATERIALIZED (
    SELECT d.n, sum(CASE WHEN i.pays THEN least(f.units, d.units) ELSE d.units END)::bigint AS units
    FROM freed_draw f JOIN draw_in d USING (ord, n) JOIN counter_in i USING (n)
    JOIN summed s USING (ord)
    WHERE f.lapsed AND s.taken
    GROUP BY 1
), freed_units AS MATERIALIZED (
    SELECT d.org_id, d.limit_id, d.livemode, d.subject, sum(d.units)::bigint AS units
    FROM freed_draw d JOIN summed s USING (ord)
    WHERE s.taken AND NOT d.lapsed
    GROUP BY 1, 2, 3, 4
), count_by AS MATERIALIZED (
    SELECT c.*, coalesce(t.units, 0) - coalesce(l.units, 0) AS more_used,
           -coalesce(f.units, 0) AS more_held
    FROM counted c
    LEFT JOIN taken_units t USING (n)
    LEFT JOIN lapsed_units l USING (n)
    LEFT JOIN freed_units f USING (org_id, limit_id, livemode, subject)
    WHERE t.units IS NOT NULL OR f.units IS NOT NULL
), {COUNT}
SELECT CASE WHEN s.tight THEN 'tight'
            WHEN NOT s.taken THEN 'again'
            WHEN s.late THEN 'posted_late'
            ELSE 'posted'
       END,
       s.amount, (s.posted - s.amount_to_here)::bigint,
       coalesce(s.spendable - s.spent + s.freed_of_wallet, 0)::bigint
FROM {SETTLED_OF_WALLET} s
ORDER BY s.ord
"""
