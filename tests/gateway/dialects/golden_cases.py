"""The golden folder: what providers answer, and what we must make of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from tollkeeper.gateway.dialects import DIALECTS, Answer, Ask, Cost, Dialect

FOLDER = Path(__file__).parents[2] / "recorded"
COST = Cost(nanos=987_654_321_012, input_nanos=1, output_nanos=987_654_321_011)


class Price(Struct):
    provider: str
    model: str
    at: str


class Expected(Struct, rename="camel", forbid_unknown_fields=True):
    """`expected.json`. `lineNanos` was worked out by hand from the price list, unit by unit."""

    dialect: str
    about: str
    usage: dict[str, int]
    reported: bool
    source: str
    produced: bool
    model: str | None
    service_tier: str | None
    finish_reason: str | None
    oddities: list[str] = []
    error: str | None = None
    price: Price | None = None
    line_nanos: dict[str, int] = {}
    cost_nanos: int | None = None


class Case(Struct):
    name: str
    dialect: Dialect
    ask: Ask
    request: bytes
    expected: Expected
    response: bytes | None
    stream: bytes | None

    @property
    def provider(self) -> str:
        return self.name.partition("/")[0]


def cases() -> list[Case]:
    return [_case(folder.parent) for folder in sorted(FOLDER.glob("*/*/expected.json"))]


def summary(answer: Answer) -> dict[str, Any]:
    """An answer as `expected.json` writes it."""
    return {
        "usage": dict(answer.usage),
        "reported": answer.reported,
        "source": answer.source,
        "produced": answer.produced,
        "model": answer.model,
        "serviceTier": answer.service_tier,
        "finishReason": answer.finish_reason,
        "oddities": list(answer.oddities),
        "error": None if answer.error is None else answer.error.message,
    }


def wanted(expected: Expected) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(expected)
    for name in ("dialect", "about", "price", "lineNanos", "costNanos"):
        fields.pop(name)
    return fields


def _case(folder: Path) -> Case:
    expected = msgspec.json.decode((folder / "expected.json").read_bytes(), type=Expected)
    dialect = next(one for one in DIALECTS.values() if one.name == expected.dialect)
    request = (folder / "request.json").read_bytes()
    return Case(
        name=f"{folder.parent.name}/{folder.name}",
        dialect=dialect,
        ask=dialect.read(request),
        request=request,
        expected=expected,
        response=_bytes(folder / "response.json"),
        stream=_bytes(folder / "stream.sse"),
    )


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None
