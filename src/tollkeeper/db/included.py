"""SQL that a migration takes from a library it depends on, in place of a copy.

A line `-- include: procrastinate to 03.04.00_50` stands for that library's migrations up to the
one that is named. Published ones never change, so the line means the same with every version.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Final

_LINE: Final = re.compile(r"^-- include: procrastinate to (?P<last>[\d._]+)$", re.MULTILINE)
# `03.01.00_50_post_add_heartbeat.sql` is number 03.01.00_50.
_NUMBERED: Final = re.compile(r"(?P<number>\d\d\.\d\d\.\d\d_\d\d)_\w+\.sql")


def with_included(text: str) -> str:
    """Return the statements of a migration with what it includes."""
    return _LINE.sub(lambda line: procrastinate_sql(line["last"]), text)


def procrastinate_sql(last: str) -> str:
    """Return the library's migrations up to `last`, in order. Raises LookupError without it."""
    known = procrastinate_migrations()
    if last not in known:
        raise LookupError(f"Procrastinate has no migration {last}")
    return "\n".join(text for number, text in sorted(known.items()) if number <= last)


def procrastinate_migrations() -> dict[str, str]:
    """Return the migrations of the installed version by number."""
    folder = files("procrastinate") / "sql" / "migrations"
    found = ((_NUMBERED.fullmatch(file.name), file) for file in folder.iterdir())
    return {name["number"]: file.read_text("utf-8") for name, file in found if name is not None}
