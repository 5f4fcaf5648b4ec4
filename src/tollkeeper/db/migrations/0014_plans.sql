-- What customers subscribe to, and who does.

CREATE TABLE plan (
    code       text        NOT NULL,
    created_at timestamptz NOT NULL,
    -- Nobody new gets it; who has it keeps it.
    retired_at timestamptz,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT plan_pkey PRIMARY KEY (code)
);

-- What a plan is from one moment on; never changed. `terms` are fee, interval, consumables and
-- capacities.
CREATE TABLE plan_version (
    version_id     uuid        NOT NULL,
    code           text        NOT NULL,
    name           text        NOT NULL,
    effective_from timestamptz NOT NULL,
    terms          jsonb       NOT NULL,
    published_at   timestamptz NOT NULL,
    published_by   text        NOT NULL,
    CONSTRAINT plan_version_pkey PRIMARY KEY (version_id),
    CONSTRAINT plan_version_of_plan FOREIGN KEY (code) REFERENCES plan (code),
    CONSTRAINT plan_version_one_per_moment UNIQUE (code, effective_from)
);

-- An organization's plan, in live or in test mode. At `next_at` another version takes over; at
-- `cancel_at` it ends. Those moments do their work by themselves.
CREATE TABLE subscription (
    org_id          uuid        NOT NULL,
    subscription_id uuid        NOT NULL,
    livemode        boolean     NOT NULL,
    version_id      uuid        NOT NULL,
    status          text        NOT NULL,
    started_at      timestamptz NOT NULL,
    -- Cycles begin at this time of day, on this day of the month, in this time zone.
    anchor          timestamptz NOT NULL,
    zone            text        NOT NULL,
    next_version_id uuid,
    next_at         timestamptz,
    cancel_at       timestamptz,
    source          text        NOT NULL,
    -- What the source calls it.
    ref             text,
    -- By the database's clock: processes ask what changed since they asked last.
    changed_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT subscription_pkey PRIMARY KEY (org_id, subscription_id),
    CONSTRAINT subscription_of_organization FOREIGN KEY (org_id)
        REFERENCES organization (org_id),
    CONSTRAINT subscription_of_version FOREIGN KEY (version_id)
        REFERENCES plan_version (version_id),
    CONSTRAINT subscription_next_version FOREIGN KEY (next_version_id)
        REFERENCES plan_version (version_id),
    CONSTRAINT subscription_ref_once UNIQUE (org_id, source, ref),
    CONSTRAINT subscription_status_known CHECK (status IN ('active', 'past_due', 'cancelled')),
    CONSTRAINT subscription_source_known CHECK (source IN ('operator', 'processor')),
    CONSTRAINT subscription_next_whole CHECK (num_nonnulls(next_version_id, next_at) IN (0, 2))
);

CREATE UNIQUE INDEX subscription_one_at_a_time ON subscription (org_id, livemode)
    WHERE status <> 'cancelled';
CREATE INDEX subscription_changes ON subscription (changed_at);

-- What is there rather than used up, such as gigabytes or seats: so much since then, until the
-- next row says otherwise.
CREATE TABLE level_report (
    org_id      uuid        NOT NULL,
    livemode    boolean     NOT NULL,
    name        text        NOT NULL,
    since       timestamptz NOT NULL,
    -- In thousandths, so that 12.5 GB are a whole number.
    level_milli bigint      NOT NULL,
    reported_at timestamptz NOT NULL,
    CONSTRAINT level_report_pkey PRIMARY KEY (org_id, livemode, name, since),
    CONSTRAINT level_report_of_organization FOREIGN KEY (org_id)
        REFERENCES organization (org_id),
    CONSTRAINT level_report_not_negative CHECK (level_milli >= 0)
);

-- Up to when the level of a name has become usage, and the part of a unit that was left over.
CREATE TABLE level_meter (
    org_id      uuid        NOT NULL,
    livemode    boolean     NOT NULL,
    name        text        NOT NULL,
    emitted_to  timestamptz NOT NULL,
    -- In thousandths of a unit times seconds: an hour of one unit is 3,600,000.
    carry       bigint      NOT NULL DEFAULT 0,
    CONSTRAINT level_meter_pkey PRIMARY KEY (org_id, livemode, name)
);

CREATE INDEX level_meter_due ON level_meter (emitted_to);

GRANT SELECT, INSERT, UPDATE ON plan TO tollkeeper_app;
GRANT SELECT, INSERT ON plan_version TO tollkeeper_app;
GRANT SELECT, INSERT, UPDATE ON subscription TO tollkeeper_app;
GRANT SELECT, INSERT ON level_report TO tollkeeper_app;
GRANT SELECT, INSERT, UPDATE ON level_meter TO tollkeeper_app;
