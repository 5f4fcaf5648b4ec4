"""What the reader of responses and their stream meter share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from tollkeeper.gateway.dialects import faults
from tollkeeper.gateway.dialects.costs import has_object
from tollkeeper.gateway.dialects.loose import value_of
from tollkeeper.gateway.dialects.model import ABSENT, Answer
from tollkeeper.gateway.dialects.reading import is_given, tier
from tollkeeper.gateway.dialects.usage import reported, responses_usage, upstream_cost
from tollkeeper.pricing.units import INPUT_TOKENS, OUTPUT_TOKENS


class Environment(Struct):
    type: str | None = None


class Tool(Struct):
    type: str
    tools: list[Raw] | None = None
    environment: Environment | None = None


class Action(Struct):
    type: str | None = None


class Item(Struct):
    type: str | None = None
    container_id: str | None = None
    action: Raw = ABSENT


class _Incomplete(Struct):
    reason: str | None = None


class _WebSearch(Struct):
    num_requests: int | None = None


class _ToolUsage(Struct):
    web_search: _WebSearch | None = None


class Response(Struct):
    id: str | None = None
    model: str | None = None
    status: str | None = None
    service_tier: str | None = None
    output: list[Item] | None = None
    usage: Raw = ABSENT
    error: Raw = ABSENT
    incomplete_details: _Incomplete | None = None
    tool_usage: _ToolUsage | None = None


_RESPONSE: Final = msgspec.json.Decoder(Response)
_ACTION: Final = msgspec.json.Decoder(Action)

# Tools the client runs itself. Any other is run by the provider, between the model's turns.
_CLIENT_TOOLS: Final = frozenset(
    {"function", "custom", "namespace", "local_shell", "apply_patch", "computer"}
    | {"computer_use_preview"}
)
_HOSTED: Final = {
    "file_search": "file_search",
    "code_interpreter": "code_execution",
    "shell": "code_execution",
    "mcp": "mcp_call",
    "image_generation": "image_generation",
    "tool_search": None,
}
_CALLS: Final = {
    "file_search_call": "file_search",
    "image_generation_call": "image_generation",
    "mcp_call": "mcp_call",
}


def hosted_units(tools: Iterable[Tool]) -> frozenset[str] | None:
    """Name the units that the provider's own tools are counted in. None: there are no such tools.

    A tool we do not know is a unit that nobody has priced, so that it is refused, not free.
    """
    found: set[str] = set()
    any_hosted = False
    for tool in tools:
        local = tool.environment is not None and tool.environment.type == "local"
        if tool.type in _CLIENT_TOOLS or (tool.type == "shell" and local):
            continue
        any_hosted = True
        if (unit := tool_unit(tool.type)) is not None:
            found.add(unit)
    return frozenset(found) if any_hosted else None


def tool_unit(kind: str) -> str | None:
    """Name the unit that a provider's own tool is counted in. None: it costs nothing itself."""
    return "web_search" if kind.startswith("web_search") else _HOSTED.get(kind, _slug(kind))


def read_response(body: bytes | Raw) -> Response | None:
    try:
        return _RESPONSE.decode(body)
    except (ValueError, RecursionError):
        return None


def tool_calls(found: Response) -> dict[str, int]:
    """Count calls to the provider's own tools. Opening a page is no search (OpenAI, pricing)."""
    counts = Counter(unit for item in found.output or () if (unit := call_unit(item)) is not None)
    containers = {item.container_id for item in found.output or () if item.container_id}
    if containers:
        counts["code_execution"] = len(containers)
    reported = found.tool_usage.web_search if found.tool_usage is not None else None
    if reported is not None and reported.num_requests is not None:
        counts["web_search"] = reported.num_requests
    return {unit: count for unit, count in counts.items() if count > 0}


def call_unit(item: Item) -> str | None:
    if item.type == "web_search_call":
        kind = _ACTION.decode(item.action).type if has_object(item.action) else None
        return "web_search" if kind in (None, "search") else None
    return _CALLS.get(item.type or "")


def answer_of(found: Response, estimate: Mapping[str, int]) -> Answer:
    """Make an answer of a response object; `estimate` is for one without usage."""
    raw = reported(found.usage)
    usage, oddities = responses_usage(raw) if raw is not None else (dict(estimate), ())
    reason = found.incomplete_details.reason if found.incomplete_details is not None else None
    return Answer(
        usage={unit: count for unit, count in {**usage, **tool_calls(found)}.items() if count},
        reported=raw is not None,
        source="provider" if raw is not None else "estimated",
        produced=bool(found.output),
        model=found.model,
        service_tier=tier(found.service_tier),
        id=found.id,
        finish_reason=reason or found.status,
        raw_usage=raw,
        oddities=oddities,
        upstream_cost=None if raw is None else upstream_cost(raw),
        error=faults.error_from(value_of(found.error)) if is_given(found.error) else None,
    )


def shown_usage(usage: Mapping[str, int]) -> dict[str, Any]:
    """Write buckets as a usage object, where the provider wrote none."""
    read = sum(count for unit, count in usage.items() if unit in INPUT_TOKENS)
    written = sum(count for unit, count in usage.items() if unit in OUTPUT_TOKENS)
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": usage.get("cache_read", 0)},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": usage.get("reasoning", 0)},
        "total_tokens": read + written,
    }


def _slug(kind: str) -> str:
    name = "".join(
        letter if letter.isalnum() else "_" for letter in kind.lower() if letter.isascii()
    )
    return f"tool_{name}"[:48]
