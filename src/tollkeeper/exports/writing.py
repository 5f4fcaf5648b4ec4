"""Rows as bytes, in either form."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Final, Literal, get_args

from tollkeeper.http import encode_json, encode_rows

Format = Literal["csv", "ndjson"]

FORMATS: Final[tuple[Format, ...]] = get_args(Format)
MEDIA_TYPES: Final[dict[Format, str]] = {"csv": "text/csv", "ndjson": "application/x-ndjson"}


async def write_rows(
    columns: Sequence[str], pages: AsyncGenerator[Sequence[Sequence[object]]], form: Format
) -> AsyncIterator[bytes]:
    """Encode pages as they come. Cells past the last column are left out."""
    width = len(columns)
    if form == "csv":
        yield encode_rows([], columns)
    async with aclosing(pages):
        async for page in pages:
            rows = [row[:width] for row in page]
            if form == "csv":
                yield encode_rows(rows)
            else:
                yield b"".join(
                    encode_json(dict(zip(columns, row, strict=True))) + b"\n" for row in rows
                )
