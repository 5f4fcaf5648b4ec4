"""Structured lines on standard error, each with the id of the request it belongs to."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from contextvars import ContextVar
from typing import Any, Final, cast

import structlog

from tollkeeper.base.settings import Log

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

# Keys of ours, of model and payment providers, and passwords within addresses.
_SECRETS: Final = re.compile(
    r"\b(?:tk_(?:live|test|op)_|(?:sk|rk|whsec)[-_])[A-Za-z0-9_-]{6,}|(?<=:)[^:@/\s]+(?=@)"
)
_SECRET_NAMES: Final = re.compile(
    r"authorization|api[-_]?key|secret|password|token$", re.IGNORECASE
)
# These write a line per request or per connection, which our own lines already say.
_QUIET: Final = ("aiohttp.access", "asyncio", "psycopg.pool", "uvicorn.access")


def set_up_logging(settings: Log) -> None:
    """Route structlog and the standard library's logging to standard error in one form."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        _add_request_id,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(settings),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _rendering(settings: Log) -> list[structlog.types.Processor]:
    if settings.format == "json":
        return [
            structlog.processors.format_exc_info,
            hide_secrets,
            structlog.processors.JSONRenderer(),
        ]
    colours = sys.stderr.isatty()
    return [
        structlog.processors.format_exc_info,
        hide_secrets,
        structlog.dev.ConsoleRenderer(colors=colours),
    ]


def _add_request_id(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    current = request_id.get()
    if current is not None:
        event.setdefault("request_id", current)
    return event


def hide_secrets(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Blank what looks like a secret by its name or by its form, wherever in the line it is."""
    event.update(_blank_all(event))
    return event


def _blank_all(named: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: "(secret)" if _SECRET_NAMES.search(name) else _blank(value)
        for name, value in named.items()
    }


def _blank(value: object) -> object:
    if isinstance(value, str):
        return _SECRETS.sub("(secret)", value)
    if isinstance(value, Mapping):
        named = cast("Mapping[object, Any]", value)
        return _blank_all({str(name): held for name, held in named.items()})
    if isinstance(value, list | tuple):
        return [_blank(held) for held in cast("Sequence[object]", value)]
    return value
