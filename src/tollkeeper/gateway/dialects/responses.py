"""OpenAI responses (API reference: "Responses", "Create a model response")."""

from __future__ import annotations

from typing import Annotated, Any, Final, cast

import msgspec
from msgspec import Meta, Raw, Struct

from tollkeeper.base.errors import TollkeeperError
from tollkeeper.gateway import sse
from tollkeeper.gateway.dialects import faults, reading
from tollkeeper.gateway.dialects.bounds import InputBound, estimated_tokens, sold_with_images
from tollkeeper.gateway.dialects.costs import put_cost
from tollkeeper.gateway.dialects.loose import count_texts
from tollkeeper.gateway.dialects.metering import encoded
from tollkeeper.gateway.dialects.model import JSON, Answer, Ask, Change, Cost, Fields
from tollkeeper.gateway.dialects.responses_shapes import (
    Tool,
    answer_of,
    hosted_units,
    read_response,
    shown_usage,
)
from tollkeeper.gateway.dialects.responses_stream import ResponsesMeter

# What calls to the provider's own tools are limited to where the client sets no limit: each of
# them costs money of its own and has the model read its whole input again.
DEFAULT_TOOL_CALLS: Final = 8

_Tokens = Annotated[int, Meta(ge=1, le=1_000_000_000)]
_REFUSED: Final = {
    "background": "cannot be used here: such an answer comes when its price can no longer be held",
    "access_programs": "is not taken here",
}
# Stored elsewhere: what they hold is not in the body.
_ELSEWHERE: Final = ("previous_response_id", "conversation", "prompt")
_OURS: Final = frozenset(
    {"model", "input", "instructions", "max_output_tokens", "max_tool_calls", "stream", "tools"}
    | {"service_tier", "context_management", "prompt_cache_options", *_REFUSED, *_ELSEWHERE}
)
_FILES: Final = frozenset({"file_data", "file_url"})
_BY_REFERENCE: Final = frozenset({"item_reference", "compaction", "compaction_trigger"})


class _CacheOptions(Struct):
    ttl: str | None = None


class _Body(Struct):
    model: str
    input: str | list[Any] | None = None
    instructions: str | list[Any] | None = None
    max_output_tokens: _Tokens | None = None
    max_tool_calls: Annotated[int, Meta(ge=0, le=100_000)] | None = None
    stream: bool | None = None
    tools: list[Tool] | None = None
    service_tier: str | None = None
    prompt_cache_options: _CacheOptions | None = None
    user: Any = None
    safety_identifier: Any = None
    metadata: Any = None


_BODY: Final = msgspec.json.Decoder(_Body)


class Responses(faults.OpenAIFaults):
    """`POST /responses`. The response object gains `cost`, whole or in its last event."""

    name = "responses"
    path = "/responses"

    def read(self, body: bytes, content_type: str = JSON) -> Ask:
        del content_type  # Only JSON is spoken here, and saying so is the body's business.
        fields = reading.split(body)
        asked = reading.shape(_BODY, body)
        _check(fields, asked)
        hosted = hosted_units(asked.tools or ())
        rounds = 0
        if hosted is not None:
            given = asked.max_tool_calls
            rounds = DEFAULT_TOOL_CALLS if given is None else given
            fields["max_tool_calls"] = encoded(rounds)
        counted = {unit: 1 if unit == "code_execution" else rounds for unit in hosted or ()}
        if reading.is_given(fields.get("context_management")):
            rounds += 1  # A compaction reads everything once more.
        bound = _bound(fields, asked, body)
        elsewhere = any(reading.is_given(fields.get(name)) for name in _ELSEWHERE)
        return Ask(
            model=asked.model,
            fields=fields,
            stream=bool(asked.stream),
            max_output_tokens=asked.max_output_tokens,
            input_tokens=None if rounds or elsewhere else bound.tokens,
            beside_images=None if rounds or elsewhere else bound.beside_images,
            images=bound.images,
            passes=rounds + 1,
            input_estimate=bound.estimate,
            units=_units(asked, bound) | counted.keys(),
            modalities=frozenset({"text", "audio"} if bound.audio else {"text"}),
            counted={unit: count for unit, count in counted.items() if count},
            wants_usage=True,
            service_tier=reading.tier(asked.service_tier),
            end_user=reading.label(asked.user) or reading.label(asked.safety_identifier),
            metadata=reading.labels(asked.metadata),
            preview=_preview(asked.input),
        )

    def sold(self, ask: Ask, model: str) -> Ask:
        return sold_with_images(ask, model)

    def upstream_body(self, ask: Ask, change: Change) -> bytes:
        fields: Fields = {**ask.fields, "model": encoded(change.model)}
        if change.output_cap is not None:
            fields["max_output_tokens"] = encoded(change.output_cap)
        return msgspec.json.encode(fields)

    def read_answer(self, ask: Ask, body: bytes, content_type: str = JSON) -> Answer:
        del content_type  # A success that is not JSON is unreadable, whatever it says it is.
        fields, body = reading.answer_fields(body)
        found = read_response(body)
        if found is None:
            raise reading.UnreadableAnswer("The provider's answer is no response")
        estimate: dict[str, int] = {}
        if found.output:
            written = estimated_tokens(count_texts(fields["output"]))
            most = ask.output_bound(None)
            estimate = {
                "input": ask.input_estimate,
                "output": written if most is None else min(written, most),
            }
        return msgspec.structs.replace(answer_of(found, estimate), fields=fields)

    def with_cost(self, answer: Answer, cost: Cost) -> bytes | None:
        usage = answer.raw_usage or encoded(shown_usage(answer.usage))
        return msgspec.json.encode(put_cost(answer.fields, cost, Raw(bytes(usage))))

    def meter(self, ask: Ask, secrets: tuple[str, ...] = ()) -> ResponsesMeter:
        return ResponsesMeter(ask, secrets)

    def stream_error(self, error: TollkeeperError, request_id: str | None = None) -> bytes:
        body = self.error_body(error, request_id)
        return sse.event(faults.responses_event(body), "error")


