"""What commands print: data on standard output, everything else on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import click

from tollkeeper.base.money import Money, parse_nanos

Row = Mapping[str, object]
F = TypeVar("F", bound=Callable[..., Any])

_PROGRESS_SECONDS: Final = 0.2
_LINE_SECONDS: Final = 10.0


def json_option(command: F) -> F:
    """Give a command `--json`, as its argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def org_option(command: F) -> F:
    """Give a command `--org`, which may be left out while there is only one."""
    text = "The organization, by id or name; without it, the only one."
    return click.option("--org", help=text)(command)


def say(text: str) -> None:
    click.echo(text, err=True)


def print_json(value: object) -> None:
    from tollkeeper.http.encoding import encode_json

    click.echo(encode_json(value).decode())


def print_record(record: Row, *, as_json: bool) -> None:
    """One thing: a line per member."""
    if as_json:
        print_json(record)
        return
    width = max(map(len, record), default=0)
    for name, value in record.items():
        click.echo(f"{name:<{width}}  {shown(value)}".rstrip())


def print_rows(rows: Sequence[Row], columns: Sequence[str], *, as_json: bool) -> None:
    """Several things: a line each under headings, numbers to the right."""
    if as_json:
        print_json(list(rows))
        return
    cells = [[shown(row.get(column)) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    right = [bool(rows) and all(_is_number(row.get(column)) for row in rows) for column in columns]
    for line in [list(columns), *cells]:
        aligned = [
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(line, widths, right, strict=True)
        ]
        click.echo("  ".join(aligned).rstrip())


def shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    return str(value)


def _is_number(value: object) -> bool:
    return isinstance(value, Money | int) and not isinstance(value, bool)


class Amount(click.ParamType[int]):
    """An amount such as 12.50, read exactly into nanos."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return parse_nanos(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Progress:
    """How far long work has come: a line that is rewritten, or one now and then in a log."""

    def __init__(self, noun: str) -> None:
        self._noun = noun
        self._live = sys.stderr.isatty()
        self._pause = _PROGRESS_SECONDS if self._live else _LINE_SECONDS
        self._next = time.monotonic() + self._pause
        self._written = False

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + self._pause
        self._written = True
        ending = "" if self._live else "\n"
        start = "\r" if self._live else ""
        sys.stderr.write(f"{start}{done:,} {self._noun} …{ending}")
        sys.stderr.flush()

    def end(self) -> None:
        if self._live and self._written:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
