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
