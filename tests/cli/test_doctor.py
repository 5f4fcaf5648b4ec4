"""`doctor` names what is wrong, says what to do, and fails when something has failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
from commands import Command, run_process


def checks(command: Command, status: int = 1, **environ: str) -> dict[str, dict[str, Any]]:
    # The tests' server is fast because it is not durable, and doctor says so.
    found = command("doctor", "--json", status=status, **environ).json["checks"]
    return {finding["check"]: finding for finding in found}


def change(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def test_a_fresh_database_needs_prices_and_people(command: Command) -> None:
    found = checks(command)
    assert found["settings"]["verdict"] == "ok"
    assert found["migrations"]["verdict"] == "ok"
    assert found["database"]["found"].startswith("PostgreSQL 18")
    assert found["role"]["verdict"] == "ok"
    assert found["clock"]["verdict"] == "ok"
    assert found["connections"]["verdict"] == "ok"
    assert found["providers"]["found"] == "none: test keys use the simulated models"
    assert (found["prices"]["verdict"], found["durability"]["verdict"]) == ("failed", "failed")
    assert "tollkeeper price publish" in found["prices"]["advice"]
    assert found["organizations"]["advice"] == "Run `tollkeeper org create NAME`."
    assert "key create --operator" in found["operator keys"]["advice"]
    command("price", "publish")
    command("org", "create", "Acme")
    command("key", "create", "us", "--operator")
    found = checks(command)
    failed = [name for name, finding in found.items() if finding["verdict"] != "ok"]
    assert failed == ["durability"]


def test_as_text_each_fault_has_its_advice(command: Command) -> None:
    lines = command("doctor", status=1).out.splitlines()
    place = lines.index("✗ prices: the book is empty: every call is refused")
    assert lines[place + 1].startswith("  → Run `tollkeeper price publish`")


def test_a_role_that_may_rewrite_the_books(command: Command, database_url: str) -> None:
    change(database_url, "GRANT UPDATE ON entry TO tollkeeper_app")
    found = checks(command)["role"]
    assert found["found"] == "tollkeeper_app may change entry"
    assert "REVOKE UPDATE, DELETE, TRUNCATE ON entry FROM tollkeeper_app" in found["advice"]


def test_a_database_that_is_not_migrated(command: Command, empty_database_url: str) -> None:
    found = checks(command, DATABASE_URL=empty_database_url)["migrations"]
    assert found["verdict"] == "failed"
    assert found["advice"] == "Run `tollkeeper migrate`."


def test_a_database_that_does_not_answer(command: Command) -> None:
    url = "postgresql://u:hunter2@127.0.0.1:1/x"
    done = command("doctor", status=1, DATABASE_URL=url)
    assert "✗ database: connection failed" in done.out
    assert "Is DATABASE_URL right" in done.out
    assert "database.url = (secret)" in done.out
    assert "hunter2" not in done.out


def test_too_many_connections(command: Command) -> None:
    found = checks(command, TOLLKEEPER_SERVER__WORKERS="99")["connections"]
    assert found["verdict"] == "failed"
    assert "Lower database.pool_max or server.workers" in found["advice"]


def test_a_provider_without_a_key(command: Command) -> None:
    found = checks(command, TOLLKEEPER_PROVIDERS__OPENAI__KIND="openai")["provider openai"]
    assert found["verdict"] == "failed"
    assert found["advice"] == "Set TOLLKEEPER_PROVIDERS__OPENAI__API_KEY."


def test_settings_that_are_wrong(command: Command) -> None:
    done = command("doctor", status=1, TOLLKEEPER_SERVER__PORT="x")
    assert "✗ settings: server.port (from TOLLKEEPER_SERVER__PORT) must be" in done.out


def test_the_settings_in_force_without_secrets(command: Command) -> None:
    done = command(
        "doctor",
        status=1,
        TOLLKEEPER_PROVIDERS__OPENAI__API_KEY="sk-hidden",
        TOLLKEEPER_PROVIDERS__OPENAI__KIND="openai",
    )
    assert "server.port = 8080" in done.out
    assert "providers.openai.api_key = (secret)" in done.out
    assert "sk-hidden" not in done.out
    assert "server.port" not in command("doctor", "--no-settings", status=1).out


def test_no_database_yet(tmp_path: Path) -> None:
    done = run_process("doctor", cwd=tmp_path)
    assert done.status == 1
    assert "✗ database: There is no database in" in done.out
    assert not (tmp_path / ".tollkeeper").exists()


def test_a_data_directory_that_cannot_be_written_to(tmp_path: Path) -> None:
    done = run_process("--data-dir", "/proc/nowhere", "doctor", cwd=tmp_path)
    assert "data directory" in done.out
    assert done.status == 1
