"""Anthropic messages (API reference: "Messages", "Create a message")."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, cast

import msgspec
from msgspec import Meta, Raw, Struct

from tollkeeper.base.errors import TollkeeperError
from tollkeeper.gateway import sse
from tollkeeper.gateway.dialects import faults, reading
from tollkeeper.gateway.dialects.bounds import InputBound, estimated_tokens, sold_with_images
from tollkeeper.gateway.dialects.costs import put_cost
from tollkeeper.gateway.dialects.loose import count_texts, value_of
from tollkeeper.gateway.dialects.messages_shapes import served_tier, shown_usage
from tollkeeper.gateway.dialects.messages_stream import MessagesMeter
from tollkeeper.gateway.dialects.metering import encoded
from tollkeeper.gateway.dialects.model import ABSENT, JSON, Answer, Ask, Change, Cost, Fields
from tollkeeper.gateway.dialects.usage import messages_usage, reported

# Anthropic runs at most this many rounds of its own tools before it pauses ("Server tools").
MAX_ROUNDS: Final = 10
# What a web search tool without a limit of its own is limited to, so that a hold can bound it.
DEFAULT_SEARCHES: Final = 5

_Blocks = list[dict[str, Any]]

_REFUSED: Final = ("fallbacks", "billing_policy", "fallback_credit_token")
_ROUNDS: Final = ("mcp_servers", "container", "context_management", "compaction", "thread")
_OURS: Final = frozenset(
    {"model", "messages", "system", "max_tokens", "stream", "tools", "service_tier", "speed"}
    | {"inference_geo", "cache_control", *_REFUSED, *_ROUNDS}
)
# Tools that the client runs itself; any other typed tool is run by the provider.
_CLIENT_TOOLS: Final = ("custom", "bash_", "text_editor_", "computer_2", "memory_")
_ESCAPED_ASCII: Final = re.compile(rb"\\u00[2-7]")
_UNUSUAL_GEO: Final = frozenset({"us", "eu"})


class _Message(Struct):
    role: str
    content: str | _Blocks


class _Tool(Struct):
    type: str | None = None
    max_uses: Annotated[int, Meta(ge=1)] | None = None


class _Thinking(Struct):
    budget_tokens: int | None = None


class _Body(Struct):
    model: str
    max_tokens: Annotated[int, Meta(ge=0, le=1_000_000_000)]
    messages: Annotated[list[_Message], Meta(min_length=1)]
    stream: bool | None = None
    system: str | _Blocks | None = None
    tools: list[_Tool] | None = None
    service_tier: str | None = None
    speed: str | None = None
    inference_geo: str | None = None
    thinking: _Thinking | None = None
    metadata: Any = None


class _Block(Struct):
    type: str | None = None
    name: str | None = None


class _Answer(Struct):
    type: str | None = None
    id: str | None = None
    model: str | None = None
    content: list[_Block] | None = None
    stop_reason: str | None = None
    usage: Raw = ABSENT
    error: Raw = ABSENT


_BODY: Final = msgspec.json.Decoder(_Body)
_ANSWER: Final = msgspec.json.Decoder(_Answer)


class Messages:
    """`POST /messages`. Whole answers gain `cost`; streams carry it in `message_delta`."""

    name = "messages"
    path = "/messages"

    def read(self, body: bytes, content_type: str = JSON) -> Ask:
        del content_type  # Only JSON is spoken here, and saying so is the body's business.
        fields = reading.split(body)
        asked = reading.shape(_BODY, body)
        _check(fields, asked)
        searches, rounds = _own_tools(fields, asked)
        if searches:
            fields["tools"] = _limited(fields["tools"])
        bound = _bound(fields, asked, body)
        user = _user_of(asked.metadata)
        counted = {"web_search": searches} if searches else {}
        if rounds and _runs_code(fields, asked):
            counted["code_execution"] = 1
        return Ask(
            model=asked.model,
            fields=fields,
            stream=bool(asked.stream),
            max_output_tokens=asked.max_tokens,
            least_output_tokens=_least_output(asked),
            input_tokens=None if rounds else bound.tokens,
            beside_images=None if rounds else bound.beside_images,
            images=bound.images,
            passes=rounds + 1,
            input_estimate=bound.estimate,
            units=frozenset({"input", "output", *_cache_units(body), *counted}),
            counted=counted,
            wants_usage=True,
            service_tier=_tier(asked),
            end_user=reading.label(user),
            metadata=reading.labels(asked.metadata),
            preview=_preview(asked.messages),
        )

    def sold(self, ask: Ask, model: str) -> Ask:
        return sold_with_images(ask, model)

    def upstream_body(self, ask: Ask, change: Change) -> bytes:
        fields: Fields = {**ask.fields, "model": encoded(change.model)}
        if change.output_cap is not None:
            fields["max_tokens"] = encoded(change.output_cap)
        return msgspec.json.encode(fields)

    def read_answer(self, ask: Ask, body: bytes, content_type: str = JSON) -> Answer:
        del content_type  # A success that is not JSON is unreadable, whatever it says it is.
        fields, body = reading.answer_fields(body)
        try:
            found = _ANSWER.decode(body)
        except (ValueError, RecursionError) as why:
            raise reading.UnreadableAnswer("The provider's answer is no message") from why
        raw = reported(found.usage)
        usage, oddities = messages_usage(raw) if raw is not None else ({}, ())
        produced = found.type != "error" and found.content is not None
        if raw is None and produced:
            usage = _estimate(ask, fields)
        if any(_ran_code(block) for block in found.content or ()):
            usage["code_execution"] = 1
        error = None
        if reading.is_given(found.error):
            error = faults.error_from(value_of(found.error))
        return Answer(
            usage=usage,
            reported=raw is not None,
            source="estimated" if raw is None else "provider",
            produced=produced,
            model=found.model,
            service_tier=served_tier(raw, ask.service_tier),
            id=found.id,
            finish_reason=found.stop_reason,
            raw_usage=raw,
            oddities=oddities,
            error=error,
            fields=fields,
        )

    def with_cost(self, answer: Answer, cost: Cost) -> bytes | None:
        usage = answer.raw_usage or encoded(shown_usage(answer.usage))
        return msgspec.json.encode(put_cost(answer.fields, cost, Raw(bytes(usage))))

    def meter(self, ask: Ask, secrets: tuple[str, ...] = ()) -> MessagesMeter:
        return MessagesMeter(ask, secrets)

    def error_body(self, error: TollkeeperError, request_id: str | None = None) -> bytes:
        return faults.anthropic_body(error, request_id)

    def stream_error(self, error: TollkeeperError, request_id: str | None = None) -> bytes:
        return sse.event(self.error_body(error, request_id), "error")

    def upstream_error(
        self, status: int, body: bytes, secrets: tuple[str, ...] = ()
    ) -> tuple[int, bytes]:
        return faults.anthropic_upstream(status, body, secrets)


def _check(fields: Fields, asked: _Body) -> None:
    reading.check_model(asked.model)
    reading.check_spelling(fields, _OURS)
    for name in _REFUSED:
        if reading.is_given(fields.get(name)):
            raise reading.fault(name, "is not taken here: the call must have one model, one price")


def _own_tools(fields: Fields, asked: _Body) -> tuple[int, int]:
    """Bound the searches that cost money, and the rounds in which the provider feeds the model."""
    searches = uses = rounds = 0
    for tool in asked.tools or ():
        kind = tool.type or "custom"
        if kind.startswith(_CLIENT_TOOLS):
            continue
        rounds = MAX_ROUNDS
        if kind.startswith("web_search"):
            searches += tool.max_uses or DEFAULT_SEARCHES
            uses += tool.max_uses or DEFAULT_SEARCHES
        else:
            uses += tool.max_uses or MAX_ROUNDS
    if any(reading.is_given(fields.get(name)) for name in _ROUNDS):
        return searches, MAX_ROUNDS
    return searches, min(rounds, uses)


def _least_output(asked: _Body) -> int:
    """What is thought is written too, and the limit has to be above it (but between tools)."""
    budget = asked.thinking.budget_tokens if asked.thinking is not None else None
    return budget + 1 if budget is not None and 0 < budget < asked.max_tokens else 1


def _limited(tools: Raw) -> Raw:
    """Set `max_uses` on web search tools that have none."""
    split: list[dict[str, Raw]] = msgspec.json.decode(tools, type=list[dict[str, Raw]])
    for tool in split:
        kind = value_of(tool.get("type", b"null")) or ""
        if kind.startswith("web_search") and not reading.is_given(tool.get("max_uses")):
            tool["max_uses"] = encoded(DEFAULT_SEARCHES)
    return encoded(split)


def _runs_code(fields: Fields, asked: _Body) -> bool:
    tools = (tool.type or "" for tool in asked.tools or ())
    return reading.is_given(fields.get("container")) or any(
        kind.startswith("code_execution") for kind in tools
    )


def _ran_code(block: _Block) -> bool:
    return block.type == "server_tool_use" and "code_execution" in (block.name or "")


def _bound(fields: Fields, asked: _Body, body: bytes) -> InputBound:
    bound = InputBound(asked.model, reading.text_bytes(body))
    own = sum((tool.type or "custom") != "custom" for tool in asked.tools or ())
    bound.frame(
        messages=len(asked.messages) + 1,
        tools=len(asked.tools or ()) - own,
        own_tools=own,
        schema_bytes=reading.size(fields.get("tools")) + reading.size(fields.get("output_config")),
    )
    for message in asked.messages:
        _count_blocks(bound, message.content)
    _count_blocks(bound, asked.system)
    return bound


def _count_blocks(bound: InputBound, blocks: Any) -> None:
    if isinstance(blocks, str):
        bound.text(blocks)
    for block in cast("list[Any]", blocks) if isinstance(blocks, list) else ():
        if isinstance(block, dict):
            _count_block(bound, cast("dict[str, Any]", block))


def _count_block(bound: InputBound, block: dict[str, Any]) -> None:
    source, text = block.get("source"), block.get("text")
    if isinstance(text, str):
        bound.text(text)
    if isinstance(source, dict):
        _count_source(bound, str(block.get("type")), cast("dict[str, Any]", source))
    elif block.get("type") in ("image", "document", "container_upload"):
        bound.unbounded()
    _count_blocks(bound, block.get("content"))


def _count_source(bound: InputBound, kind: str, source: dict[str, Any]) -> None:
    data: Any = source.get("data")
    inline = data if isinstance(data, str) and source.get("type") == "base64" else None
    if kind == "image":
        bound.image(inline)
    elif source.get("type") == "content":
        _count_blocks(bound, source.get("content"))
    elif source.get("type") != "text":
        bound.unbounded(inline)


def _cache_units(body: bytes) -> frozenset[str]:
    """Writes to a cache must be asked for, in words that only an escaped letter could hide."""
    hidden = _ESCAPED_ASCII.search(body) is not None
    if b"cache_control" not in body and not hidden:
        return frozenset()
    long = b'"1h"' in body or hidden
    return frozenset({"cache_write", "cache_write_1h"} if long else {"cache_write"})


def _tier(asked: _Body) -> str | None:
    """Name the tier as the price book does: what raises the price is a tier."""
    if asked.speed not in (None, "standard"):
        return asked.speed
    if asked.inference_geo in _UNUSUAL_GEO:
        return f"inference_geo_{asked.inference_geo}"
    return asked.service_tier


def _user_of(metadata: Any) -> Any:
    return cast("dict[str, Any]", metadata).get("user_id") if isinstance(metadata, dict) else None


def _estimate(ask: Ask, fields: Fields) -> dict[str, int]:
    written = estimated_tokens(count_texts(fields.get("content", b"[]")))
    most = ask.output_bound(None)
    written = written if most is None else min(written, most)
    usage = {"input": ask.input_estimate, "output": written}
    return {unit: count for unit, count in usage.items() if count}


def _preview(messages: list[_Message]) -> str:
    for message in reversed(messages):
        if message.role == "user":
            text = _text_of(message.content)
            if text:
                return reading.clean(text)
    return ""


def _text_of(content: str | _Blocks) -> str:
    if isinstance(content, str):
        return content
    texts = [block.get("text") for block in content]
    return "\n".join(text for text in texts if isinstance(text, str))
