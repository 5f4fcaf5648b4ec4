-- Money outside: who an organization is to a processor, how it pays, what it paid, what went back,
-- and what processors told us. A ref is the processor's name for a thing. Rows are found by refs
-- rarely (when an event comes in), by our ids otherwise.

-- customer_id is the idempotency key under which the processor makes the customer; until it has
-- answered there is no ref. methods_version moves whenever the methods on file change here.
CREATE TABLE payment_customer (
    org_id          uuid        NOT NULL,
    livemode        boolean     NOT NULL,
    processor       text        NOT NULL,
    customer_id     uuid        NOT NULL,
    ref             text,
    methods_version bigint      NOT NULL DEFAULT 0,
    created_at      timestamptz NOT NULL,
    CONSTRAINT payment_customer_pkey PRIMARY KEY (org_id, livemode, processor)
);

CREATE INDEX payment_customer_by_ref ON payment_customer (processor, ref);

-- A copy of what the processor has on file. removed_at is the customer's wish, detached_at the
-- processor's word; until there is one, it is asked for again.
CREATE TABLE payment_method (
    org_id      uuid        NOT NULL,
    method_id   uuid        NOT NULL,
    livemode    boolean     NOT NULL,
    processor   text        NOT NULL,
    ref         text        NOT NULL,
    kind        text        NOT NULL,
    brand       text,
    last4       text,
    exp_month   smallint,
    exp_year    smallint,
    is_default  boolean     NOT NULL,
    added_at    timestamptz NOT NULL,
    removed_at  timestamptz,
    detached_at timestamptz,
    CONSTRAINT payment_method_pkey PRIMARY KEY (org_id, method_id),
    CONSTRAINT payment_method_once UNIQUE (org_id, processor, ref),
    CONSTRAINT payment_method_default_is_there CHECK (NOT is_default OR removed_at IS NULL),
    CONSTRAINT payment_method_detached_was_removed CHECK (
        detached_at IS NULL OR removed_at IS NOT NULL
    )
);

CREATE UNIQUE INDEX payment_method_one_default ON payment_method (org_id, livemode, processor)
    WHERE is_default;
CREATE INDEX payment_method_to_detach ON payment_method (removed_at)
    WHERE removed_at IS NOT NULL AND detached_at IS NULL;
CREATE INDEX payment_method_expiring ON payment_method (exp_year, exp_month)
    WHERE removed_at IS NULL;

-- A payment is written down before anybody is asked for money, under the id by which the processor
-- makes it once. check_at is when to ask what became of it; what is settled is not asked about.
CREATE TABLE payment (
    org_id            uuid        NOT NULL,
    payment_id        uuid        NOT NULL,
    livemode          boolean     NOT NULL,
    processor         text        NOT NULL,
    -- What is bought with it.
    subject_id        uuid        NOT NULL,
    status            text        NOT NULL,
    amount_minor      bigint      NOT NULL,
    currency          text        NOT NULL,
    description       text        NOT NULL,
    return_url        text        NOT NULL,
    cancel_url        text,
    method_id         uuid,
    off_session       boolean     NOT NULL,
    save_method       boolean     NOT NULL,
    page              text,
    page_ref          text,
    page_url          text,
    page_secret       text,
    page_expires_at   timestamptz,
    ref               text,
    method_ref        text,
    action_url        text,
    failure_code      text,
    failure_retryable boolean,
    failure_detail    text,
    intended_at       timestamptz NOT NULL,
    settled_at        timestamptz,
    check_at          timestamptz,
    checks            integer     NOT NULL DEFAULT 0,
    version           bigint      NOT NULL DEFAULT 0,
    CONSTRAINT payment_pkey PRIMARY KEY (org_id, payment_id),
    CONSTRAINT payment_status_known CHECK (status IN (
        'requires_payment', 'requires_action', 'processing', 'succeeded', 'failed'
    )),
    CONSTRAINT payment_amount_positive CHECK (amount_minor > 0),
    CONSTRAINT payment_by_method_or_page CHECK ((method_id IS NULL) = (page IS NOT NULL)),
    CONSTRAINT payment_page_known CHECK (page IN ('hosted', 'embedded')),
    CONSTRAINT payment_settled_at_its_end CHECK (
        (status IN ('succeeded', 'failed')) = (settled_at IS NOT NULL)
    ),
    CONSTRAINT payment_asked_about_until_its_end CHECK (
        (settled_at IS NULL) = (check_at IS NOT NULL)
    ),
    CONSTRAINT payment_failure_has_a_reason CHECK (
        (status = 'failed') = (failure_code IS NOT NULL)
    )
) WITH (fillfactor = 80);

CREATE INDEX payment_of_subject ON payment (org_id, subject_id);
CREATE INDEX payment_by_ref ON payment (processor, ref);
CREATE INDEX payment_by_page ON payment (processor, page_ref) WHERE page_ref IS NOT NULL;
CREATE INDEX payment_unfinished ON payment (check_at) WHERE check_at IS NOT NULL;
CREATE INDEX payment_by_settlement ON payment (processor, settled_at);

