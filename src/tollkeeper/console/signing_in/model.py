"""The nouns of signing in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tollkeeper.orgs import Role


class StaffRole(StrEnum):
    """What somebody of the operator's staff may do in the console."""

    ADMIN = "admin"
    """Reads and acts."""
    VIEWER = "viewer"
    """Reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A person who signs in. `email` is lower case."""

    account_id: UUID
    email: str
    name: str
    password_hash: str | None
    staff_role: StaffRole | None
    created_at: datetime
    disabled_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSession:
    """A person who is signed in in one browser, as the database knows them."""

    session_id: UUID
    secret_hash: bytes
    previous_hash: bytes | None
    user_agent: str
    created_at: datetime
    rotated_at: datetime
    seen_at: datetime
    expires_at: datetime
    account_id: UUID
    email: str
    name: str
    staff_role: StaffRole | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """Somebody of the operator's staff who is signed in."""

    account_id: UUID
    name: str
    email: str
    role: StaffRole

    @property
    def acts(self) -> bool:
        return self.role is StaffRole.ADMIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """An account in an organization."""

    org_id: UUID
    member_id: UUID
    organization: str
    role: Role


class Purpose(StrEnum):
    """What a link is for; its value is what the database knows it by."""

    FIRST_RUN = "first_run"
    STAFF = "staff"
    MEMBER = "member"
    RESET = "reset"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLink:
    """A link that lets its bearer do one thing, once. Only the hash of its secret is kept."""

    link_id: UUID
    purpose: Purpose
    email: str | None
    made_by: str
    created_at: datetime
    expires_at: datetime
    org_id: UUID | None = None
    role: Role | None = None
    staff_role: StaffRole | None = None
