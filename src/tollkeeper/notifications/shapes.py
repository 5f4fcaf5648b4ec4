"""What the routes of this room take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from tollkeeper.base.ids import show_id
from tollkeeper.notifications.events import EventType, Severity
from tollkeeper.notifications.model import (
    Delivery,
    DeliveryState,
    Endpoint,
    Notice,
    Recipient,
)

Url = Annotated[
    str, Meta(min_length=1, max_length=2000, examples=["https://example.com/hooks/tollkeeper"])
]
Description = Annotated[str, Meta(max_length=500)]
NoticeId = Annotated[
    str, Meta(pattern=r"^ntc_[0-9a-f]{32}\Z", examples=["ntc_0193f5e7a4007cc08e1b746f6c6c6b65"])
]
MemberId = Annotated[
    str, Meta(pattern=r"^mem_[0-9a-f]{32}\Z", examples=["mem_0193f5e7a4007cc08e1b746f6c6c6b65"])
]
Types = Annotated[list[EventType], Meta(max_length=50)]


class In(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    pass


class Out(Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class NoticeOut(Out, frozen=True):
    """`data` is what the event's type says in the reference of webhooks."""

    id: str
    type: EventType
    severity: Severity
    title: str
    sentence: str
    data: dict[str, Any]
    created_at: datetime
    read_at: datetime | None

    @classmethod
    def of(cls, notice: Notice) -> NoticeOut:
        event = notice.event
        return cls(
            id=show_id("ntc", notice.notice_id),
            type=event.type,
            severity=event.severity,
            title=event.title,
            sentence=event.sentence(),
            data={
                field.encode_name: getattr(event, field.name)
                for field in msgspec.structs.fields(event)
            },
            created_at=notice.created_at,
            read_at=notice.read_at,
        )


class NoticePage(Out, frozen=True):
    """`unread` counts those not read yet, up to 100."""

    data: list[NoticeOut]
    next_cursor: str | None
    unread: int


class MarkRead(In, frozen=True):
    """Without `ids`, all of them."""

    ids: Annotated[list[NoticeId], Meta(max_length=500)] | None = None
    read: bool = True


class MarkedOut(Out, frozen=True):
    changed: int


class PreferenceOut(Out, frozen=True):
    type: EventType
    email: bool


class PreferencesOut(Out, frozen=True):
    member_id: str
    name: str
    email: str
    preferences: list[PreferenceOut]

    @classmethod
    def of(cls, recipient: Recipient) -> PreferencesOut:
        return cls(
            member_id=show_id("mem", recipient.member_id),
            name=recipient.name,
            email=recipient.address,
            preferences=[
                PreferenceOut(type=type_, email=recipient.wants(type_)) for type_ in EventType
            ],
        )


class PreferenceIn(In, frozen=True):
    type: EventType
    email: bool


class PreferencesIn(In, frozen=True):
    """Changes what is named and leaves the rest."""

    member_id: MemberId
    preferences: Annotated[list[PreferenceIn], Meta(min_length=1, max_length=50)]


class CreateWebhook(In, frozen=True):
    """Without `types`, every event is sent."""

    url: Url
    description: Description = ""
    types: Types = []


class UpdateWebhook(In, frozen=True):
    url: Url | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    types: Types | None = None
    enabled: bool | UnsetType = UNSET


class TestWebhook(In, frozen=True):
    type: EventType = EventType.CREDIT_BALANCE_LOW


class WebhookOut(Out, frozen=True):
    id: str
    url: str
    description: str
    types: list[EventType]
    enabled: bool
    disabled_reason: str | None
    failing_since: datetime | None
    livemode: bool
    created_at: datetime

    @classmethod
    def of(cls, endpoint: Endpoint) -> WebhookOut:
        return cls(
            id=show_id("whk", endpoint.endpoint_id),
            url=endpoint.url,
            description=endpoint.description,
            types=endpoint.types,
            enabled=endpoint.enabled,
            disabled_reason=endpoint.disabled_reason,
            failing_since=endpoint.failing_since,
            livemode=endpoint.livemode,
            created_at=endpoint.created_at,
        )


class NewWebhookOut(WebhookOut, frozen=True):
    """A webhook with its secret, which is shown this once; null when the answer is a replay."""

    secret: str | None

    @classmethod
    def with_secret(cls, endpoint: Endpoint, secret: str) -> NewWebhookOut:
        shown = WebhookOut.of(endpoint)
        return cls(
            **{name: getattr(shown, name) for name in shown.__struct_fields__}, secret=secret
        )


class DeliveryOut(Out, frozen=True):
    """`payload` is the body as it was sent, `messageId` the header `webhook-id`; `responseBody` is
    the beginning of what was answered last."""

    id: str
    webhook_id: str
    message_id: str
    redelivery_of: str | None
    type: EventType
    status: DeliveryState
    attempts: int
    response_status: int | None
    response_body: str | None
    failure: str | None
    duration_ms: int | None
    created_at: datetime
    attempted_at: datetime | None
    next_attempt_at: datetime | None
    payload: str

    @classmethod
    def of(cls, delivery: Delivery) -> DeliveryOut:
        again = delivery.redelivery_of
        return cls(
            id=show_id("dlv", delivery.delivery_id),
            webhook_id=show_id("whk", delivery.endpoint_id),
            message_id=delivery.message_id,
            redelivery_of=None if again is None else show_id("dlv", again),
            type=delivery.type,
            status=delivery.state,
            attempts=delivery.attempts,
            response_status=delivery.response_status,
            response_body=delivery.response_body,
            failure=delivery.failure,
            duration_ms=delivery.duration_ms,
            created_at=delivery.created_at,
            attempted_at=delivery.attempted_at,
            next_attempt_at=delivery.next_attempt_at,
            payload=delivery.body,
        )
