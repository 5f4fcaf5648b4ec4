"""All usage of an organization, a row per SKU of each call, for whoever keeps books elsewhere."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from tollkeeper.db import Connection
from tollkeeper.metering.billing import store, windows
from tollkeeper.metering.billing.lines import COLUMNS, cells_of, rows_of

_PAGE: Final = 5_000

USAGE_COLUMNS: Final = ("livemode", *COLUMNS)


async def usage_pages(
    connection: Connection,
    org_id: UUID,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
) -> AsyncGenerator[list[Sequence[object]]]:
    """Give rows in `USAGE_COLUMNS`, live then test, each oldest first, recorded in [start, end).

    What is recorded after the call began is left for the next one.
    """
    for livemode in (True, False):
        heads = await store.heads(connection, org_id, livemode, None)
        left = await windows.open_windows(connection, org_id, heads, start, end)
        while found := await windows.read(connection, org_id, left, _PAGE):
            yield [(livemode, *cells_of(row)) for row in rows_of(found)]
            left = windows.after(left, found)
