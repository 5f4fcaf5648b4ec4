-- The whole schema as migrations make it, for reading; a test compares the two.

-- Which migrations this database has had. The runner keeps it.
CREATE TABLE schema_migration (
    name       text        NOT NULL,
    sha256     text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT schema_migration_pkey PRIMARY KEY (name)
);

GRANT SELECT ON schema_migration TO tollkeeper_app;

-- The ledger: wallets, holds, entries, lots, and the usage records that consumption is made of.
-- org_id leads every key, so that the tables can be spread by organization as they are.

-- One organization's balance in one currency, live or test. The row a call locks.
--
-- posted is what is owned, held what running calls reserve. The seven columns after them are the
-- counter-accounts of double entry, kept per wallet so that no row is shared by all:
-- each entry moves posted one way and one of them the other, so together they are always zero.
CREATE TABLE wallet (
    org_id        uuid        NOT NULL,
    wallet_id     uuid        NOT NULL,
    livemode      boolean     NOT NULL,
    currency      text        NOT NULL,
    posted        bigint      NOT NULL DEFAULT 0,
    held          bigint      NOT NULL DEFAULT 0,
    cash          bigint      NOT NULL DEFAULT 0,
    promotional   bigint      NOT NULL DEFAULT 0,
    revenue       bigint      NOT NULL DEFAULT 0,
    breakage      bigint      NOT NULL DEFAULT 0,
    refunds       bigint      NOT NULL DEFAULT 0,
    disputes      bigint      NOT NULL DEFAULT 0,
    adjustments   bigint      NOT NULL DEFAULT 0,
    overdraft     bigint      NOT NULL DEFAULT 0,
    -- How far settled cost has gone past the overdraft. Only what must always post (a settlement,
    -- past usage, a clawback) raises it; a hold never does, and that is the hard stop below.
    overrun       bigint      NOT NULL DEFAULT 0,
    entry_seq     bigint      NOT NULL DEFAULT 0,
    usage_seq     bigint      NOT NULL DEFAULT 0,
    line_seq      bigint      NOT NULL DEFAULT 0,
    -- The time of the newest entry or usage record: times never run backwards within a wallet.
    newest_at     timestamptz NOT NULL,
    next_expiry_at timestamptz,
    frozen_reason text,
    opened_at     timestamptz NOT NULL,
    CONSTRAINT wallet_pkey PRIMARY KEY (org_id, wallet_id),
    CONSTRAINT wallet_one_per_currency UNIQUE (org_id, livemode, currency),
    CONSTRAINT wallet_books_balance CHECK (
        posted + cash + promotional + revenue + breakage + refunds + disputes + adjustments = 0
    ),
    CONSTRAINT wallet_hard_stop CHECK (posted - held + overdraft + overrun >= 0),
    CONSTRAINT wallet_held_not_negative CHECK (held >= 0),
    CONSTRAINT wallet_limits_not_negative CHECK (overdraft >= 0 AND overrun >= 0)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000);

-- Not among the columns that calls change, so that their updates stay within the page.
CREATE INDEX wallet_expiry_due ON wallet (next_expiry_at) WHERE next_expiry_at IS NOT NULL;

-- A reservation placed before a call. Settling deletes the row (the usage record stays and says
-- what was held); voided and expired rows stay for a while, so that a late report finds them.
CREATE TABLE hold (
    org_id     uuid        NOT NULL,
    hold_id    uuid        NOT NULL,
    wallet_id  uuid        NOT NULL,
    amount     bigint      NOT NULL,
    state      text        NOT NULL,
    project_id uuid,
    key_id     uuid,
    placed_at  timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at   timestamptz,
    -- What the placer wants back at settlement: the prices of the moment, the operation.
    context    jsonb,
    -- What it has reserved of counters: [limit, livemode, subject, period, units] each.
    draws      jsonb,
    CONSTRAINT hold_pkey PRIMARY KEY (org_id, hold_id),
    CONSTRAINT hold_amount_not_negative CHECK (amount >= 0),
    CONSTRAINT hold_state_known CHECK (state IN ('open', 'voided', 'expired')),
    CONSTRAINT hold_ends_once CHECK ((state = 'open') = (ended_at IS NULL))
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000);

CREATE INDEX hold_due ON hold (expires_at) WHERE state = 'open';
CREATE INDEX hold_ended ON hold (ended_at) WHERE state <> 'open';

