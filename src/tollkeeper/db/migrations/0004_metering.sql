-- Sums of usage records, kept beside them so that no total needs to read every call. All of it
-- follows from usage_record: it may be dropped and is then made again.

-- Sums by quarter of an hour, because every time zone begins its hours and days on one. In the key
-- '' and the nil UUID stand for what a record does not say.
CREATE TABLE usage_sum (
    org_id     uuid        NOT NULL,
    wallet_id  uuid        NOT NULL,
    slot       timestamptz NOT NULL,
    project_id uuid        NOT NULL,
    key_id     uuid        NOT NULL,
    provider   text        NOT NULL,
    model      text        NOT NULL,
    operation  text        NOT NULL,
    calls      bigint      NOT NULL,
    failed     bigint      NOT NULL,
    amount     bigint      NOT NULL,
    CONSTRAINT usage_sum_pkey PRIMARY KEY (
        org_id, wallet_id, slot, project_id, key_id, provider, model, operation
    )
) WITH (fillfactor = 70);

-- The same by SKU, with the quantities in the SKU's own unit, such as single tokens.
CREATE TABLE usage_line_sum (
    org_id     uuid        NOT NULL,
    wallet_id  uuid        NOT NULL,
    slot       timestamptz NOT NULL,
    project_id uuid        NOT NULL,
    key_id     uuid        NOT NULL,
    provider   text        NOT NULL,
    model      text        NOT NULL,
    operation  text        NOT NULL,
    sku        text        NOT NULL,
    unit       text        NOT NULL,
    lines      bigint      NOT NULL,
    quantity   numeric     NOT NULL,
    amount     bigint      NOT NULL,
    CONSTRAINT usage_line_sum_pkey PRIMARY KEY (
        org_id, wallet_id, slot, project_id, key_id, provider, model, operation, sku, unit
    )
) WITH (fillfactor = 70);

-- Records with quantities that had no price, to be rated again once there is one.
CREATE TABLE usage_unpriced (
    org_id      uuid        NOT NULL,
    wallet_id   uuid        NOT NULL,
    seq         bigint      NOT NULL,
    usage_id    uuid        NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT usage_unpriced_pkey PRIMARY KEY (org_id, wallet_id, seq)
);

CREATE INDEX usage_unpriced_by_time ON usage_unpriced (recorded_at, usage_id);

-- How far each wallet's records are in the sums: moved in the transaction that adds to them, so
-- that each record counts once.
CREATE TABLE usage_summed (
    org_id    uuid   NOT NULL,
    wallet_id uuid   NOT NULL,
    usage_seq bigint NOT NULL,
    CONSTRAINT usage_summed_pkey PRIMARY KEY (org_id, wallet_id)
) WITH (fillfactor = 50);

GRANT SELECT, INSERT, UPDATE, DELETE ON usage_sum, usage_line_sum, usage_unpriced, usage_summed
    TO tollkeeper_app;
