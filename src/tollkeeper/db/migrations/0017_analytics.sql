-- What analytics read beside the sums of usage. All but usage_correction follows from usage_record
-- and may be dropped; it is then made again.

-- Sums by hour, day and month of UTC, of few dimensions each, so that months are few rows; of end
-- users and tags by quarter of an hour too. Which dimensions a cut has stands in metering/analytics.
CREATE TABLE usage_rollup (
    org_id    uuid        NOT NULL,
    wallet_id uuid        NOT NULL,
    cut       text        NOT NULL,
    grain     text        NOT NULL,
    slot      timestamptz NOT NULL,
    dims      text[]      NOT NULL,
    calls     bigint      NOT NULL,
    failed    bigint      NOT NULL,
    quantity  numeric     NOT NULL,
    amount    bigint      NOT NULL,
    -- With the numbers: what months ask for lies together here, and nowhere else.
    CONSTRAINT usage_rollup_pkey PRIMARY KEY (org_id, wallet_id, cut, grain, slot, dims)
        INCLUDE (calls, failed, quantity, amount),
    CONSTRAINT usage_rollup_grain_known CHECK (grain IN ('quarter', 'hour', 'day', 'month'))
);

-- The records that were not recorded within the hour after their call began: reported late, or by a
-- clock that was ahead. The others are found by the time of recording, which never runs backwards.
CREATE TABLE usage_stray (
    org_id    uuid        NOT NULL,
    wallet_id uuid        NOT NULL,
    slot      timestamptz NOT NULL,
    seq       bigint      NOT NULL,
    CONSTRAINT usage_stray_pkey PRIMARY KEY (org_id, wallet_id, slot, seq)
);

-- What rating a record again has charged, at the time of its call: written with the entry, for
-- ever. lines are [sku, unit, quantity, nanos].
CREATE TABLE usage_correction (
    org_id     uuid        NOT NULL,
    wallet_id  uuid        NOT NULL,
    started_at timestamptz NOT NULL,
    usage_id   uuid        NOT NULL,
    amount     bigint      NOT NULL,
    lines      jsonb       NOT NULL,
    CONSTRAINT usage_correction_pkey PRIMARY KEY (org_id, wallet_id, started_at, usage_id)
);

INSERT INTO usage_correction (org_id, wallet_id, started_at, usage_id, amount, lines)
SELECT u.org_id, u.wallet_id, u.started_at, u.usage_id, -e.amount, '[]'
FROM entry e
JOIN usage_record u
    ON u.org_id = e.org_id AND u.usage_id = substr(e.source, length('rerate:use_') + 1)::uuid
WHERE e.source LIKE 'rerate:use\_%';

GRANT SELECT, INSERT, UPDATE, DELETE ON usage_rollup, usage_stray TO tollkeeper_app;
GRANT SELECT, INSERT ON usage_correction TO tollkeeper_app;

-- Every record is added up again, into the old sums and the new ones alike.
DELETE FROM usage_sum;
DELETE FROM usage_line_sum;
DELETE FROM usage_unpriced;
DELETE FROM usage_summed;