-- One immutable line of the ledger, with the balance after it. `account` is the counter-account.
CREATE TABLE entry (
    org_id        uuid        NOT NULL,
    wallet_id     uuid        NOT NULL,
    seq           bigint      NOT NULL,
    entry_id      uuid        NOT NULL,
    kind          text        NOT NULL,
    account       text        NOT NULL,
    amount        bigint      NOT NULL,
    balance_after bigint      NOT NULL,
    posted_at     timestamptz NOT NULL,
    -- The lot that a credit makes or that a debit is taken from; NULL draws in the one order.
    lot_id        uuid,
    -- The outside cause, such as a payment's id: one cause, one entry, for ever.
    source        text,
    reverses_seq  bigint,
    actor         text,
    reason        text,
    CONSTRAINT entry_pkey PRIMARY KEY (org_id, wallet_id, seq),
    CONSTRAINT entry_seq_positive CHECK (seq > 0),
    CONSTRAINT entry_amount_not_zero CHECK (amount <> 0),
    CONSTRAINT entry_kind_known CHECK (kind IN (
        'purchase', 'auto_top_up', 'grant', 'consumption',
        'refund', 'dispute', 'expiry', 'adjustment'
    )),
    CONSTRAINT entry_account_known CHECK (account IN (
        'cash', 'promotional', 'revenue', 'breakage', 'refunds', 'disputes', 'adjustments'
    ))
);

-- Partial, so that consumption, which has neither, does not pay for them.
CREATE UNIQUE INDEX entry_once_per_source ON entry (org_id, source) WHERE source IS NOT NULL;
CREATE UNIQUE INDEX entry_reversed_once ON entry (org_id, wallet_id, reverses_seq)
    WHERE reverses_seq IS NOT NULL;
-- Credit movements other than consumption are few; lists and lots read only these.
CREATE INDEX entry_movements ON entry (org_id, wallet_id, seq) WHERE kind <> 'consumption';

-- Credit that arrived together. Its id is the id of the entry that brought it.
CREATE TABLE lot (
    org_id     uuid        NOT NULL,
    lot_id     uuid        NOT NULL,
    wallet_id  uuid        NOT NULL,
    entry_seq  bigint      NOT NULL,
    kind       text        NOT NULL,
    amount     bigint      NOT NULL,
    priority   smallint    NOT NULL,
    arrived_at timestamptz NOT NULL,
    expires_at timestamptz,
    label      text,
    CONSTRAINT lot_pkey PRIMARY KEY (org_id, lot_id),
    CONSTRAINT lot_amount_positive CHECK (amount > 0),
    CONSTRAINT lot_kind_known CHECK (kind IN ('purchased', 'promotional', 'allowance'))
);

CREATE INDEX lot_of_wallet ON lot (org_id, wallet_id, entry_seq);

-- One call, charged once: what it cost and where it stands in the wallet's chain. The columns
-- below the line are the words of whoever metered the call; the ledger only keeps them.
CREATE TABLE usage_record (
    org_id        uuid        NOT NULL,
    wallet_id     uuid        NOT NULL,
    seq           bigint      NOT NULL,
    usage_id      uuid        NOT NULL,
    entry_seq     bigint,
    amount        bigint      NOT NULL,
    balance_after bigint      NOT NULL,
    held          bigint,
    late          boolean     NOT NULL,
    lines         smallint    NOT NULL,
    line_seq      bigint      NOT NULL,
    recorded_at   timestamptz NOT NULL,
    -- ──────────────────────────────────────────────────────────────────────────────────────────
    started_at    timestamptz NOT NULL,
    duration_ms   integer,
    project_id    uuid,
    key_id        uuid,
    request_id    text,
    fingerprint   bigint,
    status        smallint    NOT NULL,
    source        text        NOT NULL,
    provider      text,
    model         text,
    operation     text,
    thread_id     text,
    detail        jsonb       NOT NULL,
    CONSTRAINT usage_record_pkey PRIMARY KEY (org_id, wallet_id, seq),
    CONSTRAINT usage_record_once UNIQUE (org_id, usage_id),
    CONSTRAINT usage_record_amount_not_negative CHECK (amount >= 0),
    CONSTRAINT usage_record_source_known CHECK (
        source IN ('provider', 'partial', 'estimated', 'reported', 'none')
    )
);

CREATE INDEX usage_record_thread ON usage_record (org_id, thread_id, seq)
    WHERE thread_id IS NOT NULL;
CREATE INDEX usage_record_failed ON usage_record (org_id, wallet_id, seq)
    WHERE status >= 400;

-- Entries, lots and usage records are written once: the application may not change them.
GRANT SELECT, INSERT ON entry, lot, usage_record TO tollkeeper_app;
GRANT SELECT, INSERT, UPDATE ON wallet TO tollkeeper_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON hold TO tollkeeper_app;

-- Who owns credit and who may spend it; what operators did; and what the endpoints remember.

CREATE TABLE organization (
    org_id     uuid        NOT NULL,
    name       text        NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT organization_pkey PRIMARY KEY (org_id),
    CONSTRAINT organization_name_length CHECK (length(name) BETWEEN 1 AND 200)
);

