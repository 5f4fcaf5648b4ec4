"""OpenAI chat completions (API reference: "Chat", "Create chat completion")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, cast

import msgspec
from msgspec import Meta, Raw, Struct
from msgspec.structs import replace

from tollkeeper.gateway.dialects import faults, reading
from tollkeeper.gateway.dialects.bounds import (
    LIKELY_PICTURE_TOKENS,
    InputBound,
    estimated_sound,
    estimated_tokens,
    with_images,
)
from tollkeeper.gateway.dialects.chat_shapes import Completion, reported_in, shown_usage
from tollkeeper.gateway.dialects.chat_stream import ChatMeter
from tollkeeper.gateway.dialects.costs import put_cost
from tollkeeper.gateway.dialects.loose import count_written, members_of, value_of
from tollkeeper.gateway.dialects.metering import encoded
from tollkeeper.gateway.dialects.model import ABSENT, JSON, Answer, Ask, Change, Cost, Fields
from tollkeeper.gateway.dialects.responses_shapes import tool_unit
from tollkeeper.gateway.dialects.usage import chat_usage, upstream_cost
from tollkeeper.pricing.units import MODALITIES

MAX_CHOICES: Final = 128
_Tokens = Annotated[int, Meta(ge=1, le=1_000_000_000)]
_Parts = list[dict[str, Any]]

_TEXT_PARTS: Final = frozenset({"text", "refusal", "thinking", "reasoning"})
_CAPS: Final = ("max_completion_tokens", "max_tokens")
_ONE_PRICE: Final = "is not taken here: the call must have one model, one price"
_REFUSED: Final = {
    "models": _ONE_PRICE,
    "fallbacks": _ONE_PRICE,
    "route": _ONE_PRICE,
    "plugins": "is not taken here: what plugins cost is not known beforehand",
    "search_parameters": "is not taken here: what sources cost is not known beforehand",
    **dict.fromkeys(
        ("compound_custom", "connectors", "enable_enhancement", "enable_search", "web_search"),
        "is not taken here: what the provider looks up or runs for it is not known beforehand",
    ),
}
# Tools that the client runs itself; any other is run by the provider, which feeds the model with
# what comes of it. How often, no field of a request limits and no usage tells.
_CLIENT_TOOLS: Final = frozenset({"function", "custom"})
_TOOL_ROUNDS: Final = 8
_OURS: Final = frozenset(
    {"model", "messages", "stream", "stream_options", "n", "tools", "functions", "prediction"}
    | {"service_tier", "modalities", "web_search_options", "response_format", *_CAPS, *_REFUSED}
)


class _Message(Struct):
    role: str
    content: str | _Parts | None = None
    audio: Raw = ABSENT


class _StreamOptions(Struct):
    include_usage: bool | None = None


class _Body(Struct):
    model: str
    messages: Annotated[list[_Message], Meta(min_length=1)]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_completion_tokens: _Tokens | None = None
    max_tokens: _Tokens | None = None
    n: Annotated[int, Meta(ge=1, le=MAX_CHOICES)] | None = None
    tools: list[dict[str, Raw]] | None = None
    functions: list[Raw] | None = None
    modalities: list[str] | None = None
    service_tier: str | None = None
    user: Any = None
    safety_identifier: Any = None
    metadata: Any = None


_BODY: Final = msgspec.json.Decoder(_Body)
_TOOLS: Final = msgspec.json.Decoder(list[dict[str, Raw]] | None)
_COMPLETION: Final = msgspec.json.Decoder(Completion)


class Chat(faults.OpenAIFaults):
    """`POST /chat/completions`. `usage` and `cost` come in the body or in the last chunk."""

    name = "chat"
    path = "/chat/completions"

    def read(self, body: bytes, content_type: str = JSON) -> Ask:
        del content_type  # Only JSON is spoken here, and saying so is the body's business.
        fields = reading.split(body)
        asked = reading.shape(_BODY, body)
        _check(fields, asked)
        bound = _bound(fields, asked, body)
        counted = _counted(fields, asked.tools or (), asked.model)
        prediction = reading.size(fields.get("prediction"))
        caps = [cap for cap in (asked.max_completion_tokens, asked.max_tokens) if cap]
        return Ask(
            model=asked.model,
            fields=fields,
            stream=bool(asked.stream),
            max_output_tokens=max(caps, default=None),
            choices=asked.n or 1,
            extra_output_tokens=prediction,
            input_tokens=None if counted else bound.tokens,
            beside_images=bound.beside_images,
            images=bound.images,
            passes=1 + (_TOOL_ROUNDS if _hosted(asked.tools or ()) else 0),
            input_estimate=bound.estimate,
            units=_units(asked, audio=bound.audio) | counted.keys(),
            modalities=_modalities(asked, audio=bound.audio),
            counted=counted,
            wants_usage=bool(asked.stream_options and asked.stream_options.include_usage),
            service_tier=reading.tier(asked.service_tier),
            end_user=reading.label(asked.user) or reading.label(asked.safety_identifier),
            metadata=reading.labels(asked.metadata),
            preview=_preview(asked.messages),
        )

    def sold(self, ask: Ask, model: str) -> Ask:
        if model == ask.model:
            return ask
        tools = _TOOLS.decode(ask.fields.get("tools", b"null")) or ()
        counted = _counted(ask.fields, tools, model)
        read = with_images(ask.beside_images, ask.images, model)
        return replace(
            ask,
            input_tokens=None if counted else read,
            units=(ask.units - ask.counted.keys()) | counted.keys(),
            counted=counted,
        )

    def upstream_body(self, ask: Ask, change: Change) -> bytes:
        fields: Fields = {**ask.fields, "model": encoded(change.model)}
        if change.output_cap is not None:
            given = [name for name in _CAPS if reading.is_given(fields.get(name))]
            for name in given or [change.cap_field]:
                fields[name] = encoded(change.output_cap)
        if ask.stream:
            _ask_for_usage(fields, wanted=change.ask_usage)
        return msgspec.json.encode(fields)

    def read_answer(self, ask: Ask, body: bytes, content_type: str = JSON) -> Answer:
        del content_type  # A success that is not JSON is unreadable, whatever it says it is.
        fields, body = reading.answer_fields(body)
        try:
            found = _COMPLETION.decode(body)
        except (ValueError, RecursionError) as why:
            raise reading.UnreadableAnswer("The provider's answer is no completion") from why
        raw = reported_in(found.usage, found.x_groq)
        usage, oddities = ({}, ()) if raw is None else chat_usage(raw)
        produced = bool(found.choices)
        if raw is None:
            usage = self._estimate(ask, fields) if produced else {}
        elif produced:
            usage = {**ask.counted, **usage}
        error = None
        if reading.is_given(found.error):
            error = faults.error_from(value_of(found.error))
        return Answer(
            usage=usage,
            reported=raw is not None,
            source="estimated" if raw is None else "provider",
            produced=produced,
            model=found.model,
            service_tier=reading.tier(found.service_tier),
            id=found.id,
            finish_reason=found.choices[0].finish_reason if found.choices else None,
            raw_usage=raw,
            oddities=oddities,
            upstream_cost=None if raw is None else upstream_cost(raw),
            error=error,
            fields=fields,
        )

    def with_cost(self, answer: Answer, cost: Cost) -> bytes | None:
        usage = answer.raw_usage or encoded(shown_usage(answer.usage))
        return msgspec.json.encode(put_cost(answer.fields, cost, Raw(bytes(usage))))

    def meter(self, ask: Ask, secrets: tuple[str, ...] = ()) -> ChatMeter:
        return ChatMeter(ask, secrets)

    def _estimate(self, ask: Ask, fields: Fields) -> dict[str, int]:
        seen = count_written(fields.get("choices", b"[]"))
        usage = {"input": ask.input_estimate, "output": estimated_tokens(seen.text_bytes)}
        media = {
            "output_audio": estimated_sound(seen.sound_bytes),
            "output_image": LIKELY_PICTURE_TOKENS * seen.pictures,
        }
        for name, tokens in media.items():
            unit = name if name in ask.units else "output"
            usage[unit] = usage.get(unit, 0) + tokens
        most = ask.output_bound(None)
        if most is not None:
            usage["output"] = min(usage["output"], most)
        return {unit: count for unit, count in {**usage, **ask.counted}.items() if count}


def _ask_for_usage(fields: Fields, *, wanted: bool) -> None:
    """Where a provider is not asked, the client's own wish is kept back: some refuse it."""
    options = members_of(fields.get("stream_options", b"{}"))
    options["include_usage"] = encoded(value=True)
    if not wanted:
        del options["include_usage"]
    if options:
        fields["stream_options"] = encoded(options)
    else:
        fields.pop("stream_options", None)


