"""The pages of docs that are written from the code.

`python -m tollkeeper.cli.reference` writes all of them anew; tests/docs keeps them in step.
"""

from __future__ import annotations

import asyncio
import pkgutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any, Final, cast

import click
import msgspec
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

import tollkeeper as house
from tollkeeper import orgs
from tollkeeper.app import open_app
from tollkeeper.base.errors import TollkeeperError, catalogue
from tollkeeper.base.settings import Settings
from tollkeeper.base.settings_page import reference_page as settings_page
from tollkeeper.cli.frame import COMMANDS, PROGRAM, tollkeeper
from tollkeeper.db import EmbeddedServer, migrate
from tollkeeper.gateway import GatewayMetrics
from tollkeeper.http import Api
from tollkeeper.ops import Metrics

_DOCS: Final = Path("docs")
_WIDTH: Final = 88
_METHODS: Final = ("get", "post", "put", "patch", "delete")


def cli_page() -> str:
    """Every command as its own --help has it."""
    parts = [_CLI]
    parts += ["| Command | |\n|---|---|"]
    parts += [f"| [`{name}`](#{PROGRAM}-{name}) | {line} |" for name, (_, line) in COMMANDS.items()]
    as_run = {**tollkeeper.context_settings, **_AS_WIDE}
    with click.Context(tollkeeper, info_name=PROGRAM, **as_run) as frame:
        parts += _described(tollkeeper, frame, 2)
        for name in COMMANDS:
            command = tollkeeper.get_command(frame, name)
            assert command is not None  # noqa: S101 (it is in the list)
            parts += _commands(command, name, frame, 2)
    return "\n".join(parts) + "\n"


_AS_WIDE: Final[dict[str, Any]] = {"terminal_width": _WIDTH, "max_content_width": _WIDTH}


def _commands(
    command: click.Command, name: str, parent: click.Context, depth: int
) -> Iterator[str]:
    with click.Context(command, info_name=name, parent=parent, **_AS_WIDE) as context:
        yield from _described(command, context, depth)
        if isinstance(command, click.Group):
            for inner_name in command.list_commands(context):
                inner = command.get_command(context, inner_name)
                assert inner is not None  # noqa: S101 (it is in the list)
                yield from _commands(inner, inner_name, context, depth + 1)


def _described(command: click.Command, context: click.Context, depth: int) -> Iterator[str]:
    yield f"\n{'#' * depth} {context.command_path}\n\n```text\n{command.get_help(context)}\n```"


def _import_all() -> None:
    """Know every error there is, also those of rooms that only some commands open."""
    for module in pkgutil.walk_packages(house.__path__, "tollkeeper."):
        if not module.name.endswith("__main__"):
            import_module(module.name)


def errors_page() -> str:
    """Every stable code, what it means, and whether trying again helps."""
    _import_all()
    known = sorted(catalogue(), key=lambda error: (error.status, error.code))
    rows = [_error_row([*alike]) for _, alike in groupby(known, lambda e: (e.status, e.code))]
    return "\n".join([_ERRORS, *rows]) + "\n"


def _error_row(alike: list[type[TollkeeperError]]) -> str:
    first = alike[0]
    titles = list(dict.fromkeys((error.__doc__ or "").strip() for error in alike))
    again = "yes" if first.retryable else "no"
    return f"| {first.status} | `{first.code}` | {'; '.join(titles)} | {again} |"


def metrics_page() -> str:
    """Every metric of every room."""
    metrics = Metrics("")
    GatewayMetrics(metrics.registry)
    rows = [
        f"| `{name}` | {kind} | {', '.join(f'`{label}`' for label in labels)} | {meaning} |"
        for name, kind, labels, meaning in metrics.registry.described()
    ]
    return "\n".join([_METRICS, *rows]) + "\n"


@dataclass(frozen=True, slots=True)
class Described:
    """The OpenAPI document, and which key each method and path takes."""

    document: Mapping[str, Any]
    keys: Mapping[tuple[str, str], str]


def openapi_page(described: Described) -> str:
    """Every endpoint in a line, by what it is about."""
    found = [
        (operation["tags"][0], path, method, operation["summary"])
        for path, operations in described.document["paths"].items()
        for method, operation in operations.items()
        if method in _METHODS
    ]
    found.sort(key=lambda row: (row[0], row[1], _METHODS.index(row[2])))
    parts = [_OPENAPI]
    for tag, endpoints in groupby(found, lambda row: row[0]):
        parts.append(f"\n## {tag}\n\n| Endpoint | | Key |\n|---|---|---|")
        for _, path, method, summary in endpoints:
            key = described.keys.get((method, path), "any")
            parts.append(f"| `{method.upper()} {path}` | {summary} | {key} |")
    return "\n".join(parts) + "\n"


def describe(api: Api) -> Described:
    """Read from a running application what the page says."""
    keys: dict[tuple[str, str], str] = {}
    for route in api.litestar.routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                keys[method.lower(), route.path_format] = _key(handler)
    return Described(msgspec.json.decode(api.document), keys)


def _key(handler: HTTPRouteHandler) -> str:
    guards = cast("list[object]", handler.resolve_guards())  # pyright: ignore[reportUnknownMemberType] (Litestar's own alias is not whole)
    if orgs.operator_only in guards:
        return "operator"
    if orgs.admin_only in guards:
        return "ADMIN"
    return "any" if orgs.any_key in guards else "none"


async def read_described(url: str) -> Described:
    """Describe this version; `url` is a migrated database."""
    async with open_app(Settings(), url, with_jobs=False) as app:
        return describe(app.api)


