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
