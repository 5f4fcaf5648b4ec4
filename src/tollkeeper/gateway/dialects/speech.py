"""OpenAI speech (API reference: "Audio", "Create speech").

Most models are charged by the characters they read. GPT models are charged by tokens, and report
them only in a stream of events: without `stream_format: "sse"` their cost cannot be known.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from tollkeeper.gateway.dialects import faults, reading
from tollkeeper.gateway.dialects.bounds import PER_REQUEST, estimated_tokens
from tollkeeper.gateway.dialects.final_event import FinalEventMeter
from tollkeeper.gateway.dialects.metering import encoded
from tollkeeper.gateway.dialects.model import JSON, Answer, Ask, Change, Cost
from tollkeeper.gateway.dialects.usage import audio_usage

MAX_CHARACTERS: Final = 100_000

_BY_TOKENS: Final = ("gpt-",)
_OURS: Final = frozenset({"model", "input", "instructions", "stream_format"})


class _Body(Struct):
    model: str
    input: Annotated[str, Meta(max_length=MAX_CHARACTERS)]
    instructions: str | None = None
    stream_format: str | None = None
    user: Any = None


_BODY: Final = msgspec.json.Decoder(_Body)


class Speech(faults.OpenAIFaults):
    """`POST /audio/speech`. Sound carries no cost; only headers and events do."""

    name = "speech"
    path = "/audio/speech"

    def read(self, body: bytes, content_type: str = JSON) -> Ask:
        del content_type  # Only JSON is spoken here, and saying so is the body's business.
        fields = reading.split(body)
        asked = reading.shape(_BODY, body)
        reading.check_model(asked.model)
        reading.check_spelling(fields, _OURS)
        ask = Ask(
            model=asked.model,
            fields=fields,
            stream=asked.stream_format == "sse",
            can_cap=False,
            input_tokens=reading.text_bytes(body) + PER_REQUEST,
            input_estimate=estimated_tokens(len(asked.input.encode())),
            end_user=reading.label(asked.user),
            preview=reading.clean(asked.input),
        )
        return _metered(ask, asked.model, len(asked.input))

    def sold(self, ask: Ask, model: str) -> Ask:
        if model != ask.model:
            said: str = msgspec.json.decode(ask.fields["input"], type=str)
            ask = _metered(ask, model, len(said))
        if "character" not in ask.units and not ask.stream:
            raise reading.fault(
                "stream_format", "must be sse: only so does this model report usage"
            )
        return ask

    def upstream_body(self, ask: Ask, change: Change) -> bytes:
        return msgspec.json.encode({**ask.fields, "model": encoded(change.model)})

    def read_answer(self, ask: Ask, body: bytes, content_type: str = JSON) -> Answer:
        """The characters were read when the sound came; there is nothing to look up in it."""
        produced = bool(body) and not content_type.startswith(JSON)
        return Answer(
            usage=dict(ask.counted) if produced else {},
            reported=produced,
            source="provider" if produced else "estimated",
            produced=produced,
            error=None if produced else faults.read_error(body),
        )

    def with_cost(self, answer: Answer, cost: Cost) -> bytes | None:
        del answer, cost  # Sound has no place for it.
        return None

    def meter(self, ask: Ask, secrets: tuple[str, ...] = ()) -> FinalEventMeter:
        return FinalEventMeter(
            ask,
            "speech.audio.done",
            lambda usage: (dict(ask.counted), ()) if ask.counted else audio_usage(usage),
            ask.counted or {"input": ask.input_estimate},
            secrets=secrets,
        )


def _metered(ask: Ask, model: str, characters: int) -> Ask:
    by_tokens = model.rpartition("/")[2].startswith(_BY_TOKENS)
    return replace(
        ask,
        units=frozenset({"input", "output"} if by_tokens else {"character"}),
        modalities=frozenset({"text", "audio"} if by_tokens else {"text"}),
        counted={} if by_tokens else {"character": characters},
    )
