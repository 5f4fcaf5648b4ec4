"""Helpers for streams in tests: cutting them up, running a meter, reading events back."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from tollkeeper.gateway import sse
from tollkeeper.gateway.dialects import Answer, Cost, StreamMeter

COST = Cost(nanos=1_234_567, input_nanos=1_000_000, output_nanos=234_567)


def run(
    meter: StreamMeter, pieces: Iterable[bytes], cost: Cost = COST
) -> tuple[bytes, bytes, Answer]:
    """Feed all pieces; give what passed at once, what was withheld, and the answer."""
    passed = b"".join(meter.feed(piece) for piece in pieces) + meter.end()
    answer = meter.answer()
    return passed, meter.finish(cost), answer


def each_byte(stream: bytes) -> Iterator[bytes]:
    return (stream[at : at + 1] for at in range(len(stream)))


def at_random(stream: bytes, seed: int) -> Iterator[bytes]:
    dice = random.Random(seed)  # noqa: S311 (cuts, not keys)
    at = 0
    while at < len(stream):
        step = dice.choice((1, 2, 3, 7, 40, 400))
        yield stream[at : at + step]
        at += step


def events(stream: bytes) -> list[Any]:
    """Read all data of a stream back: JSON where it is JSON."""
    splitter = sse.Splitter()
    blocks = splitter.feed(stream + b"\n")  # A last CR could have been half a CRLF.
    assert not splitter.rest().strip(), "a stream must end with a blank line"
    found = [data for block in blocks if (data := sse.data_of(block)) is not None]
    return ["[DONE]" if data == b"[DONE]" else msgspec.json.decode(data) for data in found]


def chunks(*data: object, done: bool = True) -> bytes:
    """Write a stream of chat chunks."""
    out = b"".join(b"data: " + msgspec.json.encode(one) + b"\n\n" for one in data)
    return out + b"data: [DONE]\n\n" if done else out


def named(*data: dict[str, Any]) -> bytes:
    """Write a stream of events whose names are their types."""
    return b"".join(sse.event(msgspec.json.encode(one), one["type"]) for one in data)
