"""The hot statements for batches in which something is counted: budgets, rates, allowances.

They do what those in `statements.py` do, and beside the wallets they lock the counters, in the
order of their keys, so that what they read of those is their newest state too. A call first draws
what its allowances still have, in the order of the batch; what is left of its cost is `credit`,
and that is what its wallet and its budgets are asked for.

Where something does not fit, what comes after it for the same organization is sent `again`: it was
worked out as if everything before it had been done. What does not fit by itself is refused, and
says which limits were in the way and how much room they have.

`counters` names each counter once, with its number; `draws` say by number what a call takes of it.

The planner knows no sizes here. Where it would take a join for a single row, and loop over all
draws for each item, the join is written without what makes it believe so.
"""

from __future__ import annotations

from typing import Final, LiteralString

from tollkeeper.ledger.statements import (
    CHARGE_ITEM,
    CHARGE_LOOKED,
    CHARGE_POSTED,
    COUNTED_HOLD_LOOKED,
    HOLD_ITEM,
    LOCKED,
    PLACED_ANEW,
    SETTLED_OF_WALLET,
)

_ASKED: Final[LiteralString] = """
counter_in AS MATERIALIZED (
    SELECT * FROM ROWS FROM (json_to_recordset(%(counters)s::json) AS (
        org_id uuid, limit_id uuid, livemode boolean, subject text, period_start timestamptz,
        ceiling bigint
    )) WITH ORDINALITY AS t (org_id, limit_id, livemode, subject, period_start, ceiling, n)
), draw_in AS MATERIALIZED (
    SELECT t.* FROM json_to_recordset(%(draws)s::json) AS t (
        ord bigint, n bigint, amount bigint, worth bigint, covers bigint, whole boolean, lines json
    )
)"""

# In the order in which they are locked.
KEYS_ASKED: Final[LiteralString] = """
counter_key AS MATERIALIZED (
    SELECT org_id, limit_id, livemode, subject, n, ceiling, period_start AS asked_start
    FROM counter_in ORDER BY 1, 2, 3, 4
)"""
# What holds reserved is given back to counters that this batch does not name, too.
KEYS_ASKED_OR_HELD: Final[LiteralString] = """
counter_key AS MATERIALIZED (
    SELECT org_id, limit_id, livemode, subject, max(n) AS n, max(ceiling) AS ceiling,
           max(period_start) AS asked_start
    FROM (
        SELECT org_id, limit_id, livemode, subject, n, ceiling, period_start FROM counter_in
        UNION ALL
        SELECT org_id, limit_id, livemode, subject, NULL, NULL, NULL FROM reserved_draw
    ) u
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
)"""

# What the holds of the calls to be charged have reserved.
RESERVED: Final[LiteralString] = """
own AS MATERIALIZED (
    SELECT k.ord, k.org_id, h.draws
    FROM looked k
    CROSS JOIN LATERAL (
        SELECT h.draws FROM hold h
        WHERE h.org_id = k.org_id AND h.hold_id = k.hold_id AND h.wallet_id = k.wallet_id
          AND h.state = 'open' AND h.draws IS NOT NULL
        FOR UPDATE
    ) h
    WHERE k.refused IS NULL
), reserved_draw AS MATERIALIZED (
    SELECT o.ord, o.org_id, (d ->> 0)::uuid AS limit_id, (d ->> 1)::boolean AS livemode,
           d ->> 2 AS subject, (d ->> 3)::timestamptz AS period_start, (d ->> 4)::bigint AS units
    FROM own o CROSS JOIN LATERAL jsonb_array_elements(o.draws) AS d
)"""
# A call may run over the end of a period. What it reserved in the one that is over is drawn from
# that one, and counts for nothing in the one that took its row over.
FREED: Final[LiteralString] = """
freed_draw AS MATERIALIZED (
    SELECT r.ord, c.org_id, c.limit_id, c.livemode, c.subject, c.n, r.units,
           r.period_start < c.period_start AS lapsed
    FROM reserved_draw r JOIN counted c USING (org_id, limit_id, livemode, subject)
    WHERE r.period_start <= c.period_start
)"""

