"""The nouns of this room."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from tollkeeper.orgs import Role

USD: Final = "USD"
"""What credit is sold in, and what pages show first."""

_RISING: Final = (Role.MEMBER, Role.BILLING, Role.ADMIN, Role.OWNER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """Where a link or a session leads: one organization, in one role, live or test."""

    org_id: UUID
    role: Role
    livemode: bool
    member_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link that signs its bearer in, once. `url` holds the secret, which is kept nowhere."""

    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Somebody who is signed in, as the database knows them."""

    org_id: UUID
    session_id: UUID
    secret_hash: bytes
    previous_hash: bytes | None
    role: Role
    livemode: bool
    rotated_at: datetime
    expires_at: datetime
    organization: str
    member: str | None
    member_id: UUID | None
    account_session_id: UUID | None = None
    person: str | None = None
    """Whose account opened it, where one did."""
    email: str | None = None
    """That account's."""

    @property
    def looking(self) -> bool:
        """Whether it is somebody of the operator's staff, who is no member."""
        return self.account_session_id is not None and self.member_id is None

    @property
    def sees_money(self) -> bool:
        return self.role is not Role.MEMBER

    @property
    def manages(self) -> bool:
        return self.role in (Role.OWNER, Role.ADMIN)


def lower_of(one: Role, other: Role) -> Role:
    return min(one, other, key=_RISING.index)
