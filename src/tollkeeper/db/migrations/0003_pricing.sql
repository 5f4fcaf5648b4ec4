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
