-- Free credit: what comes again each period, and what a code brings.

-- To one organization, or to all there are and will be (org_id is NULL).
CREATE TABLE recurring_grant (
    grant_id     uuid        NOT NULL,
    org_id       uuid,
    livemode     boolean     NOT NULL,
    currency     text        NOT NULL,
    amount_nanos bigint      NOT NULL,
    every        text        NOT NULL,
    time_zone    text        NOT NULL,
    priority     smallint    NOT NULL,
    label        text,
    reason       text        NOT NULL,
    created_at   timestamptz NOT NULL,
    created_by   text        NOT NULL,
    ended_at     timestamptz,
    -- The period that is being given, or was given last; NULL before the first.
    period_start timestamptz,
    -- When the next one begins. What is due is found by it.
    next_at      timestamptz NOT NULL,
    -- While a process gives: until when others leave it alone, and how far it has come.
    leased_until timestamptz,
    given_up_to  uuid,
    CONSTRAINT recurring_grant_pkey PRIMARY KEY (grant_id),
    CONSTRAINT recurring_grant_amount_positive CHECK (amount_nanos > 0),
    CONSTRAINT recurring_grant_every_known CHECK (every IN ('day', 'week', 'month'))
);

CREATE INDEX recurring_grant_due ON recurring_grant (next_at) WHERE ended_at IS NULL;

-- A code that brings credit, once to each organization.
CREATE TABLE campaign (
    campaign_id      uuid        NOT NULL,
    code             text        NOT NULL,
    livemode         boolean     NOT NULL,
    currency         text        NOT NULL,
    amount_nanos     bigint      NOT NULL,
    valid_from       timestamptz NOT NULL,
    valid_until      timestamptz,
    most_redemptions bigint,
    -- Counted under the row's lock, so that the cap is exact.
    redemptions      bigint      NOT NULL DEFAULT 0,
    -- The credit expires so many days after it was redeemed, or then, or never.
    lot_days         integer,
    lot_expires_at   timestamptz,
    -- Only for organizations that are no older.
    new_days         integer,
    priority         smallint    NOT NULL,
    label            text,
    reason           text        NOT NULL,
    created_at       timestamptz NOT NULL,
    created_by       text        NOT NULL,
    ended_at         timestamptz,
    CONSTRAINT campaign_pkey PRIMARY KEY (campaign_id),
    CONSTRAINT campaign_one_per_code UNIQUE (code),
    CONSTRAINT campaign_amount_positive CHECK (amount_nanos > 0),
    CONSTRAINT campaign_within_cap CHECK (redemptions BETWEEN 0 AND most_redemptions),
    CONSTRAINT campaign_one_expiry CHECK (num_nonnulls(lot_days, lot_expires_at) <= 1)
);

CREATE TABLE redemption (
    org_id        uuid        NOT NULL,
    campaign_id   uuid        NOT NULL,
    redemption_id uuid        NOT NULL,
    wallet_id     uuid        NOT NULL,
    entry_id      uuid        NOT NULL,
    -- The request it was made by: the same one again is answered the same.
    run_id        uuid,
    actor         text        NOT NULL,
    amount_nanos  bigint      NOT NULL,
    balance_after bigint      NOT NULL,
    redeemed_at   timestamptz NOT NULL,
    expires_at    timestamptz,
    CONSTRAINT redemption_pkey PRIMARY KEY (org_id, campaign_id)
);

CREATE INDEX redemption_of_campaign ON redemption (campaign_id, redemption_id);

GRANT SELECT, INSERT ON recurring_grant, campaign, redemption TO tollkeeper_app;
GRANT UPDATE (ended_at, period_start, next_at, leased_until, given_up_to)
    ON recurring_grant TO tollkeeper_app;
GRANT UPDATE (ended_at, redemptions) ON campaign TO tollkeeper_app;
