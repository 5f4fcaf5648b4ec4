"""Meters streams whose last event brings the usage: images, speech and transcriptions.

That event waits for the cost, and carries it: `cost`, `usage.cost`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec import Raw, Struct

from tollkeeper.base.errors import TollkeeperError
from tollkeeper.gateway import sse
from tollkeeper.gateway.dialects import faults
from tollkeeper.gateway.dialects.bounds import base64_bytes, estimated_sound
from tollkeeper.gateway.dialects.costs import has_object, put_cost
from tollkeeper.gateway.dialects.loose import members_of, value_of
from tollkeeper.gateway.dialects.metering import BaseMeter
from tollkeeper.gateway.dialects.model import ABSENT, Answer, Ask, Cost
from tollkeeper.gateway.dialects.reading import is_given
from tollkeeper.gateway.dialects.usage import reported

ReadUsage = Callable[[Raw], tuple[dict[str, int], tuple[str, ...]]]


class _Event(Struct):
    type: str | None = None
    delta: str | None = None
    audio: str | None = None
    usage: Raw = ABSENT
    error: Raw = ABSENT


_EVENT: Final = msgspec.json.Decoder(_Event)


class FinalEventMeter(BaseMeter):
    """`last` is the type of the event with the usage; `estimate` serves where none came."""

    def __init__(
        self,
        ask: Ask,
        last: str,
        read_usage: ReadUsage,
        estimate: Mapping[str, int],
        *,
        secrets: tuple[str, ...] = (),
    ) -> None:
        super().__init__(ask, secrets)
        self._last_type = last
        self._read_usage = read_usage
        self._estimate = estimate
        self._audio_bytes = 0
        self._last: bytes | None = None
        self._usage: Raw = ABSENT

    def answer(self) -> Answer:
        raw = reported(self._usage)
        usage, oddities = self._read_usage(Raw(raw)) if raw is not None else ({}, ())
        if raw is None and self.produced:
            usage = self._with_text(self._estimate)
        return Answer(
            usage=usage,
            reported=raw is not None,
            source=self._source(reported=raw is not None),
            produced=self.produced,
            finish_reason=self._last_type if self.complete else None,
            raw_usage=raw,
            oddities=(*self._oddities, *oddities),
            error=self.error,
        )

    def finish(self, cost: Cost, error: TollkeeperError | None = None) -> bytes:
        out: list[bytes] = []
        if self._last is not None:
            usage = self._usage if has_object(self._usage) else Raw(b"{}")
            fields = put_cost(members_of(self._last), cost, usage)
            out.append(sse.event(msgspec.json.encode(fields), self._last_type))
        if error is not None:
            out.append(sse.event(faults.openai_body(error)))
        elif self.error is not None:
            out.append(sse.event(faults.openai_shown(self.error)))
        return b"".join(out)

    def _take(self, block: bytes, data: bytes) -> bytes:
        if data == b"[DONE]":
            self.ended = True
            return b""
        try:
            event = _EVENT.decode(data)
        except (ValueError, RecursionError):
            self._note_oddity("an event has an unknown shape")
            return block
        if event.type == "error" or is_given(event.error):
            whole = event.error if is_given(event.error) else Raw(data)
            return self._fail_as_told(value_of(whole))
        self.produced = True
        self._count(event.delta)
        self._audio_bytes += base64_bytes(event.audio or "")
        if event.type != self._last_type:
            return block
        self._last = data
        self._usage = event.usage
        self.ended = self.complete = True
        return b""

    def _with_text(self, estimate: Mapping[str, int]) -> dict[str, int]:
        written = self._estimated_output() + estimated_sound(self._audio_bytes)
        written = written if "output" in self._ask.units else 0
        return {unit: count for unit, count in {**estimate, "output": written}.items() if count}
