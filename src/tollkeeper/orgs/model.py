"""The nouns of this room."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class KeyKind(StrEnum):
    INFERENCE = "INFERENCE"
    """Spends credit."""
    ADMIN = "ADMIN"
    """Spends credit, and manages the organization and its billing."""


class Role(StrEnum):
    OWNER = "owner"
    ADMIN = "admin"
    BILLING = "billing"
    MEMBER = "member"


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    org_id: UUID
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    org_id: UUID
    project_id: UUID
    name: str
    created_at: datetime
    archived_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    org_id: UUID
    member_id: UUID
    name: str
    email: str
    role: Role
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as it is stored; the secret itself exists only in the answer that made it."""

    org_id: UUID
    key_id: UUID
    project_id: UUID
    name: str
    kind: KeyKind
    livemode: bool
    display_prefix: str
    clamp: bool
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    member_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorKey:
    key_id: UUID
    name: str
    display_prefix: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Who acts, and why. A `program` acts with an API key: what it makes names that key itself."""

    who: str
    why: str = ""
    program: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One act: who did what, when, to which organization, and why."""

    audit_id: UUID
    at: datetime
    who: str
    what: str
    why: str
    org_id: UUID | None
    details: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who is calling, known from the API key alone."""

    key_id: UUID
    org_id: UUID
    project_id: UUID
    kind: KeyKind
    livemode: bool
    name: str
    clamp: bool
    expires_at: datetime | None = None
    member_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """Who spends without an API key: somebody who is signed in, for a project."""

    org_id: UUID
    project_id: UUID
    livemode: bool
    member_id: UUID | None

    @property
    def key_id(self) -> None:
        return None

    @property
    def clamp(self) -> bool:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorCaller:
    """An operator, known from a `tk_op_` key."""

    key_id: UUID
    name: str
    expires_at: datetime | None = None
