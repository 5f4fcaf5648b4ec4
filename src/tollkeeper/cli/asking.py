"""Options of a command as the body that the API would have taken, so that both refuse the same."""

from __future__ import annotations

from typing import Any, TypeVar

import click
from msgspec import Struct

T = TypeVar("T", bound=Struct)


def ask(kind: type[T], **said: Any) -> T:
    """Read what was said as `kind`, leaving out what is None. Raises UsageError."""
    from tollkeeper.base.errors import InvalidRequest
    from tollkeeper.http.encoding import JsonReader, encode_json

    names = kind.__struct_encode_fields__
    fields = dict(zip(kind.__struct_fields__, names, strict=True))
    body = {fields[name]: value for name, value in said.items() if value is not None}
    try:
        return JsonReader(kind)(encode_json(body))
    except InvalidRequest as fault:
        raise click.UsageError(fault.detail) from None
