"""All usage of an organization, a row per SKU of each call, for whoever keeps books elsewhere."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from tollkeeper.base.ids import show_id
from tollkeeper.db import Database
from tollkeeper.metering.billing import store, windows
from tollkeeper.metering.billing.lines import COLUMNS, cells_of, rows_of
from tollkeeper.metering.billing.windows import Lines

# Encoded at once, in a process that answers calls meanwhile.
_PAGE: Final = 1_000

# A line is named by `usageId` and `line`, its number among the lines of its call.
USAGE_COLUMNS: Final = (
    "livemode",
    "usageId",
    "line",
    "projectId",
    "keyId",
    "provider",
    "model",
    "operation",
    *COLUMNS,
)


async def usage_pages(
    database: Database,
    org_id: UUID,
    *,
    livemode: bool | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> AsyncGenerator[list[Sequence[object]]]:
    """Give rows in `USAGE_COLUMNS`, live then test, each oldest first, recorded in [start, end).

    What is recorded after the call began is left for the next one. No connection is kept between
    pages: whoever reads them may take their time.
    """
    for live in (True, False) if livemode is None else (livemode,):
        async with database.connection() as connection:
            heads = await store.heads(connection, org_id, live, None)
            left = await windows.open_windows(connection, org_id, heads, start, end)
        while True:
            async with database.connection() as connection:
                found = await windows.read(connection, org_id, left, _PAGE)
            if not found:
                break
            yield list(_rows(live, found))
            left = windows.after(left, found)


def _rows(livemode: bool, found: Iterable[Lines]) -> Iterator[Sequence[object]]:
    for lines in found:
        row = lines.row
        named = (
            None if row.project_id is None else show_id("prj", row.project_id),
            None if row.key_id is None else show_id("key", row.key_id),
            row.provider,
            row.model,
            row.operation,
        )
        usage_id = show_id("use", row.usage_id)
        for place, shown in zip(lines.places, rows_of([lines]), strict=True):
            yield (livemode, usage_id, place + 1, *named, *cells_of(shown))
