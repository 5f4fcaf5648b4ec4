"""OpenAI transcriptions (API reference: "Audio", "Create transcription"): a form with a file.

Whisper and its like are charged by the second, GPT-4o models by tokens; both report them, except
in the formats that are plain text, which are refused because their cost could not be known. Many
who serve Whisper tell how long the sound was only in `verbose_json`: so that is what they are asked
for, and a client that asked for `json` is given what is `json` of it. Of what tells no duration
all the same, the bound is charged: how long a file is does not follow from its size.

The bound takes half a kilobyte for a second, which speech exceeds in every codec these endpoints
take. Only digital silence is smaller; such a call is charged past its hold, and marked so.
"""

from __future__ import annotations

from math import ceil, isfinite
from typing import Any, Final, cast

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from tollkeeper.gateway.dialects import faults, forms, reading
from tollkeeper.gateway.dialects.bounds import BYTES_PER_AUDIO_TOKEN, PER_REQUEST
from tollkeeper.gateway.dialects.costs import put_cost
from tollkeeper.gateway.dialects.final_event import FinalEventMeter
from tollkeeper.gateway.dialects.loose import value_of
from tollkeeper.gateway.dialects.metering import encoded
from tollkeeper.gateway.dialects.model import ABSENT, JSON, Answer, Ask, Change, Cost, Fields
from tollkeeper.gateway.dialects.usage import audio_usage, reported

BYTES_PER_SECOND: Final = 500
_LIKELY_BYTES_PER_SECOND: Final = 16_000
_BY_TOKENS: Final = ("gpt-4o",)
_WHISPER: Final = "whisper"
# What a verbose answer has beside the text.
_VERBOSE: Final = frozenset({"task", "language", "duration", "segments", "words"})
_OURS: Final = frozenset({"model", "file", "response_format", "stream", "url"})
_METERED_FORMATS: Final = frozenset({"json", "verbose_json", "diarized_json"})


class _Answer(Struct):
    text: str | None = None
    duration: float | str | None = None
    usage: Raw = ABSENT


_ANSWER: Final = msgspec.json.Decoder(_Answer)


class Transcriptions(faults.OpenAIFaults):
    """`POST /audio/transcriptions`. The form passes as it is, but for the model's name and the
    format: `fields` of an ask are those that are written over."""

    name = "transcriptions"
    path = "/audio/transcriptions"

    def read(self, body: bytes, content_type: str = JSON) -> Ask:
        form = forms.read(body, content_type)
        _check_names(form)
        if "model" not in form.parts:
            raise reading.fault("model", "is required")
        model = form.text("model")
        reading.check_model(model)
        if (form.text("response_format") or "json") not in _METERED_FORMATS:
            said = f"must be one of {', '.join(sorted(_METERED_FORMATS))}, which report usage"
            raise reading.fault("response_format", said)
        if "file" not in form.parts:
            raise reading.fault("file", "is required")
        if "url" in form.parts:
            raise reading.fault("url", "is not taken here: what is heard must be in the form")
        ask = Ask(
            model=model,
            fields={},
            raw=body,
            can_cap=False,
            spans=_spans(form),
            stream=form.text("stream").lower() in ("true", "1"),
            preview=reading.clean(form.text("prompt")),
        )
        return _metered(ask, model)

    def sold(self, ask: Ask, model: str) -> Ask:
        return ask if model == ask.model else _metered(ask, model)

    def upstream_body(self, ask: Ask, change: Change) -> bytes:
        """Write over what is ours to choose; the boundary stays, and so the content type."""
        if change.model == ask.model and not ask.fields:
            return ask.raw
        written = {"model": change.model.encode(), **ask.fields}
        body = ask.raw
        for name in sorted(written, key=ask.spans.__getitem__, reverse=True):
            start, end = ask.spans[name]
            body = body[:start] + bytes(written[name]) + body[end:]
        return body

    def read_answer(self, ask: Ask, body: bytes, content_type: str = JSON) -> Answer:
        del content_type  # A success that is not JSON is unreadable, whatever it says it is.
        fields, body = reading.answer_fields(body)
        try:
            found = _ANSWER.decode(body)
        except (ValueError, RecursionError) as why:
            raise reading.UnreadableAnswer("The provider's answer is no transcription") from why
        raw = _reported(ask, found.usage) or _duration(found.duration)
        usage, oddities = audio_usage(raw) if raw is not None else ({}, ())
        produced = found.text is not None
        if raw is None and produced:
            usage = _estimate(ask)
        return Answer(
            usage=usage,
            reported=raw is not None,
            source="provider" if raw is not None else "estimated",
            produced=produced,
            raw_usage=raw,
            oddities=oddities,
            error=None if produced else faults.read_error(body),
            fields={n: value for n, value in fields.items() if not ask.fields or n not in _VERBOSE},
        )

    def with_cost(self, answer: Answer, cost: Cost) -> bytes | None:
        usage = Raw(answer.raw_usage or encoded({}))
        return msgspec.json.encode(put_cost(answer.fields, cost, Raw(bytes(usage))))

    def meter(self, ask: Ask, secrets: tuple[str, ...] = ()) -> FinalEventMeter:
        done, estimate = "transcript.text.done", _estimate(ask)
        return FinalEventMeter(ask, done, audio_usage, estimate, secrets=secrets)


