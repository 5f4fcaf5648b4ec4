"""What Tollkeeper answers of keys, projects, members, notices and webhooks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class ApiKey:
    id: str
    name: str
    project_id: str
    kind: str
    livemode: bool
    prefix: str
    clamp: bool
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True)
class NewApiKey(ApiKey):
    secret: str | None


@dataclass(frozen=True)
class Project:
    id: str
    name: str
    created_at: datetime


@dataclass(frozen=True)
class Member:
    id: str
    name: str
    email: str
    role: str
    created_at: datetime


@dataclass(frozen=True)
class Notice:
    id: str
    type: str
    severity: str
    title: str
    sentence: str
    data: dict[str, Any]
    created_at: datetime
    read_at: datetime | None


@dataclass(frozen=True)
class Webhook:
    id: str
    url: str
    description: str
    types: list[str]
    enabled: bool
    disabled_reason: str | None
    failing_since: datetime | None
    livemode: bool
    created_at: datetime


@dataclass(frozen=True)
class NewWebhook(Webhook):
    secret: str | None


@dataclass(frozen=True)
class Delivery:
    id: str
    webhook_id: str
    message_id: str
    redelivery_of: str | None
    type: str
    status: str
    attempts: int
    response_status: int | None
    response_body: str | None
    failure: str | None
    duration_ms: int | None
    created_at: datetime
    attempted_at: datetime | None
    next_attempt_at: datetime | None
    payload: str
