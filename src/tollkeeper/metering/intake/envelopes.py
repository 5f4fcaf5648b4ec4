"""Reads events out of what they came in: a JSON array, NDJSON, CloudEvents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from tollkeeper.base.errors import InvalidRequest
from tollkeeper.base.ids import read_id, show_id
from tollkeeper.http import JsonReader, invalid
from tollkeeper.metering.intake.bodies import CloudEvent, EventIn

JSON: Final = "application/json"
NDJSON: Final = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/jsonlines"}
)
CLOUD_EVENT: Final = "application/cloudevents+json"
CLOUD_EVENTS: Final = "application/cloudevents-batch+json"

# An event, or why it is none; the id is said back if there is one.
Read = EventIn | tuple[str | None, InvalidRequest]


class _HasId(Struct):
    id: str | None = None


_read_event: Final = JsonReader(EventIn)
_read_cloud_event: Final = JsonReader(CloudEvent)
_decode_all: Final = msgspec.json.Decoder(list[EventIn])
_split: Final = msgspec.json.Decoder(list[Raw])
_read_id: Final = msgspec.json.Decoder(_HasId)


def read_events(content_type: str | None, body: bytes, most: int) -> Sequence[Read]:
    """Read each event by itself: one that is wrong does not spoil the others.

    Raises InvalidRequest when the body as a whole is not of its kind, or has too many.
    """
    kind = (content_type or JSON).partition(";")[0].strip().lower()
    if kind == JSON:
        return _read_array(body, most)
    if kind in NDJSON:
        lines = [line for line in body.splitlines() if line.strip()]
        return [_read_one(line) for line in _checked(lines, most)]
    if kind == CLOUD_EVENTS:
        return [_read_cloud(bytes(one)) for one in _checked(_split_array(body), most)]
    if kind == CLOUD_EVENT:
        return [_read_cloud(body)]
    allowed = ", ".join([JSON, *sorted(NDJSON), CLOUD_EVENTS, CLOUD_EVENT])
    raise invalid({"Content-Type": [f"must be one of {allowed}"]})


def _read_array(body: bytes, most: int) -> Sequence[Read]:
    try:
        events = _decode_all.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Something is wrong with at least one of them; find out with which.
        return [_read_one(bytes(one)) for one in _checked(_split_array(body), most)]
    if b"\\u0000" in body:
        return [_read_one(bytes(one)) for one in _checked(_split_array(body), most)]
    return _checked(events, most)


def _split_array(body: bytes) -> list[Raw]:
    try:
        return _split.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise invalid({"": [f"must be a JSON array of events: {fault}"]}) from None


def _checked(events: Sequence[Any], most: int) -> Sequence[Any]:
    if len(events) > most:
        raise invalid({"": [f"may have at most {most} events, not {len(events)}"]})
    return events


def _read_one(text: bytes) -> Read:
    try:
        return _read_event(text)
    except InvalidRequest as fault:
        return _id_in(text), fault


def _read_cloud(text: bytes) -> Read:
    try:
        cloud = _read_cloud_event(text)
        return _unpack(cloud)
    except InvalidRequest as fault:
        return _id_in(text), fault


def _unpack(cloud: CloudEvent) -> EventIn:
    """Make an event of a CloudEvent. `subject` and `type` stand in for what `data` leaves out."""
    said = {name: getattr(cloud.data, name) for name in cloud.data.__struct_fields__}
    if said["sku"] is said["operation"] is said["model"] is None:
        said["operation"] = cloud.type
    if said["api_key"] is said["organization_id"] is None and cloud.subject:
        organization, _, project = cloud.subject.partition("/")
        if not _is_id("org", organization) or not _is_id("prj", project):
            raise invalid({"subject": ["must be organizationId/projectId, unless data names them"]})
        said["organization_id"], said["project_id"] = organization, project
    return EventIn(id=cloud.id, source=cloud.source, time=cloud.time, **said)


def _is_id(prefix: str, text: str) -> bool:
    try:
        return show_id(prefix, read_id(prefix, text)) == text
    except ValueError:
        return False


def _id_in(text: bytes) -> str | None:
    try:
        return _read_id.decode(text).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
