"""What the simulated model reads and writes, in tokens anybody can count.

One token is 4 bytes of UTF-8, begun ones counting whole: `tokens_in("hello") == 2`. Each text of
a request is counted by itself. An image is 85 tokens, a tool its JSON as it was sent.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from tollkeeper.gateway.providers.sandbox.script import Script
from tollkeeper.gateway.providers.sandbox.shapes import items, members

BYTES_PER_TOKEN: Final = 4
IMAGE_TOKENS: Final = 85
USUAL_TOKENS: Final = 16
USUAL_LIMIT: Final = 4_096
REFUSAL: Final = "I cannot help with that. "

# The first sentence is as long as the usual answer, which so ends where a sentence does.
_SENTENCES: Final = (
    "Hello from the sandbox! I am simulated, and say the same to all. "
    "My words mean little, but their number is exact, and so is what they cost. "
)
_DEEPEST_SCHEMA: Final = 8


class Heard(Struct, frozen=True, kw_only=True):
    """A request as the simulated model understands it, whatever its dialect."""

    model: str
    prompt_tokens: int
    text: str
    script: Script
    stream: bool = False
    include_usage: bool = True
    limit: int | None = None
    choices: int = 1
    tool: tuple[str, Any] | None = None  # the tool to call, and its parameters' schema
    json_schema: Any = None  # the schema to answer with; {} for any object
    tier: str | None = None


class Said(Struct, frozen=True, kw_only=True):
    """An answer: its text in pieces of one token, and why it ended."""

    pieces: tuple[str, ...]
    reasoning: int
    finish: str  # stop | length | tool | refusal
    tool: str | None = None

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def tokens(self) -> int:
        return len(self.pieces) + self.reasoning


def tokens_in(text: str) -> int:
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def compose(heard: Heard) -> Said:
    """Answer: a tool call if there are tools, JSON if it is wanted, or else so many tokens."""
    script = heard.script
    limit = USUAL_LIMIT if heard.limit is None else heard.limit
    reasoning = min(script.reasoning, limit)
    room = limit - reasoning
    if script.refuse:
        whole, finish = REFUSAL, "refusal"
    elif heard.tool is not None:
        whole, finish = msgspec.json.encode(example_of(heard.tool[1])).decode(), "tool"
    elif heard.json_schema is not None:
        whole, finish = msgspec.json.encode(example_of(heard.json_schema)).decode(), "stop"
    else:
        wanted = USUAL_TOKENS if script.tokens is None else script.tokens
        whole, finish = filler(min(wanted, room + 1)), "stop"
    pieces = _in_pieces(whole)
    if len(pieces) > room:
        pieces, finish = pieces[:room], "length"
    called = heard.tool[0] if heard.tool is not None and not script.refuse else None
    return Said(pieces=pieces, reasoning=reasoning, finish=finish, tool=called)


def filler(tokens: int) -> str:
    """Write text of exactly so many tokens."""
    size = tokens * BYTES_PER_TOKEN
    return (_SENTENCES * (size // len(_SENTENCES) + 1))[:size]


def example_of(schema: Any, depth: int = 0) -> Any:
    """Make the plainest value that fits a JSON schema."""
    fields = members(schema)
    if depth > _DEEPEST_SCHEMA:
        return None
    chosen = [fields[name] for name in ("const", "default") if name in fields]
    if chosen or items(fields.get("enum")):
        return [*chosen, *items(fields.get("enum"))][0]
    either = items(fields.get("anyOf")) or items(fields.get("oneOf"))
    if either:
        return example_of(either[0], depth + 1)
    kind: Any = fields.get("type", "object")
    kind = next(iter(items(kind)), kind)
    if kind == "array":
        return [example_of(fields.get("items"), depth + 1)]
    if kind == "object":
        inner = members(fields.get("properties"))
        wanted = [name for name in items(fields.get("required")) if name in inner] or list(inner)
        return {name: example_of(inner[name], depth + 1) for name in wanted}
    return _PLAIN.get(str(kind))


_PLAIN: Final = {"string": "text", "integer": 1, "number": 1, "boolean": True}


def _in_pieces(text: str) -> tuple[str, ...]:
    """Cut text into tokens. Only ASCII is cut exactly; other text may take a piece more."""
    return tuple(text[at : at + BYTES_PER_TOKEN] for at in range(0, len(text), BYTES_PER_TOKEN))