def _metered(ask: Ask, model: str) -> Ask:
    start, end = ask.spans["file"]
    size = end - start
    if not model.rpartition("/")[2].startswith(_BY_TOKENS):
        return replace(
            ask,
            units=frozenset({"audio_second"}),
            modalities=frozenset({"text"}),
            fields=_written(ask, model),
            input_estimate=0,
            counted={"audio_second": size // BYTES_PER_SECOND + 1},
        )
    return replace(
        ask,
        units=frozenset({"input", "input_audio", "output"}),
        modalities=frozenset({"text", "audio"}),
        fields={},
        counted={},
        input_tokens=size // BYTES_PER_AUDIO_TOKEN + len(ask.raw) - size + PER_REQUEST,
        input_estimate=10 * (size // _LIKELY_BYTES_PER_SECOND + 1),
    )


def _spans(form: forms.Form) -> dict[str, tuple[int, int]]:
    """Say where what is ours stands; and the format, where it is not there, could."""
    first = form.body.index(form.line)
    spans = {"line": (first, first + len(form.line)), "response_format": (first, first)}
    return spans | {name: span for name, span in form.parts.items() if name in _OURS}


def _written(ask: Ask, model: str) -> Fields:
    """Ask who serves Whisper for an answer with the duration, where any in JSON will do."""
    start, end = ask.spans["response_format"]
    if ask.stream or _WHISPER not in model.lower() or ask.raw[start:end] not in (b"", b"json"):
        return {}
    first, after = ask.spans["line"]
    wanted = b"verbose_json"
    if start == first:
        wanted = forms.field(ask.raw[first:after], "response_format", wanted)
    return {"response_format": Raw(wanted)}


def _reported(ask: Ask, usage: Raw) -> bytes | None:
    """Give a usage object. None: there is none, or none with what is charged."""
    raw = reported(usage)
    if raw is None or "audio_second" not in ask.units:
        return raw
    said = value_of(raw)
    by_time = isinstance(said, dict) and cast("dict[str, Any]", said).get("type") == "duration"
    return raw if by_time else None


def _check_names(form: forms.Form) -> None:
    """Refuse fields that some servers read as one of ours: by case, or as a list's."""
    for name in form.parts:
        plain = name.partition("[")[0].strip().lower()
        if plain in _OURS and name != plain:
            raise reading.fault(name, f"is not a field; did you mean {plain}?")


def _duration(duration: float | str | None) -> bytes | None:
    """Whisper's verbose answers told the duration before there was a usage object."""
    try:
        seconds = float(duration) if duration is not None else None
    except ValueError:
        return None
    if seconds is None or not isfinite(seconds) or seconds < 0:
        return None
    return msgspec.json.encode({"type": "duration", "seconds": ceil(seconds)})


def _estimate(ask: Ask) -> dict[str, int]:
    return dict(ask.counted) or {"input_audio": ask.input_estimate}