def decisions_page(directory: Path) -> str:
    """The decisions by their headings."""
    files = sorted(path for path in directory.glob("*.md") if path.name != "README.md")
    titles = [path.read_text("utf-8").splitlines()[0].removeprefix("# ") for path in files]
    rows = [f"- [{title}]({path.name})" for title, path in zip(titles, files, strict=True)]
    return "\n".join([_DECISIONS, *rows]) + "\n"


def pages(docs: Path, described: Described) -> dict[Path, str]:
    """Each page by its place."""
    reference = docs / "reference"
    return {
        reference / "cli.md": cli_page(),
        reference / "errors.md": errors_page(),
        reference / "metrics.md": metrics_page(),
        reference / "openapi.md": openapi_page(described),
        reference / "settings.md": settings_page() + "\n",
        docs / "decisions" / "README.md": decisions_page(docs / "decisions"),
    }


async def _read_afresh(url: str) -> Described:
    await migrate(url)
    return await read_described(url)


def main() -> None:
    """Write the pages, from a database that is made for it and thrown away."""
    # Not below a directory that is closed to the user whom root runs the server as.
    with tempfile.TemporaryDirectory(prefix="tollkeeper-reference-") as directory:
        Path(directory).chmod(0o711)
        with EmbeddedServer(Path(directory) / "data", durable=False) as server:
            described = asyncio.run(_read_afresh(server.url))
    for path, text in pages(_DOCS, described).items():
        path.write_text(text, "utf-8")
        click.echo(f"Wrote {path}")


_CLI: Final = """\
# Commands

<!-- Written by `python -m tollkeeper.cli.reference`; a test keeps it in step. -->

Data goes to standard output, as text or with `--json` as one JSON value; everything else goes to
standard error. Commands talk to the database, not to a running server, so they work whether one
runs or not. Where an organization is meant, `--org` names it by id or name and may be left out
while there is only one. Times are written `2026-01-31`, `2026-01-31T08:00Z`, or from now on, such
as `12h`, `30d` or `4w`.

| Exit status | means |
|---|---|
| 0 | done |
| 1 | `verify` or `doctor` found something |
| 2 | the command line or the settings are wrong |
| 3 | refused, or there is no such thing |
| 4 | the database or the address cannot be had |
| 5 | a fault of Tollkeeper |
| 130 | stopped by Ctrl-C |
"""

_ERRORS: Final = """\
# Errors

<!-- Written by `python -m tollkeeper.cli.reference`; a test keeps it in step. -->

The code is stable; the sentences beside it may change. Management endpoints answer
`application/problem+json` (RFC 9457), with every fault of a request at once:

```json
{
  "type": "urn:tollkeeper:error:invalid_request",
  "title": "The request is not valid",
  "status": 400,
  "detail": "amount: must be above 0",
  "code": "invalid_request",
  "error": "The request is not valid",
  "details": {"_errors": [], "amount": {"_errors": ["must be above 0"]}}
}
```

The gateway answers in the shape of the API it speaks: OpenAI's `{"error": {"message", "type",
"param", "code", "metadata"}}`, Anthropic's `{"type": "error", "error": {"type", "message"}}`. A
provider's own error is passed on with its status, and costs nothing.

What is worth trying again unchanged has `x-should-retry: true` and `retry-after`; a 402 has
`x-should-retry: false`, and says what is `required`, what is `available`, and which limit it was.

| Status | Code | Means | Try again? |
|---|---|---|---|"""

_METRICS: Final = """\
# Metrics

<!-- Written by `python -m tollkeeper.cli.reference`; a test keeps it in step. -->

`GET /metrics` answers in Prometheus' text format, added up over all workers of a server. It
answers this machine freely, and everybody else who sends the token of `server.metrics_token`:

```yaml
scrape_configs:
  - job_name: tollkeeper
    authorization: {credentials: <the token>}
    static_configs: [{targets: ["tollkeeper.example.com:8080"]}]
```

No label names a customer, and no metric counts money: for amounts there are the books
(`tollkeeper verify`, `tollkeeper export`). A server with one worker also has the metrics of its
process (`process_*`, `python_*`).

Worth an alarm:

- `/readyz` does not answer 200: it says which check failed (database, prices, jobs).
- `tollkeeper_http_requests_total{status=~"5.."}` grows: the log has the request ids.
- `tollkeeper_job_last_success_timestamp_seconds` is ten minutes old: holds or credit that should
  have ended have not.
- `tollkeeper_settlements_waiting` stays above 5,000: the database does not keep up, or is away.
- `tollkeeper_reconciliation_differences` is above 0, or `…_last_timestamp_seconds` two days old:
  the payment processor's books and ours differ, or nobody has looked. `tollkeeper reconcile` says
  where.
- `tollkeeper_gateway_unpriced_calls_total` grows: something is used that has no price. Publish one,
  and charge what was used meanwhile with `tollkeeper price rerate`.

| Metric | Type | Labels | Meaning |
|---|---|---|---|"""

_OPENAPI: Final = """\
# Endpoints

<!-- Written by `python -m tollkeeper.cli.reference`; a test keeps it in step. -->

A running server describes them all at `/api/v1/openapi.json` (OpenAPI 3.1): every parameter, body,
answer and error. Below is the list. *Key* is which key it takes: any API key, an ADMIN key, or an
operator key; endpoints of metering take operator keys too.

Beside them there are `GET /healthz` (the process lives), `GET /readyz` (it can do its work; else
503 and why), and `GET /metrics` ([metrics](metrics.md)), which take no API key."""

_DECISIONS: Final = """\
# Decisions

<!-- Written by `python -m tollkeeper.cli.reference`; a test keeps it in step. -->

A page for each choice that somebody may question later: what it was about, what was chosen and
what follows from it. Numbers are given in ranges to rooms, so some are free. A decision that is
taken back keeps its page, which says by what.
"""


if __name__ == "__main__":
    main()
