"""One PostgreSQL cluster on disk: made once, started, stopped, and looked at."""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tollkeeper.db.binaries import (
    EmbeddedServerError,
    can_enter,
    choose_account,
    find_binaries,
    run_as,
)

SUPERUSER: Final = "tollkeeper"

DURABLE_SETTINGS: Final = MappingProxyType(
    {
        "max_connections": "200",
        "shared_buffers": "256MB",
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] ",
        "log_checkpoints": "off",
        # Refused statements are ordinary outcomes here, and their texts hold customers' data.
        "log_min_messages": "log",
    }
)
LOOSE_SETTINGS: Final = MappingProxyType(
    {**DURABLE_SETTINGS, "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
)

# `sun_path` holds 108 bytes on Linux and 104 on macOS, with the zero at its end.
_LONGEST_SOCKET_PATH: Final = 103
_SOCKET_PORT: Final = 5432
# Replaying a few gigabytes of log after a crash takes minutes; an obstacle clears in seconds.
_RECOVERY_SECONDS: Final = 600
_OBSTACLE_SECONDS: Final = 30
_RETRY_SECONDS: Final = 0.1
_LARGEST_LOG: Final = 10_000_000
# What the leftovers of a killed server make a new one say, until they are gone.
_OBSTACLES: Final = ("already exists", "shared memory block")
# pg_isready: accepts connections; refuses them, because it starts or stops.
_READY, _REFUSING = 0, 1
# For root whose data directory no other user can reach, such as /root/tollkeeper.
_SYSTEM_HOME: Final = Path("/var/lib/tollkeeper")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What a server writes into its postmaster.pid, line by line; a starting one wrote less."""

    pid: int
    data_directory: str
    port: int
    socket_directory: str
    listens_on: str

    @property
    def is_alive(self) -> bool:
        # A killed process may stay a zombie for long, and its number may pass to another.
        try:
            if sys.platform == "linux":
                words = Path(f"/proc/{self.pid}/cmdline").read_bytes().split(b"\0")
                ours = os.fsencode(self.data_directory) in words
                return ours and Path(os.fsdecode(words[0])).name == "postgres"
            os.kill(self.pid, 0)
        except (FileNotFoundError, ProcessLookupError):
            return False
        return True


class Cluster:
    """The cluster of a data directory. Callers hold the directory's lock while they change it."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self.pgdata = data_dir / "pgdata"
        self._password_file = data_dir / "password"
        self._account = choose_account(self.pgdata)
        self._binaries = find_binaries(self._account)

    @property
    def password(self) -> str:
        try:
            return self._password_file.read_text("utf-8")
        except FileNotFoundError as error:
            raise EmbeddedServerError(
                f"{self._password_file} is gone, and with it the way into the database beside"
                " it. Put it back from a backup."
            ) from error

    def make_room(self) -> None:
        self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._account.is_me and not can_enter(self._account, self._data_dir):
            # The directory was given to us, so we may let others pass through it, no more.
            # The directories above it are not ours to change.
            self._data_dir.chmod(stat.S_IMODE(self._data_dir.stat().st_mode) | 0o011)
        if not os.access(self._data_dir, os.W_OK | os.X_OK):
            raise EmbeddedServerError(
                f"{self._data_dir} cannot be written to. Choose another data directory, or set"
                " DATABASE_URL."
            )

    def initialise(self, *, durable: bool) -> None:
        """Make the cluster unless it is there: elsewhere first, so that it is whole or absent."""
        if self.pgdata.exists():
            return
        home = self._choose_home()
        fresh, handed = home / "pgdata.new", home / "password.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        password = secrets.token_urlsafe(24)
        _write_secret(self._password_file, password)
        _write_secret(handed, password)
        for path in (fresh, handed):
            os.chown(path, self._account.uid, self._account.gid)
        try:
            done = run_as(
                self._account,
                [
                    self._binaries / "initdb",
                    f"--pgdata={fresh}",
                    f"--username={SUPERUSER}",
                    f"--pwfile={handed}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale=C",
                    "--locale-provider=builtin",
                    "--builtin-locale=C.UTF-8",
                    "--data-checksums",
                    *([] if durable else ["--no-sync"]),
                ],
            )
        finally:
            handed.unlink()
        if done.returncode != 0:
            shutil.rmtree(fresh, ignore_errors=True)
            raise EmbeddedServerError(f"initdb failed in {home}: {done.stdout.strip()}")
        with (fresh / "postgresql.conf").open("a", encoding="utf-8") as conf:
            conf.write("\ninclude_if_exists = 'tollkeeper.conf'  # written at every start\n")
        fresh.rename(home / "pgdata")
        if home != self._data_dir:
            self.pgdata.unlink(missing_ok=True)
            self.pgdata.symlink_to(home / "pgdata")

    def configure(self, settings: Mapping[str, str], tcp_port: int | None) -> None:
        """Write what the next start reads."""
        port = _SOCKET_PORT if tcp_port is None else tcp_port or _free_port()
        values = {
            **settings,
            "listen_addresses": "" if tcp_port is None else "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": str(self._socket_directory(port)),
            "unix_socket_permissions": "0700",
        }
        lines = [f"{name} = {_quoted(value)}\n" for name, value in values.items()]
        conf = self.pgdata / "tollkeeper.conf"
        conf.write_text("".join(lines), "utf-8")
        os.chown(conf, self._account.uid, self._account.gid)

    def postmaster(self) -> Postmaster | None:
        """Read who runs the cluster, or ran it last if it was killed."""
        try:
            lines = (self.pgdata / "postmaster.pid").read_text("utf-8").splitlines()
        except FileNotFoundError:
            return None
        pid, data_directory, _, port, socket_directory, listens_on = [*lines, *[""] * 6][:6]
        return Postmaster(
            int(pid or 0), data_directory, int(port or 0), socket_directory, listens_on
        )

    def run(self) -> Postmaster:
        """Return the running server, started if need be, and wait until it answers."""
        started = time.monotonic()
        while True:
            server = self.postmaster()
            state = self._state(server)
            if server is not None and state == _READY:
                return server
            waited = time.monotonic() - started
            if state != _REFUSING:
                self._start(give_up=waited > _OBSTACLE_SECONDS)
            elif waited > _RECOVERY_SECONDS:
                raise EmbeddedServerError(
                    f"PostgreSQL in {self.pgdata} is still not ready after {waited:.0f} s."
                    f" Its log: {self._server_log}"
                )
            time.sleep(_RETRY_SECONDS)

    def stop(self) -> None:
        server = self.postmaster()
        if server is None or not server.is_alive:
            return
        done = self._pg_ctl("stop", "--mode=fast")
        if done.returncode != 0 and server.is_alive:
            raise EmbeddedServerError(f"PostgreSQL did not stop: {done.stdout.strip()}")
        socket_directory = Path(server.socket_directory)
        if socket_directory.parent == _short_home():
            shutil.rmtree(socket_directory, ignore_errors=True)

    @property
    def _server_log(self) -> Path:
        # By its real place: the way that leads through a symbolic link may be closed to the server.
        return self.pgdata.resolve() / "server.log"

    def _choose_home(self) -> Path:
        if self._account.is_me or can_enter(self._account, self._data_dir):
            return self._data_dir
        _SYSTEM_HOME.mkdir(mode=0o755, parents=True, exist_ok=True)
        name = self._data_dir.name.strip(".")
        home = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=_SYSTEM_HOME))
        home.chmod(0o711)
        if not can_enter(self._account, home):
            home.rmdir()
            raise EmbeddedServerError(
                f"PostgreSQL does not run as root, and {self._account.name}, whom it would run"
                f" as, can enter neither {self._data_dir} nor {_SYSTEM_HOME}. Choose a data"
                " directory that every user may pass through, such as /srv/tollkeeper, or set"
                " DATABASE_URL."
            )
        _log.warning(
            "The server runs as %s, who cannot enter %s: the database is kept in %s",
            self._account.name,
            self._data_dir,
            home,
        )
        return home

    def _socket_directory(self, port: int) -> Path:
        home = self.pgdata.resolve().parent
        directory = home / "run"
        if len(os.fsencode(directory / f".s.PGSQL.{port}")) > _LONGEST_SOCKET_PATH:
            digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
            directory = _short_home() / f"tollkeeper-{digest}"
        try:
            directory.mkdir(mode=0o700)
            os.chown(directory, self._account.uid, self._account.gid)
        except FileExistsError:
            found = directory.lstat()
            private = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077
            if not private or found.st_uid != self._account.uid:
                raise EmbeddedServerError(
                    f"{directory}, where the server's socket goes, belongs to somebody else or"
                    " is open to others. Remove it and start again."
                ) from None
        return directory

    def _state(self, server: Postmaster | None) -> int | None:
        if server is None or not server.is_alive:
            return None
        if not server.socket_directory:
            return _REFUSING
        place = [f"--host={server.socket_directory}", f"--port={server.port}"]
        return run_as(self._account, [self._binaries / "pg_isready", *place]).returncode

    def _start(self, *, give_up: bool) -> None:
        server = self.postmaster()
        if server is not None and not server.is_alive:
            # PostgreSQL itself would take a zombie, or a stranger with that number, for the
            # server. It still finds backends that outlived theirs, by their shared memory.
            (self.pgdata / "postmaster.pid").unlink(missing_ok=True)
            if server.socket_directory:
                lock = Path(server.socket_directory) / f".s.PGSQL.{server.port}.lock"
                lock.unlink(missing_ok=True)
        size = self._server_log.stat().st_size if self._server_log.exists() else 0
        if size > _LARGEST_LOG:
            self._server_log.replace(self._server_log.with_suffix(".log.old"))
            size = 0
        done = self._pg_ctl("start", f"--log={self._server_log}")
        if done.returncode == 0:
            return
        said = ""
        if self._server_log.exists():
            said = self._server_log.read_bytes()[size:].decode("utf-8", "replace").strip()
        if give_up or not any(obstacle in said for obstacle in _OBSTACLES):
            raise EmbeddedServerError(
                f"PostgreSQL did not start in {self.pgdata}: {said or done.stdout.strip()}"
            )

    def _pg_ctl(self, command: str, *options: str) -> subprocess.CompletedProcess[str]:
        return run_as(
            self._account,
            [
                self._binaries / "pg_ctl",
                command,
                f"--pgdata={self.pgdata.resolve()}",
                "--wait",
                f"--timeout={_RECOVERY_SECONDS}",
                *options,
            ],
        )


def _write_secret(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _short_home() -> Path:
    return Path("/tmp")  # noqa: S108 (the shortest place; owner and mode are checked before use)