-- A part of an organization; all of them share its balance. An archived project keeps its row,
-- because usage names it for ever, and gives its name back.
CREATE TABLE project (
    org_id      uuid        NOT NULL,
    project_id  uuid        NOT NULL,
    name        text        NOT NULL,
    created_at  timestamptz NOT NULL,
    archived_at timestamptz,
    CONSTRAINT project_pkey PRIMARY KEY (org_id, project_id),
    CONSTRAINT project_of_organization FOREIGN KEY (org_id) REFERENCES organization (org_id),
    CONSTRAINT project_name_length CHECK (length(name) BETWEEN 1 AND 200)
);

CREATE UNIQUE INDEX project_one_per_name ON project (org_id, name) WHERE archived_at IS NULL;

CREATE TABLE member (
    org_id     uuid        NOT NULL,
    member_id  uuid        NOT NULL,
    name       text        NOT NULL,
    email      text        NOT NULL,
    role       text        NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT member_pkey PRIMARY KEY (org_id, member_id),
    CONSTRAINT member_one_per_email UNIQUE (org_id, email),
    CONSTRAINT member_of_organization FOREIGN KEY (org_id) REFERENCES organization (org_id),
    CONSTRAINT member_role_known CHECK (role IN ('owner', 'admin', 'billing', 'member')),
    CONSTRAINT member_name_length CHECK (length(name) BETWEEN 1 AND 200),
    CONSTRAINT member_email_lower_case CHECK (email = lower(email))
);

-- A secret that spends. Only its SHA-256 is kept: it has 256 bits of chance, so a slow hash would
-- protect nothing more. changed_at moves with every change that matters to a process that holds
-- the key in memory; last_used_at does not.
CREATE TABLE api_key (
    org_id         uuid        NOT NULL,
    key_id         uuid        NOT NULL,
    project_id     uuid        NOT NULL,
    name           text        NOT NULL,
    kind           text        NOT NULL,
    livemode       boolean     NOT NULL,
    secret_hash    bytea       NOT NULL,
    display_prefix text        NOT NULL,
    clamp          boolean     NOT NULL,
    created_at     timestamptz NOT NULL,
    expires_at     timestamptz,
    revoked_at     timestamptz,
    last_used_at   timestamptz,
    changed_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Whose key it is, where it is somebody's: it stays theirs when they are no member any more.
    member_id      uuid,
    CONSTRAINT api_key_pkey PRIMARY KEY (org_id, key_id),
    CONSTRAINT api_key_of_project FOREIGN KEY (org_id, project_id)
        REFERENCES project (org_id, project_id),
    CONSTRAINT api_key_kind_known CHECK (kind IN ('INFERENCE', 'ADMIN')),
    CONSTRAINT api_key_name_length CHECK (length(name) BETWEEN 1 AND 200),
    CONSTRAINT api_key_hash_is_sha256 CHECK (octet_length(secret_hash) = 32)
);

CREATE INDEX api_key_by_project ON api_key (org_id, project_id);
-- A process that meets a key for the first time knows no organization yet.
CREATE INDEX api_key_by_secret ON api_key (secret_hash);
CREATE INDEX api_key_by_change ON api_key (changed_at);

CREATE TABLE operator_key (
    key_id         uuid        NOT NULL,
    name           text        NOT NULL,
    secret_hash    bytea       NOT NULL,
    display_prefix text        NOT NULL,
    created_at     timestamptz NOT NULL,
    expires_at     timestamptz,
    revoked_at     timestamptz,
    last_used_at   timestamptz,
    changed_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT operator_key_pkey PRIMARY KEY (key_id),
    CONSTRAINT operator_key_name_length CHECK (length(name) BETWEEN 1 AND 200),
    CONSTRAINT operator_key_hash_is_sha256 CHECK (octet_length(secret_hash) = 32)
);

CREATE INDEX operator_key_by_secret ON operator_key (secret_hash);
CREATE INDEX operator_key_by_change ON operator_key (changed_at);

-- What operators did. Nobody but the owner of the database can change it.
CREATE TABLE audit_log (
    audit_id uuid        NOT NULL,
    at       timestamptz NOT NULL,
    who      text        NOT NULL,
    what     text        NOT NULL,
    why      text        NOT NULL,
    org_id   uuid,
    details  jsonb       NOT NULL,
    CONSTRAINT audit_log_pkey PRIMARY KEY (audit_id)
);

CREATE INDEX audit_log_by_organization ON audit_log (org_id, audit_id);

