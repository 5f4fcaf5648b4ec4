"""What the routes of this room take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from tollkeeper.base.ids import show_id
from tollkeeper.orgs.model import (
    ApiKey,
    AuditEntry,
    KeyKind,
    Member,
    Organization,
    Project,
    Role,
)

_TURNING = r"\u202a-\u202e\u2066-\u2069"

Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S", examples=["Production"])]
# Without what turns the direction of the text around it, by which somebody looks like another.
PersonName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=rf"^[^{_TURNING}]*[^\s{_TURNING}][^{_TURNING}]*\Z",
        examples=["Ada Lovelace"],
    ),
]
Email = Annotated[
    str, Meta(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\Z", examples=["ada@example.com"])
]
ProjectId = Annotated[
    str, Meta(pattern=r"^prj_[0-9a-f]{32}\Z", examples=["prj_0193f5e7a4007cc08e1b746f6c6c6b65"])
]
MemberId = Annotated[
    str, Meta(pattern=r"^mem_[0-9a-f]{32}\Z", examples=["mem_0193f5e7a4007cc08e1b746f6c6c6b65"])
]
Moment = Annotated[datetime, Meta(tz=True)]
Reason = Annotated[str, Meta(max_length=1000, description="Why, for the audit log.")]


class In(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    pass


class Out(Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class CreateApiKey(In, frozen=True):
    name: Name
    project_id: ProjectId
    kind: KeyKind = KeyKind.INFERENCE
    livemode: bool | UnsetType = UNSET
    clamp: bool | UnsetType = UNSET
    expires_at: Moment | None = None
    member_id: Annotated[
        MemberId | None, Meta(description="Whose key it is; budgets can be set by member.")
    ] = None


class UpdateApiKey(In, frozen=True):
    name: Name | UnsetType = UNSET
    clamp: bool | UnsetType = UNSET
    expires_at: Moment | UnsetType | None = UNSET


class ApiKeyOut(Out, frozen=True):
    id: str
    name: str
    project_id: str
    kind: KeyKind
    livemode: bool
    prefix: str
    clamp: bool
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    member_id: str | None

    @classmethod
    def of(cls, key: ApiKey) -> ApiKeyOut:
        return cls(
            id=show_id("key", key.key_id),
            name=key.name,
            project_id=show_id("prj", key.project_id),
            kind=key.kind,
            livemode=key.livemode,
            prefix=key.display_prefix,
            clamp=key.clamp,
            created_at=key.created_at,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
            last_used_at=key.last_used_at,
            member_id=None if key.member_id is None else show_id("mem", key.member_id),
        )


class NewApiKeyOut(ApiKeyOut, frozen=True):
    """A key with its secret, which is shown this once; null when the answer is a replay."""

    secret: str | None

    @classmethod
    def with_secret(cls, key: ApiKey, secret: str) -> NewApiKeyOut:
        shown = ApiKeyOut.of(key)
        return cls(
            **{name: getattr(shown, name) for name in shown.__struct_fields__}, secret=secret
        )


class NamedIn(In, frozen=True):
    name: Name


class ProjectOut(Out, frozen=True):
    id: str
    name: str
    created_at: datetime

    @classmethod
    def of(cls, project: Project) -> ProjectOut:
        return cls(
            id=show_id("prj", project.project_id), name=project.name, created_at=project.created_at
        )


class CreateMember(In, frozen=True):
    name: PersonName
    email: Email
    role: Role = Role.MEMBER


class UpdateMember(In, frozen=True):
    name: PersonName | UnsetType = UNSET
    role: Role | UnsetType = UNSET


class MemberOut(Out, frozen=True):
    id: str
    name: str
    email: str
    role: Role
    created_at: datetime

    @classmethod
    def of(cls, member: Member) -> MemberOut:
        return cls(
            id=show_id("mem", member.member_id),
            name=member.name,
            email=member.email,
            role=member.role,
            created_at=member.created_at,
        )


class CreateOrganization(In, frozen=True):
    name: Name
    project_name: Name = "Default"
    reason: Reason = ""


class OrganizationOut(Out, frozen=True):
    id: str
    name: str
    created_at: datetime

    @classmethod
    def of(cls, organization: Organization) -> OrganizationOut:
        return cls(
            id=show_id("org", organization.org_id),
            name=organization.name,
            created_at=organization.created_at,
        )


class NewOrganizationOut(OrganizationOut, frozen=True):
    """An organization with its first project and ADMIN key; the secret is shown this once."""

    project_id: str
    admin_key_id: str
    secret: str | None


class AuditEntryOut(Out, frozen=True):
    id: str
    at: datetime
    who: str
    what: str
    why: str
    organization_id: str | None
    details: dict[str, Any]

    @classmethod
    def of(cls, entry: AuditEntry) -> AuditEntryOut:
        return cls(
            id=show_id("aud", entry.audit_id),
            at=entry.at,
            who=entry.who,
            what=entry.what,
            why=entry.why,
            organization_id=None if entry.org_id is None else show_id("org", entry.org_id),
            details=entry.details,
        )
