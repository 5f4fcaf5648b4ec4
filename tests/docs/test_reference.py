"""What is written down from the code is what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tollkeeper.base.errors import catalogue
from tollkeeper.base.settings_source import setting_types
from tollkeeper.cli.frame import COMMANDS
from tollkeeper.cli.reference import Described, pages, read_described

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
async def described(database_url: str) -> Described:
    return await read_described(database_url)


def test_every_page_is_in_step(described: Described) -> None:
    stale = [
        str(path.relative_to(DOCS))
        for path, text in pages(DOCS, described).items()
        if not path.exists() or path.read_text("utf-8") != text
    ]
    assert stale == [], "write them anew: python -m tollkeeper.cli.reference"


def test_every_setting_has_its_line() -> None:
    page = (DOCS / "reference" / "settings.md").read_text("utf-8")
    missing = [
        name for name, _ in setting_types() if f"| `{name.rpartition('.')[2]}` |" not in page
    ]
    assert missing == []


def test_every_error_has_its_line_and_codes_mean_one_thing() -> None:
    page = (DOCS / "reference" / "errors.md").read_text("utf-8")
    for error in catalogue():
        assert f"| {error.status} | `{error.code}` |" in page
        assert (error.__doc__ or "").strip(), f"{error.__name__} has no title"
    codes = re.findall(r"^\| (\d+) \| `(\w+)` \|", page, re.MULTILINE)
    assert len({code for _, code in codes}) == len(codes)


def test_every_command_has_its_part() -> None:
    page = (DOCS / "reference" / "cli.md").read_text("utf-8")
    for name in COMMANDS:
        assert f"\n## tollkeeper {name}\n" in page


def test_every_endpoint_has_its_line(described: Described) -> None:
    page = (DOCS / "reference" / "openapi.md").read_text("utf-8")
    for path, operations in described.document["paths"].items():
        for method in operations:
            assert f"| `{method.upper()} {path}` |" in page


def test_every_endpoint_says_what_it_takes_and_gives(described: Described) -> None:
    """An operation without a summary, a tag or an answer would be a page with a hole."""
    for path, operations in described.document["paths"].items():
        for method, operation in operations.items():
            place = f"{method.upper()} {path}"
            assert operation["summary"], place
            assert operation["tags"][0], place
            assert any(status.startswith("2") for status in operation["responses"]), place
            assert path.startswith("/api/v1/"), place