-- The first answer to each write that carried an Idempotency-Key. An operator's writes lie under
-- the id of the operator's key in place of an organization's.
CREATE TABLE idempotency (
    org_id       uuid        NOT NULL,
    key          text        NOT NULL,
    request_hash bytea       NOT NULL,
    run_id       uuid        NOT NULL,
    state        text        NOT NULL,
    leased_until timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    created_at   timestamptz NOT NULL,
    status       smallint,
    headers      jsonb,
    body         bytea,
    CONSTRAINT idempotency_pkey PRIMARY KEY (org_id, key),
    CONSTRAINT idempotency_state_known CHECK (state IN ('running', 'done')),
    CONSTRAINT idempotency_done_has_answer CHECK ((state = 'done') = (status IS NOT NULL))
);

CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);

-- One row: what this installation keeps secret, such as the key that seals cursors.
CREATE TABLE instance_secret (
    only_one boolean NOT NULL DEFAULT true,
    secret   bytea   NOT NULL,
    CONSTRAINT instance_secret_pkey PRIMARY KEY (only_one),
    CONSTRAINT instance_secret_only_one CHECK (only_one),
    CONSTRAINT instance_secret_length CHECK (octet_length(secret) = 32)
);

GRANT SELECT, INSERT ON organization, project, member, api_key, operator_key, audit_log,
    idempotency, instance_secret TO tollkeeper_app;
GRANT UPDATE (name) ON organization TO tollkeeper_app;
GRANT UPDATE (name, archived_at) ON project TO tollkeeper_app;
GRANT UPDATE (name, email, role), DELETE ON member TO tollkeeper_app;
GRANT UPDATE (name, clamp, expires_at, revoked_at, last_used_at, changed_at)
    ON api_key TO tollkeeper_app;
GRANT UPDATE (revoked_at, last_used_at, changed_at) ON operator_key TO tollkeeper_app;
GRANT UPDATE, DELETE ON idempotency TO tollkeeper_app;

-- The price book: what things cost, from when on, and who said so. Small, the same for everybody,
-- and only ever added to: a price that changes is followed by another version, never altered.

CREATE TABLE price_version (
    -- Made from the content (UUIDv5 of its hash): the same prices have the same id everywhere.
    id                uuid        NOT NULL,
    -- 'own' for the operator's own SKUs, whose name is then the model.
    provider          text        NOT NULL,
    model             text        NOT NULL,
    effective_from    timestamptz NOT NULL,
    -- {unit: [price in nanos, for how many units, [[above so many input tokens, price], …]]}
    rates             jsonb       NOT NULL,
    -- {tier: rates}
    service_tiers     jsonb       NOT NULL,
    aliases           text[]      NOT NULL,
    context           bigint,
    max_input_tokens  bigint,
    max_output_tokens bigint,
    source            text        NOT NULL,
    checked_on        date,
    note              text        NOT NULL,
    ended             boolean     NOT NULL,
    content_hash      bytea       NOT NULL,
    published_at      timestamptz NOT NULL,
    published_by      text        NOT NULL,
    CONSTRAINT price_version_pkey PRIMARY KEY (id),
    CONSTRAINT price_version_one_per_moment UNIQUE (provider, model, effective_from),
    CONSTRAINT price_version_named CHECK (provider <> '' AND model <> ''),
    CONSTRAINT price_version_ended_has_no_rates CHECK (ended = (rates = '{}'::jsonb)),
    CONSTRAINT price_version_hash_is_sha256 CHECK (octet_length(content_hash) = 32)
);

-- What the operator adds to a provider's prices, dated like them. A row names what it is for:
-- a provider and model, a provider, a plan, or none of these (the default).
CREATE TABLE markup (
    provider       text        NOT NULL,
    model          text        NOT NULL,
    plan           text        NOT NULL,
    effective_from timestamptz NOT NULL,
    -- Parts per million on every price; -1000000 makes it free. Null takes the mark-up away again.
    ppm            bigint,
    fixed_nanos    bigint,
    published_at   timestamptz NOT NULL,
    published_by   text        NOT NULL,
    CONSTRAINT markup_pkey PRIMARY KEY (provider, model, plan, effective_from),
    CONSTRAINT markup_names_one_thing CHECK (
        CASE WHEN plan <> '' THEN provider = '' AND model = '' ELSE model = '' OR provider <> '' END
    ),
    CONSTRAINT markup_whole_or_taken_away CHECK ((ppm IS NULL) = (fixed_nanos IS NULL)),
    CONSTRAINT markup_within_reason CHECK (ppm >= -1000000 AND fixed_nanos >= 0)
);

GRANT SELECT, INSERT ON price_version, markup TO tollkeeper_app;

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

-- Jobs that wait or run. The tables in here are Procrastinate's own, made by its migrations.
CREATE SCHEMA queue;

GRANT USAGE ON SCHEMA queue TO tollkeeper_app;

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
-- exchanged, the old one signs too; exchanged again meanwhile, the old ones do, newest first, with
-- a space between them.
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
    response_body   text,
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
    duration_ms, response_body) ON webhook_delivery TO tollkeeper_app;
