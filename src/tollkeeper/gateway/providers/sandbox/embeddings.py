"""The simulated model's embeddings: vectors that depend on nothing but the text."""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import msgspec

from tollkeeper.gateway.providers.sandbox.script import read_script
from tollkeeper.gateway.providers.sandbox.shapes import items
from tollkeeper.gateway.providers.sandbox.text import Heard, tokens_in

USUAL_DIMENSIONS = 8
_MAX_DIMENSIONS = 4_096


class HeardInputs(Heard, frozen=True, kw_only=True):
    """The inputs, and how many numbers each is to become."""

    inputs: tuple[Any, ...]
    dimensions: int
    in_base64: bool


def hear(body: dict[str, Any]) -> HeardInputs:
    asked: Any = body.get("input")
    inputs = (asked,) if _is_one(asked) else tuple(items(asked))
    text = inputs[0] if inputs and isinstance(inputs[0], str) else ""
    wanted: Any = body.get("dimensions")
    sized = isinstance(wanted, int) and 0 < wanted <= _MAX_DIMENSIONS
    return HeardInputs(
        model=body["model"],
        prompt_tokens=sum(_tokens(one) for one in inputs),
        text=text,
        script=read_script(text),
        inputs=inputs,
        dimensions=wanted if sized else USUAL_DIMENSIONS,
        in_base64=body.get("encoding_format") == "base64",
    )


def whole(heard: HeardInputs, reply_id: str, created: int) -> dict[str, Any]:
    del reply_id, created  # Embeddings carry neither.
    data = [
        {"object": "embedding", "index": at, "embedding": _embedding(heard, one)}
        for at, one in enumerate(heard.inputs)
    ]
    answer = {"object": "list", "data": data, "model": heard.model}
    if heard.script.no_usage:
        return answer
    read = 0 if heard.script.zero_usage else heard.prompt_tokens
    return answer | {"usage": {"prompt_tokens": read, "total_tokens": read}}


def stream(heard: HeardInputs, reply_id: str, created: int) -> Iterator[bytes]:
    """Embeddings come whole, whatever is asked."""
    yield msgspec.json.encode(whole(heard, reply_id, created))


def _embedding(heard: HeardInputs, one: Any) -> Any:
    numbers = _vector(msgspec.json.encode(one), heard.dimensions)
    if heard.in_base64:
        return b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
    return numbers


def _vector(seed: bytes, dimensions: int) -> list[float]:
    found: list[float] = []
    while len(found) < dimensions:
        seed = sha256(seed).digest()
        found.extend(byte / 255 - 0.5 for byte in seed)
    return found[:dimensions]


def _is_one(asked: Any) -> bool:
    return isinstance(asked, str) or all(isinstance(one, int) for one in items(asked))


def _tokens(one: Any) -> int:
    return tokens_in(one) if isinstance(one, str) else len(items(one))
