-- What is limited, and how much of it is used and reserved: budgets, rates, allowances.

-- The current period of one limit for one of those it counts apart (`subject`, such as an end
-- user; '' where it counts everything together). Used and held are whole units of whatever the
-- limit measures. The row of an earlier period is taken over by the next: what was used then can
-- be added up from usage records.
CREATE TABLE counter (
    org_id       uuid        NOT NULL,
    limit_id     uuid        NOT NULL,
    livemode     boolean     NOT NULL,
    subject      text        NOT NULL,
    period_start timestamptz NOT NULL,
    used         bigint      NOT NULL DEFAULT 0,
    held         bigint      NOT NULL DEFAULT 0,
    -- The highest percentage that somebody was told about in this period.
    told_percent smallint    NOT NULL DEFAULT 0,
    CONSTRAINT counter_pkey PRIMARY KEY (org_id, limit_id, livemode, subject),
    CONSTRAINT counter_not_negative CHECK (used >= 0 AND held >= 0)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000);

-- What a hold has reserved of them: [limit, livemode, subject, period, units] each.
ALTER TABLE hold ADD COLUMN draws jsonb;

GRANT SELECT, INSERT, UPDATE, DELETE ON counter TO tollkeeper_app;
