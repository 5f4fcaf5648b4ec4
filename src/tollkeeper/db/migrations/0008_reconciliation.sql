-- What comparing processors' books with ours has found.

-- One comparison. `days` are sums by day and currency, `differences` the first thousand, one by
-- one; `counts` says how many there are of each kind.
CREATE TABLE reconciliation (
    reconciliation_id uuid        NOT NULL,
    processor         text        NOT NULL,
    livemode          boolean     NOT NULL,
    since             timestamptz NOT NULL,
    until             timestamptz NOT NULL,
    began_at          timestamptz NOT NULL,
    ended_at          timestamptz NOT NULL,
    clean             boolean     NOT NULL,
    movements         bigint      NOT NULL,
    counts            jsonb       NOT NULL,
    days              jsonb       NOT NULL,
    differences       jsonb       NOT NULL,
    CONSTRAINT reconciliation_pkey PRIMARY KEY (reconciliation_id),
    CONSTRAINT reconciliation_window CHECK (since < until)
);

CREATE INDEX reconciliation_newest ON reconciliation (processor, livemode, reconciliation_id);

-- The lines of a processor's books while they are compared, each with the payment of ours that it
-- belongs to. Gone at the end of the comparison; what a crash leaves, the next one clears away.
CREATE UNLOGGED TABLE reconciliation_line (
    run_id       uuid        NOT NULL,
    ref          text        NOT NULL,
    kind         text        NOT NULL,
    source_ref   text,
    payment_ref  text,
    org_id       uuid,
    payment_id   uuid,
    amount_minor bigint      NOT NULL,
    currency     text        NOT NULL,
    fee_minor    bigint      NOT NULL,
    fee_currency text        NOT NULL,
    created_at   timestamptz NOT NULL,
    staged_at    timestamptz NOT NULL,
    CONSTRAINT reconciliation_line_pkey PRIMARY KEY (run_id, ref)
);

CREATE INDEX reconciliation_line_of ON reconciliation_line (run_id, org_id, payment_id);

GRANT SELECT, INSERT ON reconciliation TO tollkeeper_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON reconciliation_line TO tollkeeper_app;