# `room` is what is left of each. A row of an earlier period is taken over: nothing of it counts.
COUNTED: Final[LiteralString] = """
counted AS MATERIALIZED (
    SELECT x.org_id, x.limit_id, x.livemode, x.subject, x.n, x.ceiling,
           v.period_start, v.held, x.ceiling - v.used - v.held AS room
    FROM counter_key x
    CROSS JOIN LATERAL (
        SELECT k.period_start, k.used, k.held FROM counter k
        WHERE k.org_id = x.org_id AND k.limit_id = x.limit_id AND k.livemode = x.livemode
          AND k.subject = x.subject AND (SELECT count(*) FROM locked) >= 0
        FOR UPDATE
    ) k
    CROSS JOIN LATERAL (
        SELECT greatest(k.period_start, x.asked_start) AS period_start,
               CASE WHEN k.period_start < x.asked_start THEN 0 ELSE k.used END AS used,
               CASE WHEN k.period_start < x.asked_start THEN 0 ELSE k.held END AS held
    ) v
)"""

# What a budget is asked for: so many units, or so much credit.
_OF_CREDIT: Final[LiteralString] = """
    coalesce(d.amount, div(p.credit::numeric * d.worth + 999999999, 1000000000))::bigint"""

# The part of `covers` that the units drawn stand for, so that what is left never is too little.
_SAVED: Final[LiteralString] = "div(a.covers::numeric * a.drawn, a.amount)"

# Each item's cost after its allowances; then whether its budgets have room for it and all before.
_WEIGHED: Final[LiteralString] = f"""
uncounted AS MATERIALIZED (
    -- Of whom a counter is gone: nothing is decided before there is one again.
    SELECT DISTINCT i.org_id FROM counter_in i LEFT JOIN counted c USING (n) WHERE c.n IS NULL
), priced AS MATERIALIZED (
    SELECT k.*, (k.amount - coalesce(a.saved, 0))::bigint AS credit,
           coalesce(a.covered, true) AS covered, a.ord IS NOT NULL OR b.ord IS NOT NULL AS counts,
           x.org_id IS NOT NULL AS uncounted
    FROM looked k
    LEFT JOIN uncounted x ON x.org_id = k.org_id
    LEFT JOIN (
        SELECT a.ord, sum({_SAVED}) AS saved,
               bool_and(a.drawn = a.amount OR NOT a.whole) AS covered
        FROM allotted a
        GROUP BY a.ord
    ) a ON a.ord = k.ord
    LEFT JOIN (SELECT DISTINCT d.ord FROM draw_in d WHERE d.covers IS NULL) b ON b.ord = k.ord
), asked AS MATERIALIZED (
    SELECT d.ord, d.n, v.units,
           -- Who asks for nothing is not in the way of a budget that was overrun.
           v.units = 0 OR c.ceiling IS NULL OR c.room >=
               sum(v.units) FILTER (WHERE p.refused IS NULL) OVER (PARTITION BY d.n ORDER BY d.ord)
               AS within
    FROM draw_in d
    JOIN priced p USING (ord)
    JOIN counted c USING (n)
    CROSS JOIN LATERAL (SELECT {_OF_CREDIT} AS units) v
    WHERE d.covers IS NULL
)"""

