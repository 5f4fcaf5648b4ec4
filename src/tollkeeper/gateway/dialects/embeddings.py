"""OpenAI embeddings (API reference: "Embeddings", "Create embeddings")."""

from __future__ import annotations

from typing import Annotated, Any, Final, cast

import msgspec
from msgspec import Meta, Raw, Struct

from tollkeeper.gateway.dialects import faults, reading
from tollkeeper.gateway.dialects.bounds import PER_MESSAGE, estimated_tokens
from tollkeeper.gateway.dialects.costs import put_cost
from tollkeeper.gateway.dialects.metering import encoded
from tollkeeper.gateway.dialects.model import ABSENT, JSON, Answer, Ask, Change, Cost, StreamMeter
from tollkeeper.gateway.dialects.usage import embeddings_usage, reported

_MAX_INPUTS: Final = 100_000
_Tokens = list[int]
_OURS: Final = frozenset({"model", "input"})


class _Body(Struct):
    model: str
    input: str | Annotated[list[Any], Meta(min_length=1, max_length=_MAX_INPUTS)]
    user: Any = None


class _Answer(Struct):
    model: str | None = None
    id: str | None = None
    data: list[Raw] | None = None
    usage: Raw = ABSENT


_BODY: Final = msgspec.json.Decoder(_Body)
_ANSWER: Final = msgspec.json.Decoder(_Answer)


class Embeddings(faults.OpenAIFaults):
    """`POST /embeddings`. Only input is read, and nothing is streamed."""

    name = "embeddings"
    path = "/embeddings"

    def read(self, body: bytes, content_type: str = JSON) -> Ask:
        del content_type  # Only JSON is spoken here, and saying so is the body's business.
        fields = reading.split(body)
        asked = reading.shape(_BODY, body)
        reading.check_model(asked.model)
        reading.check_spelling(fields, _OURS)
        bound, estimate, inputs = _count(asked.input, reading.growth(body))
        return Ask(
            model=asked.model,
            fields=fields,
            input_tokens=bound,
            passes=inputs,
            input_estimate=estimate,
            units=frozenset({"input"}),
            end_user=reading.label(asked.user),
            preview=_preview(asked.input),
        )

    def sold(self, ask: Ask, model: str) -> Ask:
        del model  # All of them read tokens, and nothing else.
        return ask

    def upstream_body(self, ask: Ask, change: Change) -> bytes:
        return msgspec.json.encode({**ask.fields, "model": encoded(change.model)})

    def read_answer(self, ask: Ask, body: bytes, content_type: str = JSON) -> Answer:
        del content_type  # A success that is not JSON is unreadable, whatever it says it is.
        fields, body = reading.answer_fields(body)
        try:
            found = _ANSWER.decode(body)
        except (ValueError, RecursionError) as why:
            raise reading.UnreadableAnswer(
                "The provider's answer is no list of embeddings"
            ) from why
        raw = reported(found.usage)
        usage, oddities = embeddings_usage(raw) if raw is not None else ({}, ())
        if raw is None and found.data:
            usage = {"input": ask.input_estimate}
        return Answer(
            usage=usage,
            reported=raw is not None,
            source="provider" if raw is not None else "estimated",
            produced=bool(found.data),
            model=found.model,
            id=found.id,
            raw_usage=raw,
            oddities=oddities,
            error=None if found.data is not None else faults.read_error(body),
            fields=fields,
        )

    def with_cost(self, answer: Answer, cost: Cost) -> bytes | None:
        read = answer.usage.get("input", 0)
        usage = answer.raw_usage or encoded({"prompt_tokens": read, "total_tokens": read})
        return msgspec.json.encode(put_cost(answer.fields, cost, Raw(bytes(usage))))

    def meter(self, ask: Ask, secrets: tuple[str, ...] = ()) -> StreamMeter:
        del secrets  # There is no stream for them to be in.
        raise reading.fault("stream", f"answers of {ask.model} are not streamed")


def _count(asked: str | list[Any], normalised: int) -> tuple[int, int, int]:
    """Bound and estimate the tokens, and count the inputs. Token arrays are counted exactly."""
    if isinstance(asked, str):
        size = len(asked.encode())
        return size + normalised + PER_MESSAGE, estimated_tokens(size), 1
    if _is_tokens(asked):
        return len(asked), len(asked), 1
    bound = estimate = 0
    for at, one in enumerate(asked):
        if isinstance(one, str):
            size = len(one.encode())
            bound += size + PER_MESSAGE
            estimate += estimated_tokens(size)
        elif isinstance(one, list) and _is_tokens(cast("list[Any]", one)):
            bound += len(cast("list[Any]", one))
            estimate += len(cast("list[Any]", one))
        else:
            raise reading.fault(f"input[{at}]", "must be a text or a list of tokens")
    return bound + normalised, estimate, len(asked)


def _is_tokens(value: list[Any]) -> bool:
    return set(map(type, value)) == {int}


def _preview(asked: str | list[Any]) -> str:
    first: Any = asked if isinstance(asked, str) else asked[0]
    return reading.clean(first) if isinstance(first, str) else ""
