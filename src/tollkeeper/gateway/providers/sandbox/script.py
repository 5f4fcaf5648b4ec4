"""What the simulated model is told to do: instructions in the prompt or in the metadata.

A user's last message may hold `[[sandbox: tokens=500, delay=0.02, no_usage]]`, or the request's
`metadata` a member `sandbox` with the same text. See `Script` for what there is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

_INSTRUCTION: Final = re.compile(r"\[\[\s*sandbox\s*:([^\]]*)\]\]", re.IGNORECASE)
_MAX_TOKENS: Final = 1_000_000
_MAX_SECONDS: Final = 600.0


class Script(Struct, frozen=True, kw_only=True):
    """How the simulated model behaves for one request.

    tokens=N            writes N tokens (16 if it is not told)
    reasoning=N         thinks for N tokens first; they count as output and towards the limit
    cached=N            N tokens of the input come from a cache
    cache_write=N       N tokens are written to a cache; cache_write_1h=N for an hour (messages)
    web_search=N        reports N searches
    refuse              declines to answer
    delay=S             S seconds before each piece of a stream, or once before a whole answer
    slow_first_byte=S   S seconds (2 if it is not told) before the answer begins
    error=STATUS        answers with this error; rate_limit is error=429
    error_mid_stream    reports an error in the middle of its answer
    truncate            ends in the middle of its answer as if that were all
    disconnect_after=N  loses the connection after N pieces; 0 is before the answer begins
    no_usage            reports no usage; zero_usage reports zeros
    tier=NAME           says that it served on this tier
    """

    tokens: int | None = None
    reasoning: int = 0
    cached: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    web_search: int = 0
    refuse: bool = False
    delay: float = 0.0
    slow_first_byte: float = 0.0
    error: int | None = None
    rate_limit: bool = False
    error_mid_stream: bool = False
    truncate: bool = False
    disconnect_after: int | None = None
    no_usage: bool = False
    zero_usage: bool = False
    tier: str | None = None


class BadScript(ValueError):
    """An instruction is not one of those there are."""


_WITHOUT_VALUE: Final = {"slow_first_byte": "2"}


def read_script(text: str, metadata: Mapping[str, Any] | None = None) -> Script:
    """Read all instructions. Raises BadScript, with a sentence for the developer."""
    said = [found[1] for found in _INSTRUCTION.finditer(text)]
    from_metadata = (metadata or {}).get("sandbox")
    if isinstance(from_metadata, str):
        said.append(from_metadata)
    if not said:
        return _PLAIN
    wanted: dict[str, str] = {}
    for instruction in ",".join(said).split(","):
        name, _, value = instruction.strip().partition("=")
        if name:
            key = name.strip().lower()
            wanted[key] = value.strip() or _WITHOUT_VALUE.get(key, "true")
    unknown = sorted(wanted.keys() - set(Script.__struct_fields__))
    if unknown:
        raise BadScript(f"The sandbox knows no instruction {', '.join(unknown)}")
    try:
        script = msgspec.convert(wanted, Script, strict=False)
    except msgspec.ValidationError as why:
        raise BadScript(f"A sandbox instruction has a wrong value: {why}") from why
    return _sane(script)


_PLAIN: Final = Script()


def _sane(script: Script) -> Script:
    counts = (script.tokens or 0, script.reasoning, script.cached, script.web_search)
    if not all(0 <= count <= _MAX_TOKENS for count in counts):
        raise BadScript(f"The sandbox counts from 0 to {_MAX_TOKENS}")
    if not (0 <= script.delay <= _MAX_SECONDS and 0 <= script.slow_first_byte <= _MAX_SECONDS):
        raise BadScript(f"The sandbox waits from 0 to {_MAX_SECONDS} seconds")
    if script.error is not None and not 400 <= script.error <= 599:  # noqa: PLR2004 (HTTP)
        raise BadScript("error= takes a status from 400 to 599")
    return msgspec.structs.replace(script, error=429) if script.rate_limit else script