# What became of those that did not fit: alone, beside what was done, would they?
_ALONE: Final[LiteralString] = f"""
left_over AS MATERIALIZED (
    SELECT c.n, c.ceiling, c.room - coalesce(t.units, 0) AS room
    FROM counted c LEFT JOIN taken_units t USING (n)
    WHERE c.n IS NOT NULL
), alone AS MATERIALIZED (
    SELECT p.ord, (p.amount - coalesce(a.saved, 0))::bigint AS credit,
           (p.amount - coalesce(a.covers, 0))::bigint AS uncovered,
           coalesce(a.value, 0)::bigint AS value, a.short, a.ran_out
    FROM weighed p
    LEFT JOIN (
        SELECT a.ord, sum({_SAVED}) AS saved,
               sum(a.covers) AS covers,
               sum(least(div(a.covers::numeric * greatest(a.left, 0), a.amount), a.covers))
                   AS value,
               jsonb_agg(jsonb_build_array(a.limit_id, a.left, a.amount))
                   FILTER (WHERE a.whole AND a.drawn < a.amount) AS short,
               jsonb_agg(jsonb_build_array(a.limit_id, a.left, a.amount))
                   FILTER (WHERE a.drawn < a.amount AND a.covers > 0) AS ran_out
        FROM (
            SELECT d.ord, d.amount, d.covers, d.whole, i.limit_id, l.room AS left,
                   least(greatest(l.room, 0), d.amount) AS drawn
            FROM draw_in d JOIN left_over l USING (n) JOIN counter_in i USING (n)
            WHERE d.covers IS NOT NULL
        ) a
        GROUP BY a.ord
    ) a ON a.ord = p.ord
    WHERE p.counts AND p.refused IS NULL AND NOT p.fits
), blocked AS MATERIALIZED (
    SELECT p.ord, jsonb_agg(jsonb_build_array(i.limit_id, l.room, v.units))
               FILTER (WHERE v.units > l.room AND v.units > 0) AS short,
           min(div(l.room::numeric * 1000000000, d.worth)) FILTER (WHERE d.amount IS NULL) AS most
    FROM alone p
    JOIN draw_in d ON d.ord = p.ord AND d.covers IS NULL
    JOIN left_over l ON l.n = d.n AND l.ceiling IS NOT NULL
    JOIN counter_in i ON i.n = d.n
    CROSS JOIN LATERAL (SELECT {_OF_CREDIT} AS units) v
    GROUP BY p.ord
)"""

# What a call like this one could have cost. Allowances help nobody who cannot pay what none of them
# covers; and where one must do alone, credit helps with nothing but that.
_AFFORDED: Final[LiteralString] = """
    CASE WHEN a.uncovered <= greatest(v.money, 0)
         THEN a.value
             + greatest(CASE WHEN a.short IS NULL THEN v.money ELSE a.uncovered END, 0)
         ELSE v.money
    END"""
# An allowance for which credit may stand in is in the way where it has run out and credit is short.
_IN_THE_WAY: Final[LiteralString] = """
    CASE WHEN a.short IS NULL AND b.short IS NULL AND a.uncovered <= greatest(v.money, 0)
         THEN coalesce(a.ran_out, '[]')
         ELSE coalesce(a.short, '[]') || coalesce(b.short, '[]')
    END"""

# A row that is taken over begins anew.
COUNT: Final[LiteralString] = """
count AS (
    UPDATE counter k
    SET period_start = c.period_start,
        used = CASE WHEN k.period_start < c.period_start THEN 0 ELSE k.used END + c.more_used,
        held = greatest(0, c.held + c.more_held),
        told_percent = CASE WHEN k.period_start < c.period_start THEN 0 ELSE k.told_percent END
    FROM count_by c
    WHERE k.org_id = c.org_id AND k.limit_id = c.limit_id AND k.livemode = c.livemode
      AND k.subject = c.subject
)"""