GRANT UPDATE (low, depleted) ON balance_told TO tollkeeper_app;

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
    -- When somebody last set out to ask the processor for its money.
    sent_at           timestamptz,
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

-- Invoices and credit notes: written once, numbered without gaps.

-- The last number given in a series. Whoever issues locks the row until its transaction ends, so a
-- number is given back when that is undone. A few rows, shared by all organizations like prices.
CREATE TABLE invoice_series (
    entity      text     NOT NULL,
    livemode    boolean  NOT NULL,
    series      text     NOT NULL,
    year        smallint NOT NULL,
    last_number bigint   NOT NULL,
    CONSTRAINT invoice_series_pkey PRIMARY KEY (entity, livemode, series, year),
    CONSTRAINT invoice_series_counts_up CHECK (last_number >= 0)
);

-- Which document has which number: no number twice, in whatever organization.
CREATE TABLE invoice_number (
    entity     text     NOT NULL,
    livemode   boolean  NOT NULL,
    series     text     NOT NULL,
    year       smallint NOT NULL,
    number     bigint   NOT NULL,
    org_id     uuid     NOT NULL,
    invoice_id uuid     NOT NULL,
    CONSTRAINT invoice_number_pkey PRIMARY KEY (entity, livemode, series, year, number),
    CONSTRAINT invoice_number_positive CHECK (number > 0)
);

-- `content` is the document as it was issued, every word of it; the columns are for finding and
-- for sums. `cause` is what it was issued for, such as a purchase's or a refund's id: one each.
CREATE TABLE invoice (
    org_id      uuid        NOT NULL,
    invoice_id  uuid        NOT NULL,
    livemode    boolean     NOT NULL,
    type        text        NOT NULL,
    number      text        NOT NULL,
    cause       text        NOT NULL,
    purchase_id uuid,
    corrects_id uuid,
    issued_at   timestamptz NOT NULL,
    currency    text        NOT NULL,
    net_minor   bigint      NOT NULL,
    tax_minor   bigint      NOT NULL,
    total_minor bigint      NOT NULL,
    content     jsonb       NOT NULL,
    CONSTRAINT invoice_pkey PRIMARY KEY (org_id, invoice_id),
    CONSTRAINT invoice_once_per_cause UNIQUE (org_id, cause),
    CONSTRAINT invoice_corrects FOREIGN KEY (org_id, corrects_id)
        REFERENCES invoice (org_id, invoice_id),
    CONSTRAINT invoice_type_known CHECK (type IN ('invoice', 'credit_note')),
    CONSTRAINT invoice_credit_note_corrects CHECK (
        (type = 'credit_note') = (corrects_id IS NOT NULL)
    ),
    CONSTRAINT invoice_adds_up CHECK (net_minor + tax_minor = total_minor),
    CONSTRAINT invoice_not_negative CHECK (net_minor >= 0 AND tax_minor >= 0)
);

CREATE INDEX invoice_of_purchase ON invoice (org_id, purchase_id);
CREATE INDEX invoice_correcting ON invoice (org_id, corrects_id) WHERE corrects_id IS NOT NULL;

-- Documents and their numbers are written once: the application may not change them.
GRANT SELECT, INSERT ON invoice, invoice_number TO tollkeeper_app;
GRANT SELECT, INSERT, UPDATE ON invoice_series TO tollkeeper_app;

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
    -- Not over a window that somebody chose.
    usual             boolean     NOT NULL DEFAULT true,
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
-- Money that becomes credit. A purchase has one payment, under its own id; what was to be paid and
-- what is credited are numbers of their own, and never change once it has begun.
CREATE TABLE purchase (
    org_id       uuid        NOT NULL,
    purchase_id  uuid        NOT NULL,
    wallet_id    uuid        NOT NULL,
    livemode     boolean     NOT NULL,
    origin       text        NOT NULL,
    status       text        NOT NULL,
    paged        boolean     NOT NULL,
    credit_nanos bigint      NOT NULL,
    price_minor  bigint      NOT NULL,
    fee_minor    bigint      NOT NULL,
    tax_minor    bigint      NOT NULL,
    total_minor  bigint      NOT NULL,
    currency     text        NOT NULL,
    -- What the invoice will say: the taxes, and who bought, as they were when it began.
    taxes        jsonb       NOT NULL,
    buyer        jsonb       NOT NULL,
    actor        text        NOT NULL,
    created_at   timestamptz NOT NULL,
    -- When it was credited; what the balance was then.
    succeeded_at timestamptz,
    balance_after bigint,
    -- Of the credit, what refunds and disputes have taken back.
    returned_nanos bigint     NOT NULL DEFAULT 0,
    CONSTRAINT purchase_pkey PRIMARY KEY (org_id, purchase_id),
    CONSTRAINT purchase_origin_known CHECK (origin IN ('purchase', 'auto_top_up')),
    CONSTRAINT purchase_status_known CHECK (status IN (
        'requires_payment', 'requires_action', 'processing', 'succeeded', 'failed', 'refunded',
        'disputed'
    )),
    CONSTRAINT purchase_adds_up CHECK (
        credit_nanos > 0 AND price_minor > 0 AND fee_minor >= 0 AND tax_minor >= 0
        AND total_minor = price_minor + fee_minor + tax_minor
    ),
    CONSTRAINT purchase_returned_is_part CHECK (
        returned_nanos BETWEEN 0 AND credit_nanos
        AND (returned_nanos = 0 OR succeeded_at IS NOT NULL)
    ),
    CONSTRAINT purchase_credited_once_paid CHECK (
        (status IN ('succeeded', 'refunded', 'disputed')) = (succeeded_at IS NOT NULL)
        AND (succeeded_at IS NULL) = (balance_after IS NULL)
    )
) WITH (fillfactor = 80);

