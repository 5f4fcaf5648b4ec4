"""Which installation a command is about: its settings and its database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from tollkeeper.base.settings import Settings
    from tollkeeper.db import Database

T = TypeVar("T")


class NoDatabase(Exception):
    """There is no database yet, or it is not of this version; the message says what to do."""


@dataclass(frozen=True)
class Installation:
    """`environ` is the environment with what the command line says laid over it."""

    config: Path | None
    environ: Mapping[str, str]

    def given(self, **values: object) -> Installation:
        """Lay more settings over it: `SERVER__PORT=80`; None leaves a setting as it is."""
        more = {f"TOLLKEEPER_{name}": str(v) for name, v in values.items() if v is not None}
        return Installation(self.config, {**self.environ, **more})

    @cached_property
    def settings(self) -> Settings:
        from tollkeeper.base.log import set_up_logging
        from tollkeeper.base.settings_source import load_settings

        settings = load_settings(self.config, self.environ)
        set_up_logging(settings.log)
        return settings

    @contextmanager
    def database_url(self, *, may_create: bool = False) -> Generator[str]:
        """Give the address of the database, with the embedded server running if it is that one.

        Only who may create a cluster does: a command in the wrong directory must not.
        """
        settings = self.settings
        if settings.database.url is not None:
            yield settings.database.url.reveal()
            return
        from tollkeeper.db import EmbeddedServer

        if not may_create and not (settings.data_dir / "pgdata").exists():
            raise NoDatabase(
                f"There is no database in {settings.data_dir.absolute()}. Start with"
                " `tollkeeper up`, or say where it is: --data-dir, or DATABASE_URL."
            )
        with EmbeddedServer(settings.data_dir) as server:
            yield server.url

    def run(self, act: Callable[[Database], Awaitable[T]]) -> T:
        """Run `act` on the migrated database. Raises NoDatabase when it is not migrated."""

        async def opened(url: str) -> T:
            from tollkeeper.db import Database

            await require_migrated(url)
            async with Database.open(url, max_size=4) as database:
                return await act(database)

        with self.database_url() as url:
            return asyncio.run(opened(url))


async def require_migrated(url: str) -> None:
    """Raise NoDatabase unless every migration of this version is applied."""
    from tollkeeper.db import pending_migrations

    pending = await pending_migrations(url)
    if pending:
        raise NoDatabase(
            f"The database lacks {len(pending)} migrations of this version, from {pending[0]} on."
            " Run `tollkeeper migrate`."
        )
