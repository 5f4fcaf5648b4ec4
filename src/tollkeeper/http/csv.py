"""Any list as CSV: streamed, in constant memory, and harmless when a spreadsheet opens it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

from litestar.response import Stream
from msgspec import Struct

from tollkeeper.base.money import Money
from tollkeeper.http.encoding import encode_json

MEDIA_TYPE: Final = "text/csv"

# A spreadsheet takes a cell that begins so for a formula.
_DANGEROUS: Final = frozenset("=+-@\t\r\n")
_PLAIN_NUMBER: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_CHUNK_BYTES: Final = 64 * 1024

Row = Sequence[object]


def wants_csv(accept: str | None) -> bool:
    """Tell whether an Accept header prefers CSV to JSON. With no preference it is JSON."""
    if not accept:
        return False
    weights = _weights(accept.lower())
    csv_weight = _weight_of("text", "csv", weights)
    return csv_weight > _weight_of("application", "json", weights)


def _weights(accept: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for entry in accept.split(","):
        media_range, *parameters = (part.strip() for part in entry.split(";"))
        weights[media_range] = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                weights[media_range] = _quality(value.strip())
    return weights


def _quality(text: str) -> float:
    try:
        quality = float(text)
    except ValueError:
        return 0.0
    return quality if 0.0 <= quality <= 1.0 else 0.0


def _weight_of(kind: str, subtype: str, weights: dict[str, float]) -> float:
    for media_range in (f"{kind}/{subtype}", f"{kind}/*", "*/*"):
        if media_range in weights:
            return weights[media_range]
    return 0.0


def csv_cell(value: object) -> str:
    """Write a value as a cell, what has parts as JSON. Text that could act as a formula gets a
    leading apostrophe."""
    write = _WRITERS.get(type(value))
    if write is not None:
        return write(value)
    parts = isinstance(value, (list, tuple, dict, Struct))
    return _harmless(encode_json(value).decode() if parts else str(value))


def _harmless(text: str) -> str:
    if text and text[0] in _DANGEROUS and _PLAIN_NUMBER.fullmatch(text) is None:
        return "'" + text
    return text


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


_WRITERS: Final[dict[type, Callable[[Any], str]]] = {
    str: _harmless,
    int: str,
    Money: str,
    datetime: _moment,
    date: str,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: "",
}


def encode_rows(rows: Iterable[Row], columns: Sequence[str] | None = None) -> bytes:
    """Encode some rows, after a heading if there is one."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    if columns is not None:
        writer.writerow(columns)
    writer.writerows([csv_cell(value) for value in row] for row in rows)
    return buffer.getvalue().encode()


async def stream_rows(
    columns: Sequence[str], rows: AsyncIterable[Iterable[Row]]
) -> AsyncIterator[bytes]:
    """Encode the heading at once, and batches of rows as they come, a chunk at a time."""
    yield encode_rows((), columns)
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    async for batch in rows:
        writer.writerows([csv_cell(value) for value in row] for row in batch)
        if buffer.tell() >= _CHUNK_BYTES:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def csv_headers(filename: str) -> dict[str, str]:
    return {"content-disposition": f"attachment; filename={filename}", "vary": "accept"}


def csv_stream(
    columns: Sequence[str],
    rows: AsyncIterable[Iterable[Row]],
    filename: str,
    headers: dict[str, str] | None = None,
) -> Stream:
    """Answer with CSV from batches of rows; `filename` is ours, never a customer's text."""
    return Stream(
        stream_rows(columns, rows),
        media_type=MEDIA_TYPE,
        headers={**csv_headers(filename), **(headers or {})},
    )