CREATE INDEX purchase_newest ON purchase (org_id, livemode, purchase_id DESC);
CREATE INDEX purchase_automatic ON purchase (org_id, wallet_id, created_at)
    WHERE origin = 'auto_top_up';
-- A double click is one purchase: until the first is paid or declined there is no other. On a page
-- of the processor a customer may pay or not, for as long as they like, and begin anew.
CREATE UNIQUE INDEX purchase_one_being_charged ON purchase (org_id, wallet_id)
    WHERE origin = 'purchase' AND status = 'requires_payment' AND NOT paged;
-- However many processes see a low balance, one of them buys.
CREATE UNIQUE INDEX purchase_one_auto_top_up ON purchase (org_id, wallet_id)
    WHERE origin = 'auto_top_up'
    AND status IN ('requires_payment', 'requires_action', 'processing');

GRANT SELECT, INSERT, UPDATE ON purchase TO tollkeeper_app;

-- Who an organization's invoices are made out to.
CREATE TABLE billing_profile (
    org_id     uuid        NOT NULL,
    name       text        NOT NULL,
    kind       text        NOT NULL,
    address    jsonb       NOT NULL,
    tax_ids    jsonb       NOT NULL,
    emails     text[]      NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT billing_profile_pkey PRIMARY KEY (org_id),
    CONSTRAINT billing_profile_of_organization FOREIGN KEY (org_id)
        REFERENCES organization (org_id),
    CONSTRAINT billing_profile_kind_known CHECK (kind IN ('business', 'consumer'))
);

GRANT SELECT, INSERT, UPDATE ON billing_profile TO tollkeeper_app;

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

-- What is limited, and how much of it is used and reserved: budgets, rates, allowances.

-- The current period of one limit for one of those it counts apart (`subject`, such as an end
-- user; '' where it counts everything together). Used and held are whole units of whatever the
-- limit measures. The row of an earlier period is taken over by the next: what was used then can
-- be added up from usage records.
CREATE TABLE counter (
    org_id       uuid        NOT NULL,
    limit_id     uuid        NOT NULL,
    livemode     boolean     NOT NULL,
    subject      text        NOT NULL,
    period_start timestamptz NOT NULL,
    used         bigint      NOT NULL DEFAULT 0,
    held         bigint      NOT NULL DEFAULT 0,
    -- The highest percentage that somebody was told about in this period.
    told_percent smallint    NOT NULL DEFAULT 0,
    CONSTRAINT counter_pkey PRIMARY KEY (org_id, limit_id, livemode, subject),
    CONSTRAINT counter_not_negative CHECK (used >= 0 AND held >= 0)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000);

GRANT SELECT, INSERT, UPDATE, DELETE ON counter TO tollkeeper_app;

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
    -- In thousandths of a unit times microseconds: an hour of one unit is 3,600,000,000,000.
    carry       bigint      NOT NULL DEFAULT 0,
    CONSTRAINT level_meter_pkey PRIMARY KEY (org_id, livemode, name)
);

CREATE INDEX level_meter_due ON level_meter (emitted_to);