def _check(fields: Fields, asked: _Body) -> None:
    reading.check_model(asked.model)
    reading.check_spelling(fields, _OURS)
    for name, why in _REFUSED.items():
        if reading.is_given(fields.get(name)):
            raise reading.fault(name, why)


def _bound(fields: Fields, asked: _Body, body: bytes) -> InputBound:
    bound = InputBound(asked.model, reading.text_bytes(body))
    schemas = sum(reading.size(fields.get(name)) for name in _SCHEMAS)
    tools = len(asked.tools or ()) + len(asked.functions or ())
    bound.frame(messages=len(asked.messages), tools=tools, schema_bytes=schemas)
    for message in asked.messages:
        if reading.is_given(message.audio):
            bound.unbounded()  # The audio of an earlier answer, by its id.
        if isinstance(message.content, str):
            bound.text(message.content)
        else:
            for part in message.content or ():
                _count_part(bound, part)
    return bound


def _count_part(bound: InputBound, part: Mapping[str, Any]) -> None:
    image, sound = part.get("image_url"), _inside(part.get("input_audio"), "data")
    if image is not None:
        url = image if isinstance(image, str) else _inside(image, "url")
        bound.image(url if url is not None and url.startswith("data:") else None)
    elif sound is not None:
        bound.sound(sound)
    elif not _is_text(part.get("type", "text")) or not part.keys().isdisjoint(_FILES):
        bound.unbounded()
    elif isinstance(part.get("text"), str):
        bound.text(part["text"])


