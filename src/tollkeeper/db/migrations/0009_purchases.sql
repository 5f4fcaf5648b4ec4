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
