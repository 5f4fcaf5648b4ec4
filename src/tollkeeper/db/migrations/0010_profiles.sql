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
