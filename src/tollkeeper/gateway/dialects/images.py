"""OpenAI images (API reference: "Images", "Create image"), and the servers that are like it.

GPT image models are charged by the tokens they report; all others by the picture.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Raw, Struct
from msgspec.structs import replace

from tollkeeper.gateway.dialects import faults, reading
from tollkeeper.gateway.dialects.bounds import LIKELY_PICTURE_TOKENS, PER_REQUEST, estimated_tokens
from tollkeeper.gateway.dialects.costs import put_cost
from tollkeeper.gateway.dialects.final_event import FinalEventMeter
from tollkeeper.gateway.dialects.metering import encoded
from tollkeeper.gateway.dialects.model import ABSENT, JSON, Answer, Ask, Change, Cost, Fields
from tollkeeper.gateway.dialects.usage import images_usage, reported

MAX_IMAGES: Final = 10

_BY_TOKENS: Final = ("gpt-image", "chatgpt-image")
# OpenAI, "Image generation", cost and latency: the dearest picture of the first GPT image models.
# Later ones draw any size, and only their own limit in the price book bounds them.
_MOST_TOKENS: Final = {"gpt-image-1": 6_240, "gpt-image-1-mini": 6_240, "gpt-image-1.5": 6_240}
_PARTIAL_TOKENS: Final = 100
_REFUSED: Final = ("svg", "prompt_rewriter")
_OURS: Final = frozenset({"model", "prompt", "n", "stream", "partial_images", *_REFUSED})


class _Body(Struct):
    model: str
    prompt: str
    n: Annotated[int, Meta(ge=1, le=MAX_IMAGES)] | None = None
    stream: bool | None = None
    partial_images: Annotated[int, Meta(ge=0, le=3)] | None = None
    output_format: str | None = None
    user: Any = None
    safety_identifier: Any = None


class _Answer(Struct):
    data: list[Raw] | None = None
    usage: Raw = ABSENT


_BODY: Final = msgspec.json.Decoder(_Body)
_ANSWER: Final = msgspec.json.Decoder(_Answer)


class Images(faults.OpenAIFaults):
    """`POST /images/generations`. Edits and variations are not spoken here."""

    name = "images"
    path = "/images/generations"

    def read(self, body: bytes, content_type: str = JSON) -> Ask:
        del content_type  # Only JSON is spoken here, and saying so is the body's business.
        fields = reading.split(body)
        asked = reading.shape(_BODY, body)
        _check(fields, asked)
        ask = Ask(
            model=asked.model,
            fields=fields,
            stream=bool(asked.stream),
            can_cap=False,
            wants_usage=True,
            end_user=reading.label(asked.user) or reading.label(asked.safety_identifier),
            preview=reading.clean(asked.prompt),
            choices=asked.n or 1,
            extra_output_tokens=(asked.partial_images or 0) * _PARTIAL_TOKENS,
            input_tokens=reading.text_bytes(body) + PER_REQUEST,
            input_estimate=estimated_tokens(len(asked.prompt.encode())),
        )
        return _metered(ask, asked.model)

    def sold(self, ask: Ask, model: str) -> Ask:
        return ask if model == ask.model else _metered(ask, model)

    def upstream_body(self, ask: Ask, change: Change) -> bytes:
        return msgspec.json.encode({**ask.fields, "model": encoded(change.model)})

    def read_answer(self, ask: Ask, body: bytes, content_type: str = JSON) -> Answer:
        del content_type  # A success that is not JSON is unreadable, whatever it says it is.
        fields, body = reading.answer_fields(body)
        try:
            found = _ANSWER.decode(body)
        except (ValueError, RecursionError) as why:
            raise reading.UnreadableAnswer("The provider's answer is no list of images") from why
        drawn = len(found.data or ())
        raw = reported(found.usage)
        usage, oddities = images_usage(raw) if raw is not None else ({}, ())
        if "image" in ask.units:
            usage = {"image": drawn} if drawn else {}
        elif raw is None and drawn:
            usage = {"input": ask.input_estimate, "output_image": LIKELY_PICTURE_TOKENS * drawn}
        by_count = "image" in ask.units and found.data is not None
        return Answer(
            usage=usage,
            reported=raw is not None or by_count,
            source="provider" if raw is not None or by_count else "estimated",
            produced=bool(drawn),
            raw_usage=raw,
            oddities=oddities,
            error=None if found.data is not None else faults.read_error(body),
            fields=fields,
        )

    def with_cost(self, answer: Answer, cost: Cost) -> bytes | None:
        usage = Raw(answer.raw_usage or b"{}")
        return msgspec.json.encode(put_cost(answer.fields, cost, usage))

    def meter(self, ask: Ask, secrets: tuple[str, ...] = ()) -> FinalEventMeter:
        if "image" in ask.units:
            estimate = {"image": 1}
        else:
            estimate = {"input": ask.input_estimate, "output_image": LIKELY_PICTURE_TOKENS}
        by_count = "image" in ask.units

        def read_usage(usage: Raw) -> tuple[dict[str, int], tuple[str, ...]]:
            return ({"image": 1}, ()) if by_count else images_usage(usage)

        done = "image_generation.completed"
        return FinalEventMeter(ask, done, read_usage, estimate, secrets=secrets)


def _check(fields: Fields, asked: _Body) -> None:
    reading.check_model(asked.model)
    reading.check_spelling(fields, _OURS)
    for name in _REFUSED:
        if reading.is_given(fields.get(name)):
            raise reading.fault(name, "is not taken here: the call must have one model, one price")
    if asked.output_format == "svg":
        raise reading.fault("output_format", "svg is written by a model of its own; not taken here")
    if asked.stream and (asked.n or 1) > 1:
        raise reading.fault("n", "must be 1 when streaming")


def _metered(ask: Ask, model: str) -> Ask:
    name = model.rpartition("/")[2]
    if not name.startswith(_BY_TOKENS):
        return replace(
            ask,
            units=frozenset({"image"}),
            modalities=frozenset({"text"}),
            max_output_tokens=None,
            counted={"image": ask.choices},
        )
    return replace(
        ask,
        units=frozenset({"input", "output", "output_image"}),
        modalities=frozenset({"text", "image"}),
        max_output_tokens=_MOST_TOKENS.get(name),
        counted={},
    )
