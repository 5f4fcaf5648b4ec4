"""Tollkeeper as operators run it: its commands as processes, on a durable database of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psutil
import psycopg

from tollkeeper.db import EmbeddedServer

EXAMPLES: Final = Path(__file__).parents[1] / "examples"
_DROPPED: Final = ("TOLLKEEPER_", "DATABASE_URL", "PYTEST_")
PATIENCE: Final = 60.0


class Process:
    """A command that runs until it is told to stop; what it says goes to a file."""

    def __init__(self, popen: subprocess.Popen[str], log: Path) -> None:
        self._popen = popen
        self._log = log
        self.pid = popen.pid

    @property
    def said(self) -> str:
        return self._log.read_text("utf-8", "replace")

    @property
    def is_alive(self) -> bool:
        return self._popen.poll() is None

    def children(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.pid).children(recursive=True)
        return []

    def first_line(self) -> str:
        """Wait for the first line on standard output."""
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        assert line, f"it ended with {self.wait()}: {self.said}"
        return line

    def wait_for(self, text: str, seconds: float = PATIENCE) -> bool:
        """Wait until it has said this; False when it ended without."""
        until = time.monotonic() + seconds
        while text not in self.said:
            if not self.is_alive:
                return text in self.said
            assert time.monotonic() < until, f"{text!r} was not said: {self.said}"
            time.sleep(0.02)
        return True

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._popen.wait(PATIENCE)

    def wait(self, seconds: float = PATIENCE) -> int:
        """Return its exit status."""
        return self._popen.wait(seconds)

    def stop(self, seconds: float = PATIENCE) -> int:
        self._popen.send_signal(signal.SIGTERM)
        return self.wait(seconds)

    def close(self) -> None:
        self.kill()
        if self._popen.stdout is not None:
            self._popen.stdout.close()


class Site:
    """One installation: a directory, its settings, and every process that was started in it.

    `settings` are named as in the environment: `SERVER__WORKERS=2`.
    """

    def __init__(self, directory: Path, **settings: object) -> None:
        # Not deeper: root runs the database as a user who has to reach it.
        self.directory = directory
        self.data_dir = directory / "data"
        self.settings = {name: str(value) for name, value in settings.items()}
        self._processes: list[Process] = []
        self._seen: set[psutil.Process] = set()

    @property
    def environ(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_DROPPED)}
        given = {"DATABASE__DATA_DIR": str(self.data_dir), **self.settings}
        return kept | {f"TOLLKEEPER_{name}": value for name, value in given.items()}

    def run(self, *arguments: str, seconds: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "tollkeeper", *arguments],
            cwd=self.directory,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def ask(self, *arguments: str) -> Any:
        """Run a command that prints JSON, and read it."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start(self, *arguments: str) -> Process:
        return self._run("-m", "tollkeeper", *arguments, log=arguments[0])

    def _run(self, *arguments: str, log: str) -> Process:
        file = self.directory / f"{log}-{len(self._processes)}.log"
        with file.open("w") as errors:
            popen = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self.directory,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        process = Process(popen, file)
        self._processes.append(process)
        return process

    def up(self, *options: str) -> tuple[Process, dict[str, str]]:
        """Start everything as a newcomer does; return it with what it printed."""
        process = self.start("up", "--json", "--port", "0", *options)
        return process, json.loads(process.first_line())

    def example(self, name: str) -> tuple[Process, dict[str, str]]:
        """Start an example, as `./dev example` does; commands that follow run with its settings."""
        options = ("--json", "--port", "0", "--data-dir", str(self.data_dir))
        process = self._run(str(EXAMPLES / "start.py"), name, *options, log=name)
        self.settings["CONFIG"] = str(EXAMPLES / name / "tollkeeper.toml")
        return process, json.loads(process.first_line())

    def first_start(self) -> dict[str, str]:
        """Make the database, the first organization and its keys, and stop again."""
        process, shown = self.up()
        assert process.stop() == 0, process.said
        return shown

    def postmaster(self) -> int:
        return int((self.data_dir / "pgdata" / "postmaster.pid").read_text().split()[0])

    def children(self) -> list[psutil.Process]:
        """The processes that those started here have started."""
        return [child for process in self._processes for child in process.children()]

    def note_children(self) -> None:
        """Remember whom to end at last, whatever becomes of their parents."""
        self._seen.update(self.children())

    @contextmanager
    def books(self) -> Generator[psycopg.Connection[Any]]:
        """A superuser's autocommit connection to the database."""
        with (
            EmbeddedServer(self.data_dir) as server,
            psycopg.connect(server.url, autocommit=True) as connection,
        ):
            yield connection

    def close(self) -> None:
        """End everything that was ever started here, the database included."""
        self.note_children()
        for process in self._processes:
            process.close()
        for child in self._seen:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(self._seen, timeout=PATIENCE)
        if (self.data_dir / "pgdata").exists():
            # Whoever leaves last stops it.
            with EmbeddedServer(self.data_dir):
                pass


@contextmanager
def site(directory: Path, **settings: object) -> Generator[Site]:
    made = Site(directory, **settings)
    try:
        yield made
    finally:
        made.close()
