"""The nouns of this room."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from tollkeeper.jobs import Queue, Task
from tollkeeper.notifications.events import Event, EventType
from tollkeeper.orgs import Role

FAN_OUT: Final = Task("notifications.fan_out")
SEND_MAIL: Final = Task("notifications.send_mail")
# Customers' servers may be slow, which nothing else waits for. Failed deliveries add their next
# try themselves; these tries are for what is our own fault.
DELIVER: Final = Task("notifications.deliver", queue=Queue("deliveries", at_once=32))


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something an organization is told."""

    org_id: UUID
    notice_id: UUID
    livemode: bool
    event: Event
    created_at: datetime
    read_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A customer's address for webhooks. No `types` means all of them, unless there are
    `newer_types`, which a newer version knows."""

    org_id: UUID
    endpoint_id: UUID
    livemode: bool
    url: str
    description: str
    types: list[EventType]
    enabled: bool
    created_at: datetime
    disabled_reason: str | None = None
    failing_since: datetime | None = None
    newer_types: tuple[str, ...] = ()

    def hears_of(self, type_: EventType) -> bool:
        return type_ in self.types or not (self.types or self.newer_types)


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """A message for an endpoint, before its first try."""

    org_id: UUID
    delivery_id: UUID
    endpoint_id: UUID
    message_id: str
    type: EventType
    body: str
    created_at: datetime
    notice_id: UUID | None = None
    redelivery_of: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message to one endpoint, tried until it is delivered or given up."""

    org_id: UUID
    delivery_id: UUID
    endpoint_id: UUID
    notice_id: UUID | None
    redelivery_of: UUID | None
    message_id: str
    type: EventType
    body: str
    state: DeliveryState
    attempts: int
    created_at: datetime
    next_attempt_at: datetime | None
    attempted_at: datetime | None
    response_status: int | None
    failure: str | None
    duration_ms: int | None
    response_body: str | None
    """Its beginning."""


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery with where it goes and what it is signed with, newest secret first."""

    delivery: Delivery
    url: str
    enabled: bool
    secrets: list[str]


@dataclass(frozen=True, slots=True)
class Recipient:
    """A member, and the event types about which they have said whether they want mail."""

    member_id: UUID
    name: str
    address: str
    role: Role
    chosen: dict[str, bool]

    def wants(self, type_: EventType) -> bool:
        """Who has not chosen gets mail, save plain members, whom billing does not concern."""
        return self.chosen.get(type_, self.role is not Role.MEMBER)
