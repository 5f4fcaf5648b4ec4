"""The nouns of this room. Amounts are whole units of what a limit measures: nanos of USD, tokens,
requests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from msgspec import Struct

from tollkeeper.limits.periods import Period

TAG_OF = "tag:"


class Measure(StrEnum):
    COST = "cost"
    TOKENS = "tokens"
    REQUESTS = "requests"


class Enforcement(StrEnum):
    HARD = "hard"
    """A call that does not fit is refused."""
    SOFT = "soft"
    """Counted and told of only."""


class Kind(StrEnum):
    """What a limit is about, the narrowest first: a refusal is named by the narrowest it has."""

    API_KEY = "api_key"
    END_USER = "end_user"
    MEMBER = "member"
    PROJECT = "project"
    MODEL = "model"
    PROVIDER = "provider"
    TAG = "tag"
    ORGANIZATION = "organization"


# What may be counted apart, by the word for it in public; tags are `tag:<name>`.
EACH = {
    "apiKey": Kind.API_KEY,
    "endUser": Kind.END_USER,
    "member": Kind.MEMBER,
    "project": Kind.PROJECT,
    "model": Kind.MODEL,
    "provider": Kind.PROVIDER,
}


class Facts(Struct, frozen=True, kw_only=True):
    """What limits ask of a call."""

    org_id: UUID
    livemode: bool
    project_id: UUID | None = None
    key_id: UUID | None = None
    member_id: UUID | None = None
    end_user: str | None = None
    provider: str | None = None
    model: str | None = None
    tags: Mapping[str, str] | None = None


class Limit(Struct, frozen=True, kw_only=True):
    """What may be used of something in a period; the table `usage_limit` says more."""

    org_id: UUID
    limit_id: UUID
    name: str
    measure: Measure
    amount: int
    period: Period
    time_zone: str = "UTC"
    project_id: UUID | None = None
    key_id: UUID | None = None
    member_id: UUID | None = None
    end_user: str | None = None
    provider: str | None = None
    model: str | None = None
    tag_name: str | None = None
    tag_value: str | None = None
    each: str | None = None
    enforcement: Enforcement = Enforcement.HARD
    tolerance_percent: int = 0
    alert_percents: tuple[int, ...] = ()
    reset_live_at: datetime | None = None
    reset_test_at: datetime | None = None
    created_at: datetime
    deleted_at: datetime | None = None

    @property
    def ceiling(self) -> int | None:
        """What no hold may take it past; None where nothing is refused."""
        if self.enforcement is Enforcement.SOFT:
            return None
        return self.amount * (100 + self.tolerance_percent) // 100

    @property
    def kind(self) -> Kind:
        named = [kind for kind, value in self._named() if value is not None]
        if self.each is not None:
            named.append(EACH.get(self.each, Kind.TAG))
        order = list(Kind)
        return min(named, key=order.index, default=Kind.ORGANIZATION)

    def _named(self) -> list[tuple[Kind, object]]:
        return [
            (Kind.API_KEY, self.key_id),
            (Kind.END_USER, self.end_user),
            (Kind.MEMBER, self.member_id),
            (Kind.PROJECT, self.project_id),
            (Kind.MODEL, self.model),
            (Kind.PROVIDER, self.provider),
            (Kind.TAG, self.tag_name),
        ]

    def reset_at(self, *, livemode: bool) -> datetime | None:
        return self.reset_live_at if livemode else self.reset_test_at


class Counter(Struct, frozen=True, kw_only=True):
    """What has been used of a limit, and what running calls reserve, since `period_start`."""

    org_id: UUID
    limit_id: UUID
    livemode: bool
    subject: str
    period_start: datetime
    used: int
    held: int
    told_percent: int = 0
