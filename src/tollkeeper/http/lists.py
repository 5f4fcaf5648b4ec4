"""One page of a list as the client asked for it: JSON, or the same rows as CSV."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from litestar.connection import Request
from litestar.response import Response
from msgspec import Struct

from tollkeeper.http.csv import MEDIA_TYPE, csv_headers, encode_rows, wants_csv
from tollkeeper.http.paging import Page

S = TypeVar("S", bound=Struct)


def list_answer(
    request: Request[Any, Any, Any], page: Page[S], kind: type[S], filename: str
) -> Response[Page[S]]:
    """Answer with the page. As CSV, the columns are the fields of `kind`, by their JSON names,
    and the next cursor is the header `x-next-cursor`, absent on the last page.
    """
    if not wants_csv(request.headers.get("accept")):
        return Response(page, headers={"vary": "accept"})
    fields = msgspec.structs.fields(kind)
    rows = [[getattr(row, field.name) for field in fields] for row in page.data]
    body: Any = encode_rows(rows, [field.encode_name for field in fields])
    headers = csv_headers(filename)
    if page.next_cursor is not None:
        headers["x-next-cursor"] = page.next_cursor
    return Response(body, media_type=MEDIA_TYPE, headers=headers)