def _is_text(kind: object) -> bool:
    return isinstance(kind, str) and kind in _TEXT_PARTS


_TOOL_FIELDS: Final = frozenset({"type", "function"})
_SCHEMAS: Final = ("tools", "functions", "response_format")
_FILES: Final = frozenset({"file", "video_url", "document_url", "input_audio", "source"})


def _inside(value: Any, name: str) -> str | None:
    inner: Any = cast("dict[str, Any]", value).get(name) if isinstance(value, dict) else None
    return inner if isinstance(inner, str) else None


def _counted(fields: Fields, tools: Iterable[Mapping[str, Raw]], model: str) -> dict[str, int]:
    counted = dict.fromkeys(_hosted(tools), 1)
    if _searches(fields, model):
        counted["web_search"] = 1
    return counted


def _hosted(tools: Iterable[Mapping[str, Raw]]) -> frozenset[str]:
    """Name the units of the provider's own tools; one that nobody has priced is refused."""
    found: set[str] = set()
    for at, tool in enumerate(tools):
        reading.check_spelling(tool, _TOOL_FIELDS)
        kind = value_of(tool.get("type", b'"function"' if "function" in tool else b'"untyped"'))
        if not isinstance(kind, str):
            raise reading.fault(f"tools[{at}].type", "must be text")
        if kind not in _CLIENT_TOOLS:
            found.add(tool_unit(kind) or kind)
    return frozenset(found)


def _searches(fields: Fields, model: str) -> bool:
    """Search models look something up once for each call, whether they are told to or not."""
    asked = fields.get("web_search_options")
    given = asked is not None and bytes(asked) not in (b"null", b"false")
    return given or "-search-" in model


def _modalities(asked: _Body, *, audio: bool) -> frozenset[str]:
    written = {name for name in asked.modalities or () if name in MODALITIES}
    return frozenset({"text", *written, *(("audio",) if audio else ())})


def _units(asked: _Body, *, audio: bool) -> frozenset[str]:
    units = {"input", "output"}
    units |= {f"output_{name}" for name in asked.modalities or () if name in ("audio", "image")}
    if audio:
        units.add("input_audio")
    return frozenset(units)


def _preview(messages: list[_Message]) -> str:
    for message in reversed(messages):
        if message.role == "user":
            return reading.clean(_text_of(message.content))
    return ""


def _text_of(content: str | _Parts | None) -> str:
    if isinstance(content, list):
        texts = [part.get("text") for part in content]
        return "\n".join(text for text in texts if isinstance(text, str))
    return content or ""
