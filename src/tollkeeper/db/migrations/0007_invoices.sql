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
