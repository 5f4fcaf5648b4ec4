-- Jobs, and what organizations are told by means of them.
--
-- Jobs wait in tables that are Procrastinate's own, in a schema of their own. The runner puts the
-- library's migrations where the line says so: they never change once they are published.

CREATE SCHEMA queue;

SET LOCAL search_path = queue;
-- include: procrastinate to 03.04.00_50
SET LOCAL search_path TO DEFAULT;

GRANT USAGE ON SCHEMA queue TO tollkeeper_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA queue TO tollkeeper_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA queue TO tollkeeper_app;

-- What organizations are told, written with its cause: the list of notices, from which mails and
-- webhooks follow. data is the event as events.py describes it.
CREATE TABLE notice (
    org_id     uuid        NOT NULL,
    notice_id  uuid        NOT NULL,
    type       text        NOT NULL,
    livemode   boolean     NOT NULL,
    data       jsonb       NOT NULL,
    created_at timestamptz NOT NULL,
    read_at    timestamptz,
    CONSTRAINT notice_pkey PRIMARY KEY (org_id, notice_id),
    CONSTRAINT notice_of_organization FOREIGN KEY (org_id) REFERENCES organization (org_id)
);

-- What a member has chosen; without a row, the role decides.
CREATE TABLE notice_preference (
    org_id    uuid    NOT NULL,
    member_id uuid    NOT NULL,
    type      text    NOT NULL,
    email     boolean NOT NULL,
    CONSTRAINT notice_preference_pkey PRIMARY KEY (org_id, member_id, type),
    CONSTRAINT notice_preference_of_member FOREIGN KEY (org_id, member_id)
        REFERENCES member (org_id, member_id) ON DELETE CASCADE
);

-- The address is kept as it was: a member may be gone before their mail.
CREATE TABLE notice_mail (
    org_id     uuid        NOT NULL,
    notice_id  uuid        NOT NULL,
    member_id  uuid        NOT NULL,
    name       text        NOT NULL,
    address    text        NOT NULL,
    created_at timestamptz NOT NULL,
    sent_at    timestamptz,
    CONSTRAINT notice_mail_pkey PRIMARY KEY (org_id, notice_id, member_id),
    CONSTRAINT notice_mail_of_notice FOREIGN KEY (org_id, notice_id)
        REFERENCES notice (org_id, notice_id)
);

-- Secrets are kept as they are, because messages are signed with them. While a secret is being
-- exchanged, the old one signs too.
CREATE TABLE webhook_endpoint (
    org_id           uuid        NOT NULL,
    endpoint_id      uuid        NOT NULL,
    livemode         boolean     NOT NULL,
    url              text        NOT NULL,
    description      text        NOT NULL,
    types            text[]      NOT NULL,
    secret           text        NOT NULL,
    old_secret       text,
    old_secret_until timestamptz,
    enabled          boolean     NOT NULL,
    disabled_reason  text,
    failing_since    timestamptz,
    created_at       timestamptz NOT NULL,
    CONSTRAINT webhook_endpoint_pkey PRIMARY KEY (org_id, endpoint_id),
    CONSTRAINT webhook_endpoint_of_organization FOREIGN KEY (org_id)
        REFERENCES organization (org_id),
    CONSTRAINT webhook_endpoint_old_secret_ends
        CHECK ((old_secret IS NULL) = (old_secret_until IS NULL))
);

-- body is text, not JSON: its bytes are what is signed.
CREATE TABLE webhook_delivery (
    org_id          uuid        NOT NULL,
    delivery_id     uuid        NOT NULL,
    endpoint_id     uuid        NOT NULL,
    notice_id       uuid,
    redelivery_of   uuid,
    message_id      text        NOT NULL,
    type            text        NOT NULL,
    body            text        NOT NULL,
    state           text        NOT NULL DEFAULT 'pending',
    attempts        integer     NOT NULL DEFAULT 0,
    created_at      timestamptz NOT NULL,
    next_attempt_at timestamptz,
    attempted_at    timestamptz,
    response_status integer,
    failure         text,
    duration_ms     integer,
    CONSTRAINT webhook_delivery_pkey PRIMARY KEY (org_id, delivery_id),
    CONSTRAINT webhook_delivery_of_endpoint FOREIGN KEY (org_id, endpoint_id)
        REFERENCES webhook_endpoint (org_id, endpoint_id) ON DELETE CASCADE,
    CONSTRAINT webhook_delivery_state_known CHECK (state IN ('pending', 'delivered', 'failed'))
);

CREATE INDEX webhook_delivery_by_endpoint
    ON webhook_delivery (org_id, endpoint_id, created_at, delivery_id);

-- What has been said of a wallet's balance and not been taken back by its rising.
CREATE TABLE balance_told (
    org_id    uuid    NOT NULL,
    wallet_id uuid    NOT NULL,
    low       boolean NOT NULL DEFAULT false,
    depleted  boolean NOT NULL DEFAULT false,
    CONSTRAINT balance_told_pkey PRIMARY KEY (org_id, wallet_id),
    CONSTRAINT balance_told_of_wallet FOREIGN KEY (org_id, wallet_id)
        REFERENCES wallet (org_id, wallet_id)
);

GRANT SELECT, INSERT ON notice, notice_preference, notice_mail, webhook_endpoint,
    webhook_delivery, balance_told TO tollkeeper_app;
GRANT UPDATE (read_at) ON notice TO tollkeeper_app;
GRANT UPDATE (email) ON notice_preference TO tollkeeper_app;
GRANT UPDATE (sent_at) ON notice_mail TO tollkeeper_app;
GRANT UPDATE (url, description, types, secret, old_secret, old_secret_until, enabled,
    disabled_reason, failing_since), DELETE ON webhook_endpoint TO tollkeeper_app;
GRANT UPDATE (state, attempts, next_attempt_at, attempted_at, response_status, failure,
    duration_ms) ON webhook_delivery TO tollkeeper_app;
GRANT UPDATE (low, depleted) ON balance_told TO tollkeeper_app;
