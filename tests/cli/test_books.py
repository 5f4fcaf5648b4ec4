"""Prices, usage and books from the command line: published, exported, proved, kept."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import stat
from pathlib import Path
from typing import Any

import psycopg
import pytest
from commands import Command

from tollkeeper import pricing
from tollkeeper.base.ids import uuid7
from tollkeeper.metering import Call, new_charge
from whole import whole_served

PRICES = """
provider: own
source: our list
models:
  page:
    prices:
      - from: always
        rates: {request: 0.25}
"""


async def use(url: str, calls: int) -> None:
    """Let a customer make some calls."""
    async with whole_served(url) as whole:
        customer = await whole.customer()
        key = customer.keys["test INFERENCE"]
        body = {"model": "sandbox-small", "messages": [{"role": "user", "content": "=Hi()"}]}
        for _ in range(calls):
            assert (await whole.ask("POST", "/chat/completions", key, body)).status == 200


@pytest.fixture
def used(database_url: str) -> str:
    asyncio.run(use(database_url, 3))
    return database_url


def test_prices_from_a_file(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(PRICES)
    assert command("price", "diff", str(file)).out.splitlines()[1:] == [
        "+ own/page",
        "    request 0.25",
    ]
    assert (
        command("price", "publish", str(file), "--why", "opening").out
        == "own/page from 1970-01-01\n"
    )
    assert "0 versions published" in command("price", "publish", str(file)).err
    assert command("price", "list").shape == (
        "provider  model  since  input  cache_read  output  others\n"
        "own  page  always  -  -  -  request 0.25"
    )
    assert "request: 0.25" in command("price", "show", "own", "page").out
    assert "has no own/nothing" in command("price", "show", "own", "nothing", status=3).err
    file.write_text(PRICES.replace("always", "2026-01-01").replace("0.25", "0.5"))
    late = command("price", "publish", str(file), status=3)
    assert "would change a price that was already in force" in late.err
    command("price", "publish", str(file), "--backdate")
    assert command("price", "list", "--at", "2025-06-01", "--json").json[0]["rates"] == {
        "request": {"price": 0.25, "per": 1}
    }
    noted = command("export", "audit", "--format", "ndjson").ndjson
    assert [row["why"] for row in noted] == ["", "opening"]


def test_every_fault_of_a_price_file_is_told(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(PRICES.replace("0.25", "-1").replace("source: our list", ""))
    done = command("price", "publish", str(file), status=3)
    assert "own.yaml: source must be a text" in done.err
    assert "own.yaml: models.page.prices[0].rates.request" in done.err
    file.write_bytes(b"provider: \xff")
    assert "is not text in UTF-8" in command("price", "publish", str(file), status=2).err


def test_prices_from_the_library(command: Command, tmp_path: Path) -> None:
    shown = command("price", "import", "--provider", "xai").out
    assert shown.splitlines()[0].endswith("0 unchanged")
    written = tmp_path / "out"
    command("price", "import", "--provider", "xai", "--write", str(written))
    assert [path.name for path in written.iterdir()] == ["xai.yaml"]
    added = command("price", "import", "--provider", "xai", "--publish", "--json").json
    assert len(added) > 3
    assert "0 new" in command("price", "diff", str(written)).out
    assert command("price", "import", "--provider", "nobody", status=3).err


def test_usage_and_entries_leave_as_csv_and_ndjson(
    command: Command, used: str, tmp_path: Path
) -> None:
    del used
    rows = list(csv.DictReader(io.StringIO(command("export", "usage").out)))
    assert len(rows) == 6
    assert {row["sku"] for row in rows} == {
        "sandbox-small-llm-input-mtoken",
        "sandbox-small-llm-output-mtoken",
    }
    assert {row["livemode"] for row in rows} == {"false"}
    file = tmp_path / "usage.ndjson"
    done = command("export", "usage", "--format", "ndjson", "--output", str(file))
    assert (done.out, done.err) == ("", f"6 rows in {file}\n")
    same = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["sku"] for row in same] == [row["sku"] for row in rows]
    entries = command("export", "entries", "--format", "ndjson").ndjson
    assert [entry["kind"] for entry in entries] == ["grant", *["consumption"] * 3]
    assert entries[0]["balanceAfter"] == 10
    later = command("export", "usage", "--start", "1h", "--format", "ndjson")
    assert later.ndjson == []


def test_a_place_that_cannot_be_written_to(command: Command) -> None:
    done = command("export", "entries", "--output", "/nowhere/x.csv", status=4)
    assert done.err == "tollkeeper: /nowhere/x.csv.partial: No such file or directory\n"


def test_clean_books_are_proved(command: Command, used: str) -> None:
    del used
    assert command("verify").err == "The books are clean\n"
    assert command("verify", "--json").json == {"clean": True, "findings": 0, "data": []}


@pytest.mark.parametrize(
    ("change", "rule", "table"),
    [
        ("UPDATE entry SET amount = amount - 1 WHERE seq = 3", "L2", "entry"),
        ("UPDATE usage_record SET amount = amount + 1 WHERE seq = 2", "L6", "usage_record"),
        ("DELETE FROM entry WHERE seq = 2", "L2", "entry"),
        (
            "UPDATE price_version SET rates = '{}', ended = true WHERE model = 'sandbox-small'",
            "L6",
            "price_version",
        ),
    ],
)
def test_a_row_broken_by_hand_is_named(
    command: Command, used: str, change: str, rule: str, table: str
) -> None:
    with psycopg.connect(used, autocommit=True) as connection:
        connection.execute(change.encode())
    done = command("verify", status=1)
    assert done.out.startswith(f"{rule}: ") or f"\n{rule}: " in done.out
    found = command("verify", "--json", status=1).json
    assert found["clean"] is False
    assert (rule, table) in [(row["rule"], row["table"]) for row in found["data"]]


async def use_without_a_price(url: str) -> None:
    """Let a provider report pictures, of a model whose pictures have no price."""
    async with whole_served(url) as whole:
        customer = await whole.customer()
        rooms = whole.app.rooms
        now = rooms.clock.now()
        (purse,) = await rooms.meter.purses.of(customer.org_id, livemode=False)
        version = rooms.books.book.find("sandbox", "sandbox-small", now)
        call = Call(
            org_id=customer.org_id,
            wallet_id=purse.wallet_id,
            usage_id=uuid7(),
            started_at=now,
            provider="sandbox",
            model="sandbox-small",
        )
        rating = pricing.rate(version, {"input": 1_000_000, "image": 3})
        await rooms.meter.settle(new_charge(call, rating))
        for job in whole.app.jobs.all:
            if job.name == "add_up_usage":
                await job.run()


def test_unpriced_usage_is_charged_when_it_has_a_price(
    command: Command, database_url: str, tmp_path: Path
) -> None:
    asyncio.run(use_without_a_price(database_url))
    assert command("org", "show", "--json").json["balances"][1]["posted"] == 9.85
    assert command("price", "rerate", "--json").json == {"charged": 0, "stillUnpriced": 1}
    file = tmp_path / "sandbox.yaml"
    file.write_text(
        "provider: sandbox\nsource: now we know\nmodels: {sandbox-small: {prices: [{from:"
        " 2026-01-01, rates: {input: 0.15, output: 0.6, image: 0.04}}]}}\n"
    )
    command("price", "publish", str(file), "--backdate")
    assert command("price", "rerate", "--why", "priced late").shape == (
        "charged  1\nstillUnpriced  0"
    )
    assert command("price", "rerate", "--json").json == {"charged": 0, "stillUnpriced": 0}
    assert command("org", "show", "--json").json["balances"][1]["posted"] == 9.73
    noted = command("export", "audit", "--format", "ndjson").ndjson
    assert (noted[0]["what"], noted[0]["why"]) == ("usage.rerate", "priced late")
    assert command("verify").err == "The books are clean\n"


def test_a_backup_holds_everything(
    command: Command, used: str, empty_database_url: str, tmp_path: Path
) -> None:
    del used
    file = tmp_path / "all.backup"
    assert f"bytes to {file}" in command("backup", str(file)).err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before: Any = command("export", "entries").out
    elsewhere = {"DATABASE_URL": empty_database_url}
    assert command("restore", str(file), **elsewhere).err == f"Restored {file}\n"
    assert command("export", "entries", **elsewhere).out == before
    assert command("verify", **elsewhere).err == "The books are clean\n"
    again = command("restore", str(file), status=4, **elsewhere)
    assert "The database is not empty, and nothing is overwritten" in again.err
    there = command("backup", str(file), status=2)
    assert "is there already" in there.err
    command("backup", str(file), "--force")


def test_a_file_that_is_no_backup(
    command: Command, empty_database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "wrong.backup"
    file.write_text("not a backup")
    done = command("restore", str(file), status=4, DATABASE_URL=empty_database_url)
    assert "pg_restore failed" in done.err
    assert list(tmp_path.glob("*.partial")) == []


def test_a_backup_that_fails_leaves_no_file(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "x.backup"
    done = command("backup", str(file), status=4, DATABASE_URL="postgresql://u:pw@127.0.0.1:1/x")
    assert "pw" not in done.err.replace("pg_dump", "")
    assert list(tmp_path.iterdir()) == []


def test_migrating_says_what_it_did(command: Command, empty_database_url: str) -> None:
    first = command("migrate", DATABASE_URL=empty_database_url)
    assert first.out.splitlines()[0] == "0001_ledger.sql"
    again = command("migrate", "--json", DATABASE_URL=empty_database_url)
    assert again.json == {"applied": []}


def test_mark_ups_are_set_listed_and_taken_away(command: Command) -> None:
    command("price", "markup", "--percent", "20")
    openai = ("price", "markup", "--provider", "openai")
    command(*openai, "--percent", "-5.5", "--fixed", "0.001")
    command(*openai, "--remove", "--from", "2100-01-01")
    listed = command("price", "markup", "--json").json
    assert [(row["provider"], row["percent"], row["fixed"]) for row in listed] == [
        ("", 20, 0),
        ("openai", -5.5, 0.001),
        ("openai", None, None),
    ]
    assert "everything" in command("price", "markup").out
    late = command("price", "markup", "--percent", "1", "--from", "2020-01-01", status=3)
    assert "must not be in the past" in late.err
