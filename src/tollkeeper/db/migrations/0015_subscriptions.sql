-- What a processor bills each period: subscriptions, and the fees that were paid for them.

-- One that is meant is written down before the processor hears of it. act is what the processor
-- has yet to confirm; act_number is its name there, so that it is done once.
CREATE TABLE payment_subscription (
    org_id                uuid        NOT NULL,
    subscription_id       uuid        NOT NULL,
    livemode              boolean     NOT NULL,
    processor             text        NOT NULL,
    status                text        NOT NULL,
    product_id            uuid        NOT NULL,
    product_name          text        NOT NULL,
    product_from          timestamptz NOT NULL,
    fee_minor             bigint      NOT NULL,
    currency              text        NOT NULL,
    "interval"            text        NOT NULL,
    next_product_id       uuid,
    next_product_name     text,
    next_fee_minor        bigint,
    next_at_period_end    boolean     NOT NULL DEFAULT false,
    cancels_at_period_end boolean     NOT NULL DEFAULT false,
    act                   text,
    act_number            integer     NOT NULL DEFAULT 1,
    return_url            text        NOT NULL,
    ref                   text,
    period_start          timestamptz,
    period_end            timestamptz,
    action_url            text,
    failure_code          text,
    failure_retryable     boolean,
    failure_detail        text,
    past_due_since        timestamptz,
    intended_at           timestamptz NOT NULL,
    acted_at              timestamptz NOT NULL,
    ended_at              timestamptz,
    checks                integer     NOT NULL DEFAULT 0,
    -- When to ask about it; null once it has ended.
    check_at              timestamptz,
    version               bigint      NOT NULL DEFAULT 0,
    CONSTRAINT payment_subscription_pkey PRIMARY KEY (org_id, subscription_id),
    CONSTRAINT payment_subscription_statuses CHECK (
        status IN (
            'requires_payment', 'requires_action', 'processing', 'active', 'past_due', 'cancelled'
        )
    ),
    CONSTRAINT payment_subscription_intervals CHECK ("interval" IN ('month', 'year')),
    CONSTRAINT payment_subscription_fee_positive CHECK (fee_minor > 0),
    CONSTRAINT payment_subscription_ended_is_cancelled CHECK (
        (ended_at IS NULL) = (status <> 'cancelled')
    )
);

-- An organization has one at a time, for its live and one for its test balances.
CREATE UNIQUE INDEX payment_subscription_one ON payment_subscription (org_id, livemode)
    WHERE ended_at IS NULL;
CREATE INDEX payment_subscription_by_ref ON payment_subscription (processor, ref);
CREATE INDEX payment_subscription_to_check ON payment_subscription (check_at)
    WHERE check_at IS NOT NULL;
CREATE INDEX payment_subscription_past_due ON payment_subscription (past_due_since)
    WHERE past_due_since IS NOT NULL;

-- Each fee once, under the processor's name for its invoice.
CREATE TABLE payment_subscription_fee (
    org_id          uuid        NOT NULL,
    subscription_id uuid        NOT NULL,
    ref             text        NOT NULL,
    amount_minor    bigint      NOT NULL,
    currency        text        NOT NULL,
    period_start    timestamptz NOT NULL,
    period_end      timestamptz NOT NULL,
    paid_at         timestamptz NOT NULL,
    CONSTRAINT payment_subscription_fee_pkey PRIMARY KEY (org_id, subscription_id, ref),
    CONSTRAINT payment_subscription_fee_of FOREIGN KEY (org_id, subscription_id)
        REFERENCES payment_subscription (org_id, subscription_id),
    CONSTRAINT payment_subscription_fee_positive CHECK (amount_minor > 0)
);

GRANT SELECT, INSERT, UPDATE ON payment_subscription TO tollkeeper_app;
GRANT SELECT, INSERT ON payment_subscription_fee TO tollkeeper_app;