def _check(fields: Fields, asked: _Body) -> None:
    reading.check_model(asked.model)
    reading.check_spelling(fields, _OURS)
    for name, why in _REFUSED.items():
        if reading.is_given(fields.get(name)):
            raise reading.fault(name, why)


def _bound(fields: Fields, asked: _Body, body: bytes) -> InputBound:
    bound = InputBound(asked.model, reading.text_bytes(body))
    items = asked.input if isinstance(asked.input, list) else []
    tools = asked.tools or []
    own = sum(tool.type not in ("function", "custom", "namespace") for tool in tools)
    bound.frame(
        messages=max(len(items), 1) + (asked.instructions is not None),
        tools=len(tools) - own + sum(len(tool.tools or ()) for tool in tools),
        own_tools=own,
        schema_bytes=reading.size(fields.get("tools")) + reading.size(fields.get("text")),
    )
    _count(bound, asked.input)
    _count(bound, asked.instructions)
    return bound


def _count(bound: InputBound, value: Any) -> None:
    """Walk through items and their content, however deep a tool's output nests it."""
    if isinstance(value, str):
        bound.text(value)
    for item in cast("list[Any]", value) if isinstance(value, list) else ():
        if isinstance(item, dict):
            _count_item(bound, cast("dict[str, Any]", item))


def _count_item(bound: InputBound, item: dict[str, Any]) -> None:
    kind = item.get("type")
    by_reference = isinstance(kind, str) and kind in _BY_REFERENCE
    image, sound = item.get("image_url"), item.get("input_audio")
    data: Any = cast("dict[str, Any]", sound).get("data") if isinstance(sound, dict) else None
    if isinstance(data, str):
        bound.sound(data)
    elif by_reference or not item.keys().isdisjoint(_FILES):
        inline = item.get("file_data")
        bound.unbounded(inline if isinstance(inline, str) else None)
    elif image is not None or kind in ("input_image", "computer_screenshot"):
        inline = isinstance(image, str) and image.startswith("data:")
        bound.image(image if inline else None)
    elif "file_id" in item:
        bound.unbounded()
    else:
        _count(bound, item.get("text"))
    _count(bound, item.get("content"))
    output = item.get("output")
    _count(bound, [output] if isinstance(output, dict) else output)


def _units(asked: _Body, bound: InputBound) -> frozenset[str]:
    units = {"input", "output"}
    if bound.audio:
        units.add("input_audio")
    if asked.prompt_cache_options is not None and asked.prompt_cache_options.ttl == "12h":
        units.add("cache_write_12h")
    return frozenset(units)


def _preview(asked: str | list[Any] | None) -> str:
    if isinstance(asked, str):
        return reading.clean(asked)
    for item in reversed(asked or []):
        fields = cast("dict[str, Any]", item) if isinstance(item, dict) else {}
        if fields.get("role") == "user" and (text := _text_of(fields.get("content"))):
            return reading.clean(text)
    return ""


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = cast("list[Any]", content) if isinstance(content, list) else []
    texts = [cast("dict[str, Any]", part).get("text") for part in parts if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))