-- Refunds of ours, and those that were made in the processor's own dashboard.
CREATE TABLE refund (
    org_id         uuid        NOT NULL,
    refund_id      uuid        NOT NULL,
    payment_id     uuid        NOT NULL,
    livemode       boolean     NOT NULL,
    processor      text        NOT NULL,
    ours           boolean     NOT NULL,
    status         text        NOT NULL,
    amount_minor   bigint      NOT NULL,
    currency       text        NOT NULL,
    reason         text        NOT NULL,
    ref            text,
    failure_detail text,
    intended_at    timestamptz NOT NULL,
    settled_at     timestamptz,
    check_at       timestamptz,
    checks         integer     NOT NULL DEFAULT 0,
    version        bigint      NOT NULL DEFAULT 0,
    CONSTRAINT refund_pkey PRIMARY KEY (org_id, refund_id),
    CONSTRAINT refund_of_payment FOREIGN KEY (org_id, payment_id)
        REFERENCES payment (org_id, payment_id),
    CONSTRAINT refund_status_known CHECK (
        status IN ('requested', 'pending', 'succeeded', 'failed')
    ),
    CONSTRAINT refund_amount_positive CHECK (amount_minor > 0),
    CONSTRAINT refund_settled_at_its_end CHECK (
        (status IN ('succeeded', 'failed')) = (settled_at IS NOT NULL)
    ),
    CONSTRAINT refund_asked_about_until_its_end CHECK (
        (settled_at IS NULL) = (check_at IS NOT NULL)
    )
);

CREATE INDEX refund_of ON refund (org_id, payment_id);
CREATE INDEX refund_by_ref ON refund (processor, ref);
CREATE INDEX refund_unfinished ON refund (check_at) WHERE check_at IS NOT NULL;

CREATE TABLE dispute (
    org_id          uuid        NOT NULL,
    dispute_id      uuid        NOT NULL,
    payment_id      uuid        NOT NULL,
    livemode        boolean     NOT NULL,
    processor       text        NOT NULL,
    ref             text        NOT NULL,
    status          text        NOT NULL,
    amount_minor    bigint      NOT NULL,
    currency        text        NOT NULL,
    reason          text        NOT NULL,
    evidence_due_at timestamptz,
    opened_at       timestamptz NOT NULL,
    settled_at      timestamptz,
    version         bigint      NOT NULL DEFAULT 0,
    CONSTRAINT dispute_pkey PRIMARY KEY (org_id, dispute_id),
    CONSTRAINT dispute_of_payment FOREIGN KEY (org_id, payment_id)
        REFERENCES payment (org_id, payment_id),
    CONSTRAINT dispute_status_known CHECK (
        status IN ('inquiry', 'open', 'won', 'lost', 'closed')
    ),
    CONSTRAINT dispute_amount_positive CHECK (amount_minor > 0),
    CONSTRAINT dispute_settled_at_its_end CHECK (
        (status IN ('won', 'lost', 'closed')) = (settled_at IS NOT NULL)
    )
);

CREATE INDEX dispute_newest ON dispute (opened_at, dispute_id);

CREATE INDEX dispute_of ON dispute (org_id, payment_id);
CREATE INDEX dispute_by_ref ON dispute (processor, ref);

-- What processors told us, word for word, each event once. Kept whether or not we understood it.
CREATE TABLE inbox_event (
    processor   text        NOT NULL,
    livemode    boolean     NOT NULL,
    event_id    text        NOT NULL,
    type        text        NOT NULL,
    created_at  timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    body        bytea       NOT NULL,
    state       text        NOT NULL,
    handled_at  timestamptz,
    attempts    integer     NOT NULL DEFAULT 0,
    attempt_at  timestamptz,
    last_error  text,
    CONSTRAINT inbox_event_pkey PRIMARY KEY (processor, event_id),
    CONSTRAINT inbox_event_state_known CHECK (
        state IN ('pending', 'handled', 'ignored', 'not_understood')
    ),
    CONSTRAINT inbox_event_pending_is_attempted CHECK (
        (state = 'pending') = (attempt_at IS NOT NULL)
    )
);

CREATE INDEX inbox_event_pending ON inbox_event (attempt_at) WHERE state = 'pending';
CREATE INDEX inbox_event_by_time ON inbox_event (processor, received_at);

-- Up to when a processor was asked for events that never came by themselves.
CREATE TABLE inbox_cursor (
    processor    text        NOT NULL,
    livemode     boolean     NOT NULL,
    caught_up_to timestamptz NOT NULL,
    CONSTRAINT inbox_cursor_pkey PRIMARY KEY (processor, livemode)
);

GRANT SELECT, INSERT, UPDATE ON payment_customer, payment_method, payment, refund, dispute,
    inbox_event, inbox_cursor TO tollkeeper_app;

-- The sandbox: a processor of our own, whose money is not real. To the rest of the room it is the
-- outside world, so these tables have nothing to do with those above.

CREATE TABLE sandbox_object (
    object_id  text        NOT NULL,
    kind       text        NOT NULL,
    -- Whose it is: a customer's, or a payment's.
    parent     text        NOT NULL,
    -- The id under which it was asked for: one object for each, however often it is asked for.
    our_id     text,
    created_at timestamptz NOT NULL,
    body       jsonb       NOT NULL,
    CONSTRAINT sandbox_object_pkey PRIMARY KEY (object_id)
);

CREATE UNIQUE INDEX sandbox_object_once ON sandbox_object (kind, our_id)
    WHERE our_id IS NOT NULL;
CREATE INDEX sandbox_object_of ON sandbox_object (parent, kind, object_id);
CREATE INDEX sandbox_object_by_time ON sandbox_object (kind, created_at);

-- What the sandbox has to tell, and when: at once, late, twice, never.
CREATE TABLE sandbox_event (
    event_id   text        NOT NULL,
    type       text        NOT NULL,
    created_at timestamptz NOT NULL,
    body       text        NOT NULL,
    deliver_at timestamptz,
    times      integer     NOT NULL,
    delivered  integer     NOT NULL DEFAULT 0,
    CONSTRAINT sandbox_event_pkey PRIMARY KEY (event_id)
);

CREATE INDEX sandbox_event_due ON sandbox_event (deliver_at) WHERE deliver_at IS NOT NULL;
CREATE INDEX sandbox_event_by_time ON sandbox_event (created_at);

GRANT SELECT, INSERT, UPDATE ON sandbox_object, sandbox_event TO tollkeeper_app;
