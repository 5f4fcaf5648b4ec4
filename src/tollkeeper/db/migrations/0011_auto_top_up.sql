-- What a wallet buys by itself, and how its last payments went.
CREATE TABLE auto_top_up (
    org_id            uuid    NOT NULL,
    wallet_id         uuid    NOT NULL,
    livemode          boolean NOT NULL,
    currency          text    NOT NULL,
    enabled           boolean NOT NULL,
    threshold_nanos   bigint  NOT NULL,
    -- Always so much, or up to there.
    amount_nanos      bigint,
    target_nanos      bigint,
    monthly_cap_nanos bigint  NOT NULL,
    -- The default method, where none is chosen.
    method_id         uuid,
    -- In a row, since it last went well or was given a new beginning.
    failures          integer NOT NULL,
    suspended_reason  text,
    not_before        timestamptz,
    last_failure      text,
    last_failure_at   timestamptz,
    CONSTRAINT auto_top_up_pkey PRIMARY KEY (org_id, wallet_id),
    CONSTRAINT auto_top_up_one_measure CHECK (num_nonnulls(amount_nanos, target_nanos) = 1),
    CONSTRAINT auto_top_up_not_negative CHECK (
        threshold_nanos >= 0 AND monthly_cap_nanos > 0 AND failures >= 0
    )
);

CREATE INDEX auto_top_up_enabled ON auto_top_up (org_id, wallet_id) WHERE enabled;

-- Who agreed to it, when, and to which words. Never changed.
CREATE TABLE auto_top_up_consent (
    org_id     uuid        NOT NULL,
    consent_id uuid        NOT NULL,
    wallet_id  uuid        NOT NULL,
    at         timestamptz NOT NULL,
    who        text        NOT NULL,
    said       text        NOT NULL,
    CONSTRAINT auto_top_up_consent_pkey PRIMARY KEY (org_id, consent_id)
);

GRANT SELECT, INSERT, UPDATE ON auto_top_up TO tollkeeper_app;
GRANT SELECT, INSERT ON auto_top_up_consent TO tollkeeper_app;
