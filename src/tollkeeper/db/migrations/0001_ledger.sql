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