HOLD: Final[LiteralString] = f"""
WITH {HOLD_ITEM}, {_ASKED}, {LOCKED}, {KEYS_ASKED}, {COUNTED}, {COUNTED_HOLD_LOOKED},
allotted AS MATERIALIZED (
    SELECT d.ord, d.n, d.amount, d.covers, d.whole,
           least(greatest(c.room - (sum(d.amount) OVER w - d.amount), 0), d.amount) AS drawn
    FROM draw_in d
    JOIN looked k ON k.ord = d.ord AND k.refused IS NULL
    JOIN counted c USING (n)
    WHERE d.covers IS NOT NULL
    WINDOW w AS (PARTITION BY d.n ORDER BY d.ord)
), {_WEIGHED}, summed AS MATERIALIZED (
    SELECT p.*, p.refused IS NULL AND NOT p.uncounted AND p.covered AND coalesce(b.within, true)
                AND sum(p.credit) OVER w <= greatest(p.spendable, 0) AS may
    FROM priced p
    LEFT JOIN (SELECT ord, bool_and(within) AS within FROM asked GROUP BY ord) b USING (ord)
    WINDOW w AS (
        PARTITION BY p.org_id, p.wallet_id, coalesce(p.refused, 'again') = 'again' ORDER BY p.ord
    )
), weighed AS MATERIALIZED (
    SELECT s.*, s.may AND (NOT s.counts OR bool_and(s.may) OVER w) AS fits
    FROM summed s
    WINDOW w AS (PARTITION BY s.org_id, s.counts AND s.refused IS NULL ORDER BY s.ord)
), reserved AS MATERIALIZED (
    SELECT d.ord, d.n, d.units,
           jsonb_build_array(c.limit_id, c.livemode, c.subject, c.period_start, d.units) AS said
    FROM (
        SELECT ord, n, units FROM asked UNION ALL SELECT ord, n, drawn FROM allotted
    ) d JOIN counted c USING (n)
    WHERE d.units > 0
), placed AS (
    INSERT INTO hold AS h (org_id, hold_id, wallet_id, amount, state,
                           project_id, key_id, placed_at, expires_at, context, draws)
    SELECT s.org_id, s.hold_id, s.wallet_id, s.credit, 'open',
           s.project_id, s.key_id, %(now)s, s.expires_at, s.context, r.draws
    FROM weighed s
    LEFT JOIN (SELECT ord, jsonb_agg(said) AS draws FROM reserved GROUP BY ord) r USING (ord)
    WHERE s.fits
    {PLACED_ANEW}
), met AS MATERIALIZED (
    SELECT s.ord, p.org_id, p.wallet_id, p.amount
    FROM weighed s LEFT JOIN placed p ON p.org_id = s.org_id AND p.hold_id = s.hold_id
    WHERE s.fits
), done AS MATERIALIZED (
    SELECT m.* FROM met m WHERE m.amount IS NOT NULL
), total AS MATERIALIZED (
    SELECT d.org_id, d.wallet_id, sum(d.amount)::bigint AS amount FROM done d GROUP BY 1, 2
), moved AS (
    UPDATE wallet w SET held = w.held + t.amount
    FROM total t
    WHERE w.org_id = t.org_id AND w.wallet_id = t.wallet_id
), taken_units AS MATERIALIZED (
    SELECT r.n, sum(r.units)::bigint AS units FROM reserved r JOIN done USING (ord) GROUP BY 1
), count_by AS MATERIALIZED (
    SELECT c.*, 0 AS more_used, t.units AS more_held FROM taken_units t JOIN counted c USING (n)
), {COUNT}, {_ALONE}
SELECT CASE WHEN s.refused IS NOT NULL THEN s.refused
            WHEN s.uncounted THEN 'uncounted'
            WHEN s.placed_amount IS NOT NULL AND s.charged_meanwhile THEN 'placed_unless_charged'
            WHEN s.placed_amount IS NOT NULL THEN 'placed'
            WHEN s.fits THEN 'again'
            WHEN a.short IS NOT NULL OR b.short IS NOT NULL THEN 'limited'
            WHEN coalesce(a.credit, s.credit) > greatest(s.spendable - s.taken, 0)
                THEN 'insufficient'
            ELSE 'again'
       END,
       ({_AFFORDED})::bigint,
       {_IN_THE_WAY},
       coalesce(s.placed_amount, a.credit, s.amount)
FROM (
    SELECT w.*, d.amount AS placed_amount,
           coalesce(sum(d.amount) OVER (PARTITION BY w.org_id, w.wallet_id), 0) AS taken
    FROM weighed w LEFT JOIN done d USING (ord)
) s
LEFT JOIN alone a USING (ord)
LEFT JOIN blocked b USING (ord)
CROSS JOIN LATERAL (
    SELECT least(coalesce(s.spendable - s.taken + coalesce(s.placed_amount, 0), 0), b.most) AS money
) v
ORDER BY s.ord
"""

