"""Meters a stream of chat completion chunks.

The chunk that finishes the last choice, what comes after it, the usage chunk and `[DONE]` wait
for the cost. A client that asked for usage gets it where the provider put it. One that did not
ask gets cost and usage in the finishing chunk and no chunk without choices, which would surprise
it; only where no chunk finished is one made to carry the cost.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw, Struct

from tollkeeper.base.errors import TollkeeperError
from tollkeeper.gateway import sse
from tollkeeper.gateway.dialects import faults
from tollkeeper.gateway.dialects.bounds import base64_bytes, estimated_sound
from tollkeeper.gateway.dialects.chat_shapes import Groq, chunk_like, reported_in, shown_usage
from tollkeeper.gateway.dialects.costs import has_object, put_cost, without_upstream_money
from tollkeeper.gateway.dialects.loose import count_texts, members_of, value_of, with_numbers
from tollkeeper.gateway.dialects.metering import BaseMeter, encoded
from tollkeeper.gateway.dialects.model import ABSENT, Answer, Ask, Cost
from tollkeeper.gateway.dialects.reading import is_given, tier
from tollkeeper.gateway.dialects.usage import chat_usage, upstream_cost
from tollkeeper.pricing.units import OUTPUT_TOKENS

DONE: Final = b"data: [DONE]\n\n"


class _Function(Struct):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(Struct):
    function: _Function | None = None


class _Audio(Struct):
    data: str | None = None
    transcript: str | None = None


class _Delta(Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None
    audio: _Audio | None = None


class _Choice(Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _LooseChoice(Struct):
    delta: Raw = ABSENT
    finish_reason: str | None = None


class _Ends(Struct):
    id: str | None = None
    model: str | None = None
    service_tier: str | None = None
    usage: Raw = ABSENT
    error: Raw = ABSENT
    x_groq: Groq | None = None


class _Chunk(_Ends):
    choices: list[_Choice] | None = None


class _LooseChunk(_Ends):
    choices: list[_LooseChoice] | None = None


_CHUNK: Final = msgspec.json.Decoder(_Chunk)
_LOOSE: Final = msgspec.json.Decoder(_LooseChunk)


class ChatMeter(BaseMeter):
    def __init__(self, ask: Ask, secrets: tuple[str, ...] = ()) -> None:
        super().__init__(ask, secrets)
        self._first: bytes | None = None
        self._held: list[bytes] = []  # the finishing chunk, and what came after it
        self._carrier = b""  # the finishing chunk's data
        self._usage_chunk: bytes | None = None
        self._raw_usage: bytes | None = None
        self._usage_is_final = False
        self._finished = 0
        self._audio_bytes = 0
        self._id: str | None = None
        self._model: str | None = None
        self._tier: str | None = None
        self._finish_reason: str | None = None

    def answer(self) -> Answer:
        raw, oddities = self._raw_usage, tuple(self._oddities)
        whole = raw is not None and (self._usage_is_final or self.complete)
        if raw is None:
            usage = self._estimate()
        else:
            usage, found = chat_usage(raw)
            usage = usage if whole else self._at_least_seen(usage)
            oddities = (*oddities, *found)
        if self.produced:
            usage = {**self._ask.counted, **usage}
        return Answer(
            usage=usage,
            reported=raw is not None,
            source=self._source(reported=whole),
            produced=self.produced,
            model=self._model,
            service_tier=tier(self._tier),
            id=self._id,
            finish_reason=self._finish_reason,
            raw_usage=raw,
            oddities=oddities,
            upstream_cost=None if raw is None else upstream_cost(raw),
            error=self.error,
        )

    def finish(self, cost: Cost, error: TollkeeperError | None = None) -> bytes:
        out = self._ending(cost)
        self._held.clear()
        if error is not None:
            out.append(sse.event(faults.openai_body(error)))
        elif self.error is not None:
            out.append(sse.event(faults.openai_shown(self.error)))
        elif self.complete:
            out.append(DONE)
        return b"".join(out)

    def _take(self, block: bytes, data: bytes) -> bytes:
        if data == b"[DONE]":
            self.ended = self.complete = True
            return b""
        chunk = self._decode(data)
        if chunk is None:
            return self._let_go(block)
        if self._first is None:
            self._first = data
        reports = self._note(chunk)
        if is_given(chunk.error):
            return self._fail_as_told(value_of(chunk.error))
        if not chunk.choices or (reports and self.complete):
            return self._take_without_choices(block, data, reports=reports)
        if reports and b"cost" in bytes(chunk.usage):
            data = msgspec.json.encode(without_upstream_money(members_of(data)))
            block = sse.event(data)
        finished = sum(bool(choice.finish_reason) for choice in chunk.choices)
        if not finished:
            return self._let_go(block)
        self._finished += finished
        self.complete = self._finished >= self._ask.choices
        self._usage_is_final = self.complete and reports
        before = self._let_go(b"")
        self._held, self._carrier = [block], data
        return before

    def _take_without_choices(self, block: bytes, data: bytes, *, reports: bool) -> bytes:
        if reports:
            self._usage_chunk = data
            self._usage_is_final = True
            return b""
        if self._held:
            self._held.append(block)
            return b""
        return block

    def _decode(self, data: bytes) -> _Chunk | _LooseChunk | None:
        try:
            chunk = _CHUNK.decode(data)
        except msgspec.ValidationError:
            return self._decode_loosely(data)
        except (ValueError, RecursionError):
            readable = with_numbers(data)
            if readable != data:
                return self._decode(readable)
            self._note_oddity("a chunk is not JSON")
            return None
        for choice in chunk.choices or ():
            if choice.delta is not None:
                self._count_delta(choice.delta)
        return chunk

    def _decode_loosely(self, data: bytes) -> _LooseChunk | None:
        """Read a chunk whose deltas are of a shape we do not know; all text in them counts."""
        try:
            chunk = _LOOSE.decode(data)
        except (ValueError, RecursionError):
            self._note_oddity("a chunk has an unknown shape")
            return None
        for choice in chunk.choices or ():
            if is_given(choice.delta):
                self._text_bytes += count_texts(choice.delta)
                self.produced = True
        return chunk

    def _count_delta(self, delta: _Delta) -> None:
        self._count(delta.content)
        self._count(delta.reasoning_content or delta.reasoning)
        self._count(delta.refusal)
        for call in delta.tool_calls or ():
            if call.function is not None:
                self._count(call.function.name)
                self._count(call.function.arguments)
        if delta.function_call is not None:
            self._count(delta.function_call.name)
            self._count(delta.function_call.arguments)
        if delta.audio is not None:
            self._count(delta.audio.transcript)
            if delta.audio.data:
                self.produced = True
                self._audio_bytes += base64_bytes(delta.audio.data)

    def _note(self, chunk: _Chunk | _LooseChunk) -> bool:
        """Note what a chunk tells, and say whether it has usage."""
        self._id = chunk.id or self._id
        self._model = chunk.model or self._model
        self._tier = chunk.service_tier or self._tier
        for choice in chunk.choices or ():
            self._finish_reason = choice.finish_reason or self._finish_reason
        has_usage = has_object(chunk.usage)
        if has_usage or chunk.x_groq is not None:
            self._raw_usage = reported_in(chunk.usage, chunk.x_groq) or self._raw_usage
        return has_usage

    def _let_go(self, block: bytes) -> bytes:
        if not self._held:
            return block
        passed = b"".join(self._held) + block
        self._held = []
        return passed

    def _ending(self, cost: Cost) -> list[bytes]:
        usage = Raw(self._raw_usage or encoded(shown_usage(self.answer().usage)))
        carrier = members_of(self._carrier) if self._held else {}
        apart = self._ask.wants_usage and not has_object(carrier.get("usage"))
        if self._held and not apart:
            return [_chunk(put_cost(carrier, cost, usage)), *self._held[1:]]
        if not self._held and not self.produced and self._raw_usage is None:
            return []
        if self._usage_chunk is not None:
            fields = members_of(self._usage_chunk)
        else:
            fields = chunk_like(self._first, self._ask.model)
        return [*self._held, _chunk(put_cost(fields, cost, usage))]

    def _at_least_seen(self, usage: dict[str, int]) -> dict[str, int]:
        """Counts that were reported on the way: what was written since is not in them."""
        written = sum(count for unit, count in usage.items() if unit in OUTPUT_TOKENS)
        missing = self._estimated_output() - written
        return usage | {"output": usage.get("output", 0) + missing} if missing > 0 else usage

    def _estimate(self) -> dict[str, int]:
        if not self.produced:
            return {}
        usage = {"input": self._estimated_input(), "output": self._estimated_output()}
        if self._audio_bytes:
            usage["output_audio"] = estimated_sound(self._audio_bytes)
        return {unit: count for unit, count in usage.items() if count}


def _chunk(fields: dict[str, Raw]) -> bytes:
    return sse.event(msgspec.json.encode(fields))
