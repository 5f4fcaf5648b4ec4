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

-- A session that an account opened ends with the account's: no row there, no session here.
ALTER TABLE console_session ADD COLUMN account_session_id uuid;

GRANT SELECT, INSERT ON account, account_identity, account_member, account_session, account_link,
    sign_in_pace TO tollkeeper_app;
GRANT UPDATE (email, name, password_hash, staff_role, disabled_at) ON account TO tollkeeper_app;
GRANT UPDATE (secret_hash, previous_hash, rotated_at, seen_at, expires_at)
    ON account_session TO tollkeeper_app;
GRANT UPDATE (secret_hash, used_at) ON account_link TO tollkeeper_app;
GRANT UPDATE (empty_at) ON sign_in_pace TO tollkeeper_app;
GRANT DELETE ON account_session, account_link, sign_in_pace TO tollkeeper_app;
