"""Meters a stream of response events.

`response.completed`, `response.incomplete` and `response.failed` carry the whole response with
its usage; such an event waits for the cost, which goes into that response. A stream that ends
without one ends with an `error` event that carries usage and cost instead.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import msgspec
from msgspec import Raw, Struct

from tollkeeper.base.errors import TollkeeperError
from tollkeeper.gateway import sse
from tollkeeper.gateway.dialects import faults
from tollkeeper.gateway.dialects.costs import has_object, put_cost
from tollkeeper.gateway.dialects.loose import members_of, value_of
from tollkeeper.gateway.dialects.metering import BaseMeter, encoded
from tollkeeper.gateway.dialects.model import ABSENT, Answer, Ask, Cost
from tollkeeper.gateway.dialects.reading import is_given
from tollkeeper.gateway.dialects.responses_shapes import (
    Item,
    Response,
    answer_of,
    call_unit,
    read_response,
    shown_usage,
)

_TERMINAL: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})


class _Event(Struct):
    type: str | None = None
    delta: Raw = ABSENT
    response: Raw = ABSENT
    item: Raw = ABSENT
    error: Raw = ABSENT


_EVENT: Final = msgspec.json.Decoder(_Event)
_TEXT: Final = msgspec.json.Decoder(str)
_ITEM: Final = msgspec.json.Decoder(Item)


class ResponsesMeter(BaseMeter):
    def __init__(self, ask: Ask, secrets: tuple[str, ...] = ()) -> None:
        super().__init__(ask, secrets)
        self._begun = Response()
        self._calls: Counter[str] = Counter()
        self._last: tuple[str, bytes] | None = None
        self._final: Response | None = None

    def answer(self) -> Answer:
        estimate = self._estimate()
        if self._final is not None:
            answer = answer_of(self._final, estimate)
            produced = answer.produced or self.produced
        else:
            answer = answer_of(self._begun, {**estimate, **self._calls})
            produced = self.produced
        source = answer.source if answer.reported else self._source(reported=False)
        return msgspec.structs.replace(
            answer,
            source=source,
            produced=produced,
            oddities=(*self._oddities, *answer.oddities),
            error=self.error or answer.error,
        )

    def finish(self, cost: Cost, error: TollkeeperError | None = None) -> bytes:
        if self._last is not None:
            name, data = self._last
            fields = members_of(data)
            response = members_of(fields["response"])
            usage = response.get("usage", ABSENT)
            if not has_object(usage):
                usage = encoded(shown_usage(self.answer().usage))
            if self.error is not None:
                response["error"] = encoded(self.error)
            fields["response"] = encoded(put_cost(response, cost, usage))
            return sse.event(msgspec.json.encode(fields), name)
        if error is not None:
            return self._error_event(faults.openai_body(error), cost)
        if self.error is not None:
            return self._error_event(faults.openai_shown(self.error), cost)
        return b""

    def _take(self, block: bytes, data: bytes) -> bytes:
        if data == b"[DONE]":
            self.ended = True
            return b""
        try:
            event = _EVENT.decode(data)
        except (ValueError, RecursionError):
            self._note_oddity("an event has an unknown shape")
            return block
        kind = event.type or ""
        if kind.endswith(".delta"):
            self._count_delta(event.delta)
        elif kind in _TERMINAL and has_object(event.response):
            self._last = (kind, data)
            self._final = read_response(event.response)
            self.ended = True
            self.complete = kind != "response.failed"
            failure = members_of(event.response).get("error", ABSENT)
            return self._fail_as_told(value_of(failure)) if is_given(failure) else b""
        elif kind == "error" or is_given(event.error):
            whole = event.error if is_given(event.error) else Raw(data)
            return self._fail_as_told(value_of(whole))
        elif kind == "response.created":
            self._begun = read_response(event.response) or self._begun
        elif kind == "response.output_item.done":
            self._note_item(event.item)
        return block

    def _count_delta(self, delta: Raw) -> None:
        try:
            self._count(_TEXT.decode(delta))
        except msgspec.ValidationError:
            self._note_oddity("a delta is no text")

    def _note_item(self, raw: Raw) -> None:
        try:
            item = _ITEM.decode(raw)
        except msgspec.ValidationError:
            return
        self.produced = True
        unit = call_unit(item)
        if unit is not None:
            self._calls[unit] += 1
        if item.container_id:
            self._calls["code_execution"] = 1

    def _estimate(self) -> dict[str, int]:
        if not self.produced:
            return {}
        return {"input": self._estimated_input(), "output": self._estimated_output()}

    def _error_event(self, body: bytes, cost: Cost) -> bytes:
        fields = members_of(faults.responses_event(body))
        usage = encoded(shown_usage(self.answer().usage))
        charged = put_cost({}, cost, usage) if self.produced else {}
        return sse.event(msgspec.json.encode({**fields, **charged}), "error")