GRANT SELECT, INSERT, UPDATE ON plan TO tollkeeper_app;
GRANT SELECT, INSERT ON plan_version TO tollkeeper_app;
GRANT SELECT, INSERT, UPDATE ON subscription TO tollkeeper_app;
GRANT SELECT, INSERT ON level_report TO tollkeeper_app;
GRANT SELECT, INSERT, UPDATE ON level_meter TO tollkeeper_app;

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
-- ever; nothing, and no entry, where it turned out to be free. lines are [sku, unit, quantity, nanos].
CREATE TABLE usage_correction (
    org_id     uuid        NOT NULL,
    wallet_id  uuid        NOT NULL,
    started_at timestamptz NOT NULL,
    usage_id   uuid        NOT NULL,
    amount     bigint      NOT NULL,
    lines      jsonb       NOT NULL,
    CONSTRAINT usage_correction_pkey PRIMARY KEY (org_id, wallet_id, started_at, usage_id)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON usage_rollup, usage_stray TO tollkeeper_app;
GRANT SELECT, INSERT ON usage_correction TO tollkeeper_app;

-- What providers say that they charge, as their own exports said it last.

-- One day of UTC, in one measure: nanos of USD, or tokens. A later export replaces the whole day of
-- its provider and measure. `model` is in the provider's words, '' where it names none.
CREATE TABLE provider_cost (
    provider    text        NOT NULL,
    day         date        NOT NULL,
    measure     text        NOT NULL,
    model       text        NOT NULL,
    amount      bigint      NOT NULL,
    imported_at timestamptz NOT NULL,
    imported_by text        NOT NULL,
    CONSTRAINT provider_cost_pkey PRIMARY KEY (provider, day, measure, model),
    CONSTRAINT provider_cost_measure_known CHECK (measure IN ('cost', 'tokens'))
);

CREATE INDEX provider_cost_by_day ON provider_cost (day);

GRANT SELECT, INSERT, DELETE ON provider_cost TO tollkeeper_app;

-- Who is signed in to the console, and the links that sign in. Both secrets are 32 random bytes, of
-- which only the SHA-256 is kept. What is over is removed when the next of its organization is made.

-- Made by an operator's backend; it works once. The organization is part of the link.
CREATE TABLE portal_link (
    org_id      uuid        NOT NULL,
    secret_hash bytea       NOT NULL,
    role        text        NOT NULL,
    member_id   uuid,
    livemode    boolean     NOT NULL,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    used_at     timestamptz,
    CONSTRAINT portal_link_pkey PRIMARY KEY (org_id, secret_hash),
    CONSTRAINT portal_link_of_organization FOREIGN KEY (org_id) REFERENCES organization (org_id),
    CONSTRAINT portal_link_of_member FOREIGN KEY (org_id, member_id)
        REFERENCES member (org_id, member_id) ON DELETE CASCADE,
    CONSTRAINT portal_link_role_known CHECK (role IN ('owner', 'admin', 'billing', 'member')),
    CONSTRAINT portal_link_hash_is_sha256 CHECK (octet_length(secret_hash) = 32)
);

-- The secret in the browser is changed now and then; requests that were under way when it was
-- carry the previous one.
CREATE TABLE console_session (
    org_id        uuid        NOT NULL,
    session_id    uuid        NOT NULL,
    secret_hash   bytea       NOT NULL,
    previous_hash bytea,
    role          text        NOT NULL,
    member_id     uuid,
    livemode      boolean     NOT NULL,
    created_at    timestamptz NOT NULL,
    rotated_at    timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    -- A session that an account opened ends with the account's: no row there, no session here.
    account_session_id uuid,
    CONSTRAINT console_session_pkey PRIMARY KEY (org_id, session_id),
    CONSTRAINT console_session_of_organization FOREIGN KEY (org_id)
        REFERENCES organization (org_id),
    CONSTRAINT console_session_of_member FOREIGN KEY (org_id, member_id)
        REFERENCES member (org_id, member_id) ON DELETE CASCADE,
    CONSTRAINT console_session_role_known CHECK (role IN ('owner', 'admin', 'billing', 'member')),
    CONSTRAINT console_session_hash_is_sha256 CHECK (octet_length(secret_hash) = 32)
);

GRANT SELECT, INSERT, DELETE ON portal_link, console_session TO tollkeeper_app;
GRANT UPDATE (used_at) ON portal_link TO tollkeeper_app;
GRANT UPDATE (secret_hash, previous_hash, rotated_at) ON console_session TO tollkeeper_app;

-- People who sign in. An account is not an organization's: it may be a member of several, and of
-- the operator's staff. Of every secret, 32 random bytes, only the SHA-256 is kept; of a password,
-- its Argon2 hash.

CREATE TABLE account (
    account_id    uuid        NOT NULL,
    email         text        NOT NULL,
    name          text        NOT NULL,
    password_hash text,
    staff_role    text,
    created_at    timestamptz NOT NULL,
    disabled_at   timestamptz,
    CONSTRAINT account_pkey PRIMARY KEY (account_id),
    CONSTRAINT account_one_per_email UNIQUE (email),
    CONSTRAINT account_email_lower_case CHECK (email = lower(email)),
    CONSTRAINT account_email_length CHECK (length(email) BETWEEN 3 AND 254),
    CONSTRAINT account_name_length CHECK (length(name) BETWEEN 1 AND 200),
    CONSTRAINT account_staff_role_known CHECK (staff_role IN ('admin', 'viewer'))
);

-- Who an account is to a provider of sign-in; its e-mail there may change.
CREATE TABLE account_identity (
    issuer     text        NOT NULL,
    subject    text        NOT NULL,
    account_id uuid        NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT account_identity_pkey PRIMARY KEY (issuer, subject),
    CONSTRAINT account_identity_of_account FOREIGN KEY (account_id) REFERENCES account (account_id)
);

-- Which members of organizations an account is. It ends with the member.
CREATE TABLE account_member (
    org_id     uuid        NOT NULL,
    member_id  uuid        NOT NULL,
    account_id uuid        NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT account_member_pkey PRIMARY KEY (org_id, member_id),
    CONSTRAINT account_member_once_in_organization UNIQUE (org_id, account_id),
    CONSTRAINT account_member_of_member FOREIGN KEY (org_id, member_id)
        REFERENCES member (org_id, member_id) ON DELETE CASCADE,
    CONSTRAINT account_member_of_account FOREIGN KEY (account_id) REFERENCES account (account_id)
);

CREATE INDEX account_member_by_account ON account_member (account_id);

-- Where an account is signed in. Secrets change as those of console_session do.
CREATE TABLE account_session (
    session_id    uuid        NOT NULL,
    account_id    uuid        NOT NULL,
    secret_hash   bytea       NOT NULL,
    previous_hash bytea,
    user_agent    text        NOT NULL,
    created_at    timestamptz NOT NULL,
    rotated_at    timestamptz NOT NULL,
    seen_at       timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL,
    CONSTRAINT account_session_pkey PRIMARY KEY (session_id),
    CONSTRAINT account_session_of_account FOREIGN KEY (account_id) REFERENCES account (account_id),
    CONSTRAINT account_session_hash_is_sha256 CHECK (octet_length(secret_hash) = 32)
);

CREATE INDEX account_session_by_account ON account_session (account_id);

-- What a link that was sent lets its bearer do, once: be the first of the staff, be one of the
-- staff, be a member of an organization, or choose a new password.
CREATE TABLE account_link (
    link_id     uuid        NOT NULL,
    secret_hash bytea       NOT NULL,
    purpose     text        NOT NULL,
    email       text,
    org_id      uuid,
    role        text,
    staff_role  text,
    made_by     text        NOT NULL,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    used_at     timestamptz,
    CONSTRAINT account_link_pkey PRIMARY KEY (link_id),
    CONSTRAINT account_link_of_organization FOREIGN KEY (org_id) REFERENCES organization (org_id),
    CONSTRAINT account_link_email_lower_case CHECK (email = lower(email)),
    CONSTRAINT account_link_role_known CHECK (role IN ('owner', 'admin', 'billing', 'member')),
    CONSTRAINT account_link_staff_role_known CHECK (staff_role IN ('admin', 'viewer')),
    CONSTRAINT account_link_purpose_known
        CHECK (purpose IN ('first_run', 'staff', 'member', 'reset')),
    CONSTRAINT account_link_says_enough CHECK (
        (purpose = 'first_run') = (email IS NULL)
        AND (purpose = 'member') = (org_id IS NOT NULL)
        AND (purpose = 'member') = (role IS NOT NULL)
        AND (purpose = 'staff') = (staff_role IS NOT NULL)
    ),
    CONSTRAINT account_link_hash_is_sha256 CHECK (octet_length(secret_hash) = 32)
);

CREATE INDEX account_link_by_organization ON account_link (org_id) WHERE org_id IS NOT NULL;
CREATE INDEX account_link_by_email ON account_link (email);

-- How full the bucket of somebody is who tries passwords or asks for links: it is empty at that
-- moment. `bucket` is a hash of what is counted, an account's e-mail or an address.
CREATE TABLE sign_in_pace (
    bucket   bytea       NOT NULL,
    empty_at timestamptz NOT NULL,
    CONSTRAINT sign_in_pace_pkey PRIMARY KEY (bucket),
    CONSTRAINT sign_in_pace_bucket_is_sha256 CHECK (octet_length(bucket) = 32)
);

CREATE INDEX sign_in_pace_by_moment ON sign_in_pace (empty_at);

GRANT SELECT, INSERT ON account, account_identity, account_member, account_session, account_link,
    sign_in_pace TO tollkeeper_app;
GRANT UPDATE (email, name, password_hash, staff_role, disabled_at) ON account TO tollkeeper_app;
GRANT UPDATE (secret_hash, previous_hash, rotated_at, seen_at, expires_at)
    ON account_session TO tollkeeper_app;
GRANT UPDATE (secret_hash, used_at) ON account_link TO tollkeeper_app;
GRANT UPDATE (empty_at) ON sign_in_pace TO tollkeeper_app;
GRANT DELETE ON account_session, account_link, sign_in_pace TO tollkeeper_app;
