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
