-- What may be spent or asked, of what and in which time. Their counters are the ledger's.

-- A budget or a rate. All that is named of a call's project, key, member, end user, provider, model
-- (gpt-* too) and tag must be its own; nothing named means all of the organization's calls.
-- `each` counts every value of one of those apart. A removed one keeps its row, so that every
-- process hears of it, and calls that it stopped can still say by what.
CREATE TABLE usage_limit (
    org_id            uuid        NOT NULL,
    limit_id          uuid        NOT NULL,
    name              text        NOT NULL,
    measure           text        NOT NULL,
    -- Nanos of USD, tokens or requests.
    amount            bigint      NOT NULL,
    period            text        NOT NULL,
    time_zone         text        NOT NULL,
    project_id        uuid,
    key_id            uuid,
    member_id         uuid,
    end_user          text,
    provider          text,
    model             text,
    tag_name          text,
    tag_value         text,
    each              text,
    enforcement       text        NOT NULL,
    tolerance_percent smallint    NOT NULL,
    -- Ascending.
    alert_percents    smallint[]  NOT NULL,
    -- When it was last begun anew by hand, with live keys and with test keys.
    reset_live_at     timestamptz,
    reset_test_at     timestamptz,
    created_at        timestamptz NOT NULL,
    deleted_at        timestamptz,
    changed_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT usage_limit_pkey PRIMARY KEY (org_id, limit_id),
    CONSTRAINT usage_limit_of_organization FOREIGN KEY (org_id) REFERENCES organization (org_id),
    CONSTRAINT usage_limit_measure_known CHECK (measure IN ('cost', 'tokens', 'requests')),
    CONSTRAINT usage_limit_period_known CHECK (
        period IN ('minute', 'hour', 'day', 'week', 'month', 'billing_cycle', 'lifetime')
    ),
    CONSTRAINT usage_limit_enforcement_known CHECK (enforcement IN ('hard', 'soft')),
    CONSTRAINT usage_limit_tag_is_whole CHECK ((tag_name IS NULL) = (tag_value IS NULL)),
    CONSTRAINT usage_limit_not_negative CHECK (amount >= 0 AND tolerance_percent >= 0)
);

CREATE INDEX usage_limit_by_change ON usage_limit (changed_at);
CREATE INDEX usage_limit_alerting ON usage_limit (org_id, limit_id)
    WHERE deleted_at IS NULL AND alert_percents <> '{}';

GRANT SELECT, INSERT, UPDATE ON usage_limit TO tollkeeper_app;

-- Whose key it is, where it is somebody's: it stays theirs when they are no member any more.
ALTER TABLE api_key ADD COLUMN member_id uuid;
