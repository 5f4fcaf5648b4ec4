"""What was earned and what providers charge, from the command line."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from commands import Command

from whole import whole_served


async def use(url: str) -> None:
    """Leave a database with prices, and an organization that has called nobody."""
    async with whole_served(url) as whole:
        await whole.customer()


@pytest.fixture
def used(database_url: str) -> None:
    asyncio.run(use(database_url))


def test_costs_are_imported_and_compared(command: Command, used: None, tmp_path: Path) -> None:
    del used
    margin = command("margin", "--json").json
    assert (margin["data"], margin["total"]["calls"]) == ([], 0)
    assert command("margin", "--by", "day").out.splitlines()[-1].startswith("total")
    file = tmp_path / "costs.csv"
    file.write_text("date,provider,model,cost\n2026-01-01,up,m,1.5\n2026-01-01,up,n,0.001\n")
    for _ in range(2):
        assert "1 days of costs imported" in command("provider-costs", "import", str(file)).err
    window = ("--since", "2026-01-01", "--until", "2026-01-03")
    rows = command("provider-costs", "compare", *window, "--json", status=1).json["data"]
    assert [(row["model"], row["theirs"], row["beyondTolerance"]) for row in rows] == [
        ("m", 1.5, True),
        ("n", 0.001, False),
    ]
    assert "1 beyond" in command("provider-costs", "compare", *window, status=1).err
    assert "No costs" in command("provider-costs", "compare", "--provider", "x").err
    audit = command("export", "audit", "--format", "ndjson").ndjson
    assert audit[0]["what"] == "provider_costs.import"
    refused = command("provider-costs", "import", "--fetch", "--provider", "up", status=3)
    assert "There is no provider up in the settings" in refused.err
    assert "Name files" in command("provider-costs", "import", status=2).err
