"""Meters a stream of message events (Anthropic, "Streaming messages").

`message_start` brings the input counts and `message_delta` cumulative ones; the last
`message_delta` and `message_stop` wait for the cost, which the former carries.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from tollkeeper.base.errors import TollkeeperError
from tollkeeper.gateway import sse
from tollkeeper.gateway.dialects import faults
from tollkeeper.gateway.dialects.costs import has_object, put_cost
from tollkeeper.gateway.dialects.loose import count_texts, members_of, value_of
from tollkeeper.gateway.dialects.messages_shapes import served_tier, shown_usage
from tollkeeper.gateway.dialects.metering import BaseMeter, encoded
from tollkeeper.gateway.dialects.model import ABSENT, Answer, Ask, Cost
from tollkeeper.gateway.dialects.usage import messages_usage, reported

_Counts = dict[str, Any]


class _Message(Struct):
    id: str | None = None
    model: str | None = None
    usage: _Counts | None = None


class _Delta(Struct):
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    stop_reason: str | None = None


class _Block(Struct):
    type: str | None = None
    name: str | None = None
    text: str | None = None
    content: Raw = ABSENT


class _Event(Struct):
    type: str | None = None
    message: _Message | None = None
    delta: _Delta | None = None
    content_block: _Block | None = None
    usage: _Counts | None = None
    error: Raw = ABSENT


_EVENT: Final = msgspec.json.Decoder(_Event)
_NO_DELTA: Final = {"stop_reason": None, "stop_sequence": None}


class MessagesMeter(BaseMeter):
    def __init__(self, ask: Ask, secrets: tuple[str, ...] = ()) -> None:
        super().__init__(ask, secrets)
        self._held: list[tuple[bytes, bytes]] = []
        self._counts: _Counts = {}
        self._final = False
        self._ran_code = False
        self._searches = 0
        self._id: str | None = None
        self._model: str | None = None
        self._stop_reason: str | None = None

    def answer(self) -> Answer:
        raw = reported(msgspec.json.encode(self._counts))
        usage, oddities = messages_usage(raw) if raw is not None else ({}, ())
        if not self._final and (self.produced or raw is not None):
            usage = self._with_estimates(usage, reported=raw is not None)
            if self._searches > usage.get("web_search", 0):
                usage["web_search"] = self._searches
        if self._ran_code:
            usage["code_execution"] = 1
        return Answer(
            usage=usage,
            reported=raw is not None,
            source=self._source(reported=self._final),
            produced=self.produced,
            model=self._model,
            service_tier=served_tier(raw, self._ask.service_tier),
            id=self._id,
            finish_reason=self._stop_reason,
            raw_usage=raw,
            oddities=(*self._oddities, *oddities),
            error=self.error,
        )

    def finish(self, cost: Cost, error: TollkeeperError | None = None) -> bytes:
        out = self._ending(cost)
        self._held.clear()
        if error is not None:
            out.append(sse.event(faults.anthropic_body(error), "error"))
        elif self.error is not None:
            out.append(sse.event(faults.anthropic_shown(self.error), "error"))
        elif self.complete:
            out.append(sse.event(b'{"type":"message_stop"}', "message_stop"))
        return b"".join(out)

    def _take(self, block: bytes, data: bytes) -> bytes:
        try:
            event = _EVENT.decode(data)
        except msgspec.ValidationError:
            return self._take_unknown(block, data)
        except (ValueError, RecursionError):
            self._note_oddity("an event is not JSON")
            return block
        if event.type == "content_block_delta" and event.delta is not None:
            self._count(event.delta.text)
            self._count(event.delta.partial_json)
            self._count(event.delta.thinking)
            return self._let_go(block)
        return self._take_rare(event, block, data)

    def _take_rare(self, event: _Event, block: bytes, data: bytes) -> bytes:
        if event.type == "message_delta":
            before = self._let_go(b"")
            self._held.append((block, data))
            self._note_delta(event)
            return before
        if event.type == "message_stop":
            self.ended = self.complete = True
            return b""
        if event.type == "error":
            return self._fail_as_told(value_of(event.error))
        if event.type == "message_start" and event.message is not None:
            self._id, self._model = event.message.id, event.message.model
            self._counts = event.message.usage or {}
        elif event.type == "content_block_start" and event.content_block is not None:
            self._note_block(event.content_block)
        elif event.type == "ping":
            return block
        return self._let_go(block)

    def _note_delta(self, event: _Event) -> None:
        if event.delta is not None and event.delta.stop_reason is not None:
            self._stop_reason = event.delta.stop_reason
        if event.usage:
            self._counts |= {name: said for name, said in event.usage.items() if said is not None}
            self._final = True

    def _note_block(self, block: _Block) -> None:
        self._count(block.text)
        if block.type in ("tool_use", "server_tool_use"):
            self._count(block.name)
        if block.type == "server_tool_use":
            self._ran_code = self._ran_code or "code_execution" in (block.name or "")
            self._searches += block.name == "web_search"
        elif block.type == "web_search_tool_result" and has_object(block.content):
            self._searches -= 1  # It failed, and Anthropic does not charge for that one.

    def _take_unknown(self, block: bytes, data: bytes) -> bytes:
        """Pass an event of a shape we do not know; if it brings content, its text counts."""
        self._note_oddity("an event has an unknown shape")
        delta = members_of(data).get("delta")
        if delta is not None:
            self._text_bytes += count_texts(delta)
            self.produced = True
        return self._let_go(block)

    def _let_go(self, block: bytes) -> bytes:
        if not self._held:
            return block
        passed = b"".join(held for held, _ in self._held) + block
        self._held.clear()
        return passed

    def _with_estimates(self, usage: dict[str, int], *, reported: bool) -> dict[str, int]:
        if not reported:
            usage = {"input": self._estimated_input()}
        written = usage.get("output", 0) + usage.get("reasoning", 0)
        missing = self._estimated_output() - written
        return usage | {"output": usage.get("output", 0) + missing} if missing > 0 else usage

    def _ending(self, cost: Cost) -> list[bytes]:
        if not self._held and not self.produced and not self._counts:
            return []
        answer = self.answer()
        if self._held:
            fields = members_of(self._held[-1][1])
        else:
            fields = {"type": Raw(b'"message_delta"'), "delta": encoded(_NO_DELTA)}
        usage = fields.get("usage")
        if usage is None or not has_object(usage):
            usage = encoded(shown_usage(answer.usage))
        return [sse.event(msgspec.json.encode(put_cost(fields, cost, usage)), "message_delta")]
