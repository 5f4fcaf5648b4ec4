"""`tollkeeper serve` with several workers and `tollkeeper worker` beside it, to be killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from load import Keys

from running import Process, Site, site
from standin import OWN_PRICES, PRICES, StandIn, stand_in

# The shortest that fit together: hold_ttl_seconds >= total_timeout_seconds + drain_seconds.
SETTINGS = {
    "GATEWAY__TOTAL_TIMEOUT_SECONDS": "5",
    "GATEWAY__FIRST_BYTE_TIMEOUT_SECONDS": "5",
    "GATEWAY__IDLE_TIMEOUT_SECONDS": "5",
    "GATEWAY__DRAIN_SECONDS": "2",
    "GATEWAY__HOLD_TTL_SECONDS": "7",
    "SERVER__SHUTDOWN_GRACE_SECONDS": "8",
    "LOG__FORMAT": "json",
}


class Service:
    """`base` is where it is served, always the same."""

    def __init__(self, here: Site, provider: StandIn) -> None:
        self.site = here
        self.provider = provider
        self.shown = here.first_start()
        self.base = ""
        self._port = "0"

    def keys(self) -> Keys:
        shown = self.shown
        return Keys(
            base=self.base,
            sandbox=shown["inferenceKey"],
            live=shown["liveInferenceKey"],
            operator=shown["operatorKey"],
            organization_id=shown["organizationId"],
            project_id=shown["projectId"],
        )

    def serve(self, workers: int, *options: str, seconds: float = 60) -> Process:
        """Start serving; again and again, as systemd does, while the port is still taken."""
        until = time.monotonic() + seconds
        while True:
            process = self.site.start(
                "serve", "--workers", str(workers), "--port", self._port, *options
            )
            if process.wait_for("Serving at "):
                said = process.said.partition("Serving at ")[2].split()[0]
                self.base, self._port = said, str(urlsplit(said).port)
                self.site.note_children()
                return process
            assert time.monotonic() < until, process.said
            assert process.wait() == 4, process.said
            time.sleep(0.2)

    def work(self) -> Process:
        process = self.site.start("worker")
        assert process.wait_for("Running "), process.said
        return process

    def kill_postmaster(self) -> None:
        os.kill(self.site.postmaster(), signal.SIGKILL)


def kill_a_worker(serving: Process, which: int) -> None:
    workers = sorted(serving.children(), key=lambda child: child.pid)
    kill(workers[which % len(workers)])


def kill_all(serving: Process) -> None:
    """The supervisor and its workers at one stroke, as when the machine runs out of memory."""
    children = serving.children()
    serving.kill()
    for child in children:
        kill(child)


def kill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill()


@contextmanager
def service(directory: Path, *, grant: str = "1000", **settings: str) -> Generator[Service]:
    """A site with a provider, prices, and credit both live and sandbox."""
    with stand_in() as provider, site(directory, **_given(provider, settings)) as here:
        made = Service(here, provider)
        for name, text in (("up.yaml", PRICES), ("own.yaml", OWN_PRICES)):
            (directory / name).write_text(text, "utf-8")
            here.ask("price", "publish", name)
        here.ask("grant", grant, "--why", "a test")
        yield made


def _given(provider: StandIn, settings: dict[str, str]) -> dict[str, str]:
    return {**SETTINGS, **provider.settings(), **settings}
