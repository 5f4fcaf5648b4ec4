"""A PostgreSQL server of our own, from the programs in a wheel: nothing else to install.

Any number of processes share the server of one data directory. The first starts it, the last
one stops it, and whichever notices that it was killed starts it again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from tollkeeper.db import users
from tollkeeper.db.binaries import EmbeddedServerError
from tollkeeper.db.cluster import (
    DURABLE_SETTINGS,
    LOOSE_SETTINGS,
    SUPERUSER,
    Cluster,
    Postmaster,
)

DATABASE: Final = "tollkeeper"

_WATCH_SECONDS: Final = 0.25

_log = logging.getLogger(__name__)


class EmbeddedServer:
    """One user's hold on the server of a data directory; a context manager, and blocking.

    `settings` are PostgreSQL's own names and values. They, `tcp_port` and `durable` count for
    whoever starts the server; who joins takes it as it runs. `tcp_port` adds a listener on
    127.0.0.1 (0 chooses a free port). `durable=False` is for tests: a crash of the machine may
    then lose or break everything.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        settings: Mapping[str, str] | None = None,
        tcp_port: int | None = None,
        durable: bool = True,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self._durable = durable
        self._tcp_port = tcp_port
        self._settings = {**(DURABLE_SETTINGS if durable else LOOSE_SETTINGS), **(settings or {})}
        self._user: users.User | None = None
        self._watcher: threading.Thread | None = None
        self._leaving = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server or join it. Raises EmbeddedServerError, which says what to do."""
        self._cluster = Cluster(self.data_dir)
        self._cluster.make_room()
        with users.exclusive(self._lock):
            self._cluster.initialise(durable=self._durable)
            self._user = users.enter(self._users)
            try:
                self._server = self._run(configure=True)
                self._check_tcp()
                self._create_database()
            except BaseException:
                self._leave()
                raise
        self._leaving.clear()
        self._watcher = threading.Thread(target=self._watch, name="postgres-watcher", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """Leave the server; the last user's leaving stops it."""
        if self._user is None:
            return
        self._leaving.set()
        if self._watcher is not None:
            self._watcher.join()
        with users.exclusive(self._lock):
            self._leave()

    @property
    def url(self) -> str:
        """The superuser's address of the database `tollkeeper`, over the Unix socket."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        host = quote(self._server.socket_directory, safe="")
        where = f"?host={host}&port={self._server.port}"
        return f"postgresql://{self._login}@/{quote(database)}{where}"

    @property
    def tcp_url(self) -> str | None:
        """The same over loopback TCP, if the server listens there."""
        if not self._server.listens_on:
            return None
        where = f"{self._server.listens_on}:{self._server.port}"
        return f"postgresql://{self._login}@{where}/{DATABASE}"

    @property
    def pid(self) -> int | None:
        """The process that runs the server now, or ran it last."""
        server = self._cluster.postmaster()
        return server.pid if server else None

    @property
    def _login(self) -> str:
        return f"{SUPERUSER}:{quote(self._cluster.password)}"

    @property
    def _lock(self) -> Path:
        return self.data_dir / "lock"

    @property
    def _users(self) -> Path:
        return self.data_dir / "users"

    def _run(self, *, configure: bool) -> Postmaster:
        server = self._cluster.postmaster()
        if configure and (server is None or not server.is_alive):
            self._cluster.configure(self._settings, self._tcp_port)
        return self._cluster.run()

    def _leave(self) -> None:
        if self._user is not None:
            users.leave(self._user)
            self._user = None
        if not users.anyone_left(self._users):
            self._cluster.stop()

    def _check_tcp(self) -> None:
        wanted, listening = self._tcp_port, self._server.listens_on
        if wanted is not None and (not listening or wanted not in (0, self._server.port)):
            raise EmbeddedServerError(
                f"The server of {self.data_dir} already runs without a listener on TCP port"
                f" {wanted}. Stop its other users first."
            )

    def _create_database(self) -> None:
        with psycopg.connect(self.url_of("postgres"), autocommit=True) as connection:
            found = connection.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,))
            if found.fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

    def _watch(self) -> None:
        while not self._leaving.wait(_WATCH_SECONDS):
            server = self._cluster.postmaster()
            if (server is not None and server.is_alive) or not self.data_dir.exists():
                continue
            _log.warning("PostgreSQL in %s is gone; starting it again", self.data_dir)
            try:
                with users.exclusive(self._lock):
                    self._run(configure=False)
            except (EmbeddedServerError, OSError):
                _log.exception("PostgreSQL in %s could not be started again", self.data_dir)
