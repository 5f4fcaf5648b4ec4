"""Every SQL constant in the code is prepared against the migrated schema.

PostgreSQL checks the names, the types and the grammar of a statement when it prepares it, so a
column that was renamed under a rarely used query is found here and not by a customer.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator

import psycopg
import pytest

import tollkeeper

STATEMENT = re.compile(r"\s*(--[^\n]*\n\s*)*(SELECT|INSERT|UPDATE|DELETE|WITH|MERGE|VALUES)\b")
PLACEHOLDER = re.compile(r"%(?:\((?P<name>\w+)\)[sbt]|(?P<plain>[sbt])|(?P<percent>%))")


def constants() -> Iterator[tuple[str, str]]:
    """Every module-level constant of ours that is a statement, with its place."""
    for module_info in pkgutil.walk_packages(tollkeeper.__path__, "tollkeeper."):
        if module_info.name.endswith("__main__"):
            continue
        module = importlib.import_module(module_info.name)
        for name, value in vars(module).items():
            if name.isupper() and isinstance(value, str) and STATEMENT.match(value):
                yield f"{module_info.name}:{name}", value


def numbered(query: str) -> str:
    """Turn psycopg's placeholders into PostgreSQL's own: %(org_id)s becomes $1 wherever it is."""
    numbers: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        if found["percent"]:
            return "%"
        name = found["name"] or f"plain {len(numbers)}"
        return f"${numbers.setdefault(name, len(numbers) + 1)}"

    return PLACEHOLDER.sub(number, query)


def test_placeholders_are_numbered_as_psycopg_does() -> None:
    assert numbered("SELECT %(b)s, %(a)s, %(b)s, '%%'") == "SELECT $1, $2, $1, '%'"
    assert numbered("SELECT %s, %b, %t") == "SELECT $1, $2, $3"


def test_constants_are_found() -> None:
    assert "tollkeeper.db.migrate:_READ_APPLIED" in dict(constants())


@pytest.mark.parametrize("place", dict(constants()))
def test_every_statement_fits_the_schema(shared_database_url: str, place: str) -> None:
    query = numbered(dict(constants())[place])
    with psycopg.connect(shared_database_url, autocommit=True) as connection:
        connection.execute(f"PREPARE checked AS {query}".encode())
