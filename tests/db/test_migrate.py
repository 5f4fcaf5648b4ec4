"""Migrations: once each, in order, never edited, and harmless when many start at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tollkeeper.db import EmbeddedServer, MigrationError, migrate, pending_migrations
from tollkeeper.db.migrate import read_migrations

FIRST = "CREATE TABLE thing (id int PRIMARY KEY);"
SECOND = "ALTER TABLE thing ADD COLUMN name text; GRANT SELECT ON thing TO tollkeeper_app;"


def write(directory: Path, **files: str) -> Path:
    for name, text in files.items():
        (directory / f"{name.removeprefix('n')}.sql").write_text(text)
    return directory


async def test_each_is_applied_once_and_recorded(empty_database_url: str, tmp_path: Path) -> None:
    write(tmp_path, n0001_thing=FIRST)
    assert await migrate(empty_database_url, directory=tmp_path) == ["0001_thing.sql"]
    write(tmp_path, n0002_name=SECOND)
    assert await migrate(empty_database_url, directory=tmp_path) == ["0002_name.sql"]
    assert await migrate(empty_database_url, directory=tmp_path) == []
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT id, name FROM thing").fetchall() == []


async def test_what_is_pending_is_told_and_left_alone(
    empty_database_url: str, tmp_path: Path
) -> None:
    write(tmp_path, n0001_thing=FIRST)
    for _ in "ab":
        found = await pending_migrations(empty_database_url, directory=tmp_path)
        assert found == ["0001_thing.sql"]
    await migrate(empty_database_url, directory=tmp_path)
    assert await pending_migrations(empty_database_url, directory=tmp_path) == []
    write(tmp_path, n0001_thing=FIRST + " ")
    with pytest.raises(MigrationError, match="edited"):
        await pending_migrations(empty_database_url, directory=tmp_path)


async def test_runners_at_the_same_moment_do_each_thing_once(
    empty_database_url: str, tmp_path: Path
) -> None:
    write(tmp_path, n0001_thing=FIRST + "SELECT pg_sleep(0.2);", n0002_name=SECOND)
    runs = await asyncio.gather(*(migrate(empty_database_url, directory=tmp_path) for _ in "12345"))
    assert sorted(runs) == [[], [], [], [], ["0001_thing.sql", "0002_name.sql"]]


async def test_a_failing_one_leaves_nothing_of_itself(
    empty_database_url: str, tmp_path: Path
) -> None:
    write(tmp_path, n0001_thing=FIRST, n0002_bad="CREATE TABLE half (id int); SELECT 1 / 0;")
    with pytest.raises(MigrationError, match=r"0002_bad\.sql: division by zero"):
        await migrate(empty_database_url, directory=tmp_path)
    with psycopg.connect(empty_database_url) as connection:
        tables = connection.execute("SELECT to_regclass('thing'), to_regclass('half')").fetchone()
        assert tables == ("thing", None)
        names = connection.execute("SELECT name FROM schema_migration").fetchall()
        assert names == [("0001_thing.sql",)]
    write(tmp_path, n0002_bad="CREATE TABLE half (id int);")
    assert await migrate(empty_database_url, directory=tmp_path) == ["0002_bad.sql"]


async def test_one_that_would_wait_for_traffic_gives_up(
    empty_database_url: str, tmp_path: Path
) -> None:
    write(tmp_path, n0001_thing=FIRST)
    await migrate(empty_database_url, directory=tmp_path)
    write(tmp_path, n0002_name=SECOND)
    with psycopg.connect(empty_database_url) as traffic:
        traffic.execute("SELECT FROM thing")
        with pytest.raises(MigrationError, match="lock timeout"):
            await migrate(empty_database_url, directory=tmp_path)
    assert await migrate(empty_database_url, directory=tmp_path) == ["0002_name.sql"]


async def test_an_edited_one_is_refused(empty_database_url: str, tmp_path: Path) -> None:
    await migrate(empty_database_url, directory=write(tmp_path, n0001_thing=FIRST))
    write(tmp_path, n0001_thing=FIRST + " -- better")
    with pytest.raises(MigrationError, match=r"0001_thing\.sql was edited after"):
        await migrate(empty_database_url, directory=tmp_path)


async def test_a_database_newer_than_the_code_is_refused(
    empty_database_url: str, tmp_path: Path
) -> None:
    await migrate(empty_database_url, directory=write(tmp_path, n0001_thing=FIRST))
    (tmp_path / "0001_thing.sql").unlink()
    with pytest.raises(MigrationError, match="made by a newer version"):
        await migrate(empty_database_url, directory=tmp_path)


async def test_one_that_comes_too_late_is_refused(empty_database_url: str, tmp_path: Path) -> None:
    await migrate(empty_database_url, directory=write(tmp_path, n0002_thing=FIRST))
    write(tmp_path, n0001_earlier="CREATE TABLE earlier (id int);")
    with pytest.raises(MigrationError, match="Give it the next free number"):
        await migrate(empty_database_url, directory=tmp_path)


async def test_the_role_is_made_once_though_many_databases_want_it(
    reachable_dir: Path, tmp_path: Path
) -> None:
    write(tmp_path, n0001_thing=FIRST)
    names = [f"tenant_{number}" for number in range(6)]
    with EmbeddedServer(reachable_dir, durable=False) as server:
        with psycopg.connect(server.url, autocommit=True) as admin:
            for name in names:
                admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        urls = [server.url_of(name) for name in names]
        runs = await asyncio.gather(*(migrate(url, directory=tmp_path) for url in urls))
    assert runs == [["0001_thing.sql"]] * 6


@pytest.mark.parametrize("names", [["1_thing"], ["0001-thing"], ["0001_a", "0001_b"]])
def test_names_are_a_number_of_their_own_and_words(tmp_path: Path, names: list[str]) -> None:
    write(tmp_path, **dict.fromkeys(names, FIRST))
    with pytest.raises(MigrationError):
        read_migrations(tmp_path)


async def test_a_user_who_may_not_create_the_role_learns_what_to_ask_for(
    empty_database_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS small_owner")
        admin.execute("CREATE ROLE small_owner LOGIN PASSWORD 'small'")
        admin.execute("GRANT CREATE ON SCHEMA public TO small_owner")
        admin.execute("DO $$ BEGIN CREATE ROLE tollkeeper_app; EXCEPTION WHEN OTHERS THEN END $$")
        url = make_conninfo(empty_database_url, user="small_owner", password="small")
        with pytest.raises(MigrationError, match="GRANT tollkeeper_app TO <this user>"):
            await migrate(url, directory=write(tmp_path, n0001_thing=FIRST))
        admin.execute("GRANT tollkeeper_app TO small_owner")
        assert await migrate(url, directory=tmp_path) == ["0001_thing.sql"]
        admin.execute("DROP OWNED BY small_owner")
        admin.execute("DROP ROLE small_owner")