# With `must_fit`, what money and budgets do not cover is refused; without it the call has happened.
# What its own hold reserved of an allowance a call always gets; the rest goes to whoever is first.
CHARGE: Final[LiteralString] = f"""
WITH {CHARGE_ITEM}, {_ASKED}, {LOCKED}, {CHARGE_LOOKED}, {RESERVED},
{KEYS_ASKED_OR_HELD}, {COUNTED}, {FREED}, allotted AS MATERIALIZED (
    SELECT x.*,
           x.own + x.gone
               + least(greatest(x.pool - (sum(x.extra) OVER w - x.extra), 0), x.extra) AS drawn
    FROM (
        SELECT d.ord, d.n, d.amount, d.covers, d.whole, d.lines, o.own, o.gone,
               d.amount - o.own - o.gone AS extra,
               c.room + coalesce(t.units, 0) - sum(o.own) OVER (PARTITION BY d.n) AS pool
        FROM draw_in d
        JOIN looked k ON k.ord = d.ord AND k.refused IS NULL
        JOIN counted c USING (n)
        LEFT JOIN freed_draw f ON f.ord = d.ord AND f.n = d.n
        LEFT JOIN (
            SELECT n, sum(units) AS units FROM freed_draw WHERE NOT lapsed GROUP BY n
        ) t ON t.n = d.n
        CROSS JOIN LATERAL (
            SELECT CASE WHEN f.lapsed THEN 0 ELSE least(d.amount, coalesce(f.units, 0)) END AS own,
                   CASE WHEN f.lapsed THEN least(d.amount, f.units) ELSE 0 END AS gone
        ) o
        WHERE d.covers IS NOT NULL
    ) x
    WINDOW w AS (PARTITION BY x.n ORDER BY x.ord)
), {_WEIGHED}, lined_up AS MATERIALIZED (
    SELECT p.*, row_number() OVER w AS nth, sum(p.credit) OVER w AS amount_to_here,
           sum(p.lines) OVER w AS lines_to_here,
           p.refused IS NULL AND NOT p.uncounted AND sum(p.credit) OVER w <= p.room
               AND (NOT %(must_fit)s OR (p.covered AND coalesce(b.within, true))) AS may
    FROM priced p
    LEFT JOIN (SELECT ord, bool_and(within) AS within FROM asked GROUP BY ord) b USING (ord)
    WINDOW w AS (PARTITION BY p.org_id, p.wallet_id, p.refused IS NULL ORDER BY p.ord)
), weighed AS MATERIALIZED (
    SELECT s.*, s.may AND bool_and(s.may) OVER w AS fits
    FROM lined_up s
    WINDOW w AS (PARTITION BY s.org_id, s.refused IS NULL ORDER BY s.ord)
), share AS MATERIALIZED (
    -- What is left to pay of each line that an allowance covers; together, what is left of all.
    SELECT x.ord, x.place,
           x.upto - div(x.upto * x.drawn, x.amount)
               - (x.upto - x.gross - div((x.upto - x.gross) * x.drawn, x.amount)) AS rest
    FROM (
        SELECT a.ord, a.drawn, a.amount, l.place::integer AS place, v.gross,
               sum(v.gross) OVER (PARTITION BY a.ord, a.n ORDER BY l.nth) AS upto
        FROM allotted a
        JOIN weighed w ON w.ord = a.ord AND w.fits
        CROSS JOIN LATERAL json_array_elements_text(a.lines) WITH ORDINALITY AS l (place, nth)
        CROSS JOIN LATERAL (
            SELECT (w.detail -> 'rating' -> 'lines' -> l.place::integer ->> 6)::numeric AS gross
        ) v
        WHERE a.drawn > 0
    ) x
), covered_by AS MATERIALIZED (
    SELECT a.ord, jsonb_agg(
               jsonb_build_array(c.limit_id, a.amount, a.drawn, a.covers, a.lines) ORDER BY a.n
           ) AS said
    FROM allotted a JOIN counter_in c USING (n)
    WHERE a.drawn > 0
    GROUP BY a.ord
), rewritten AS MATERIALIZED (
    SELECT l.ord, jsonb_agg(
               CASE WHEN s.rest IS NULL THEN l.line
                    ELSE jsonb_set(l.line, '{{6}}', to_jsonb(s.rest)) END ORDER BY l.place
           ) AS lines
    FROM (
        SELECT w.ord, e.line, e.nth - 1 AS place
        FROM weighed w
        JOIN covered_by USING (ord)
        CROSS JOIN LATERAL jsonb_array_elements(w.detail -> 'rating' -> 'lines')
            WITH ORDINALITY AS e (line, nth)
        WHERE w.fits
    ) l
    LEFT JOIN share s ON s.ord = l.ord AND s.place = l.place
    GROUP BY l.ord
), summed AS MATERIALIZED (
    SELECT w.org_id, w.wallet_id, w.usage_id, w.hold_id, w.credit AS amount, w.lines, w.started_at,
           w.duration_ms, w.project_id, w.key_id, w.request_id, w.fingerprint, w.status, w.source,
           w.provider, w.model, w.operation, w.thread_id, w.ord, w.posted, w.spendable,
           w.entry_seq, w.usage_seq, w.line_seq, w.at, w.room, w.first_amount, w.first_balance,
           w.refused, w.nth, w.amount_to_here, w.lines_to_here, w.fits AS taken, w.uncounted,
           CASE WHEN r.lines IS NULL THEN w.detail
                ELSE jsonb_set(jsonb_set(jsonb_set(w.detail, '{{rating,lines}}', r.lines),
                         '{{rating,cost}}', to_jsonb(w.credit)), '{{allowances}}', b.said)
           END AS detail
    FROM weighed w LEFT JOIN covered_by b USING (ord) LEFT JOIN rewritten r USING (ord)
), {CHARGE_POSTED}, taken_units AS MATERIALIZED (
    SELECT d.n, sum(d.units)::bigint AS units
    FROM (
        SELECT a.ord, a.n, a.units FROM asked a LEFT JOIN freed_draw f USING (ord, n)
        WHERE f.lapsed IS NOT TRUE
        UNION ALL
        SELECT ord, n, drawn - gone FROM allotted
    ) d JOIN weighed w ON w.ord = d.ord AND w.fits
    GROUP BY 1
), count_by AS MATERIALIZED (
    SELECT c.*, coalesce(t.units, 0) AS more_used, -coalesce(f.units, 0) AS more_held
    FROM counted c
    LEFT JOIN taken_units t USING (n)
    LEFT JOIN (
        SELECT d.org_id, d.limit_id, d.livemode, d.subject, sum(d.units)::bigint AS units
        FROM freed_draw d JOIN weighed w ON w.ord = d.ord AND w.fits
        WHERE NOT d.lapsed
        GROUP BY 1, 2, 3, 4
    ) f ON f.org_id = c.org_id AND f.limit_id = c.limit_id AND f.livemode = c.livemode
        AND f.subject = c.subject
), {COUNT}, {_ALONE}
SELECT CASE WHEN s.refused IS NOT NULL THEN s.refused
            WHEN s.uncounted THEN 'uncounted'
            WHEN s.taken AND s.late THEN 'posted_late'
            WHEN s.taken THEN 'posted'
            WHEN %(must_fit)s AND (a.short IS NOT NULL OR b.short IS NOT NULL) THEN 'limited'
            WHEN coalesce(a.credit, s.amount) > s.room - s.spent THEN 'insufficient'
            ELSE 'again'
       END,
       CASE WHEN s.taken THEN s.amount ELSE coalesce(s.first_amount, a.credit, 0) END,
       CASE WHEN s.taken THEN (s.posted - s.amount_to_here)::bigint
            ELSE coalesce(s.first_balance, 0) END,
       ({_AFFORDED})::bigint,
       {_IN_THE_WAY}
FROM {SETTLED_OF_WALLET} s
LEFT JOIN alone a USING (ord)
LEFT JOIN blocked b USING (ord)
CROSS JOIN LATERAL (
    SELECT least(coalesce(s.spendable - s.spent + s.freed_of_wallet, 0), b.most) AS money
) v
ORDER BY s.ord
"""
