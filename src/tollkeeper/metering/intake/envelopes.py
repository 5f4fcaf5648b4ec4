"""Reads events out of what they came in: a JSON array, NDJSON, CloudEvents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


_explain_event: Final = JsonReader(EventIn)
_explain_cloud_event: Final = JsonReader(CloudEvent)
_decode_event: Final = msgspec.json.Decoder(EventIn).decode
_decode_cloud_event: Final = msgspec.json.Decoder(CloudEvent).decode
_decode_all: Final = msgspec.json.Decoder(list[EventIn]).decode
_split: Final = msgspec.json.Decoder(list[Raw]).decode
_read_id: Final = msgspec.json.Decoder(_HasId).decode
_NUL: Final = rb"\u0000"
_MOST_EXPLAINED: Final = 20


def read_events(content_type: str | None, body: bytes, most: int) -> Sequence[Read]:
    """Read each event by itself: one that is wrong does not spoil the others.

    Raises InvalidRequest when the body as a whole is not of its kind, or has too many.
    """
    kind = (content_type or JSON).partition(";")[0].strip().lower()
    if kind == JSON:
        return _read_array(body, most)
    if kind in NDJSON:
        lines = [line for line in body.splitlines() if line.strip()]
        return _Reader().events(_checked(lines, most))
    if kind == CLOUD_EVENTS:
        return _Reader().cloud_events(_checked(_split_array(body), most))
    if kind == CLOUD_EVENT:
        return _Reader().cloud_events([body])
    allowed = ", ".join([JSON, *sorted(NDJSON), CLOUD_EVENTS, CLOUD_EVENT])
    raise invalid({"Content-Type": [f"must be one of {allowed}"]})


def _read_array(body: bytes, most: int) -> Sequence[Read]:
    try:
        events = None if _NUL in body else _decode_all(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        events = None
    if events is None:
        # Something is wrong with at least one of them; find out with which.
        return _Reader().events(_checked(_split_array(body), most))
    return _checked(events, most)


def _split_array(body: bytes) -> list[bytes]:
    try:
        return [bytes(one) for one in _split(body)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise invalid({"": [f"must be a JSON array of events: {fault}"]}) from None


def _checked(events: Sequence[Any], most: int) -> Sequence[Any]:
    if len(events) > most:
        raise invalid({"": [f"may have at most {most} events, not {len(events)}"]})
    return events


class _Reader:
    """Reads events one by one. All faults of one are told for the first few that are wrong; that
    takes a thousand times as long as reading, so after them only the first fault is."""

    def __init__(self) -> None:
        self._explanations = _MOST_EXPLAINED

    def events(self, texts: Sequence[bytes]) -> list[Read]:
        return [self._read(text, _decode_event, _explain_event) for text in texts]

    def cloud_events(self, texts: Sequence[bytes]) -> list[Read]:
        return [self._read(text, _decode_cloud_event, _explain_cloud_event) for text in texts]

    def _read(
        self,
        text: bytes,
        decode: Callable[[bytes], EventIn | CloudEvent],
        explain: Callable[[bytes], object],
    ) -> Read:
        try:
            read = decode(text)
            event = read if isinstance(read, EventIn) else _unpack(read)
            if _NUL in text:
                _check_no_nul(event)
        except InvalidRequest as fault:
            return _id_in(text), fault
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
            return _id_in(text), self._fault_of(text, explain, fault)
        return event

    def _fault_of(
        self, text: bytes, explain: Callable[[bytes], object], first: Exception
    ) -> InvalidRequest:
        if self._explanations > 0:
            self._explanations -= 1
            try:
                explain(text)
            except InvalidRequest as fault:
                return fault
        return invalid({"": [str(first)]})


def _check_no_nul(event: EventIn) -> None:
    """Refuse what the database cannot keep; an escaped backslash may only look like it."""
    values = msgspec.structs.asdict(event)
    said = ["must not contain the character U+0000"]
    faults = {name: said for name, value in values.items() if "\0" in str(value)}
    for name, value in (event.tags or {}).items():
        if "\0" in name or "\0" in value:
            faults["tags"] = said
    if faults:
        raise invalid(faults)


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
        return _read_id(text).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
