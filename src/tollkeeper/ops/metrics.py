"""What Prometheus reads at /metrics.

No label names a customer, and nothing counts money: an amount in a monitoring system is neither
exact nor private. With several workers each writes its numbers into files of a directory that
`PROMETHEUS_MULTIPROC_DIR` names, and whichever is asked adds them up.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final, Literal, NamedTuple, cast

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
    multiprocess,
)
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

from tollkeeper.http.asgi import App, Message, Receive, Scope, Send

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
DIRECTORY: Final = "PROMETHEUS_MULTIPROC_DIR"

# From a charge that is in memory to a model that thinks for minutes.
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_UNMATCHED: Final = "(none)"
_NO_ANSWER: Final = 499  # nginx's number for a client that left before the answer began


# A second series for each counter, with the moment of its first count, which nobody asks for.
disable_created_metrics()


class Described(NamedTuple):
    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


class Registry(CollectorRegistry):
    """A registry that can say what is in it before anything has been counted."""

    def __init__(self) -> None:
        super().__init__()
        self._known: list[Collector] = []

    def register(self, collector: Collector) -> None:
        super().register(collector)
        self._known.append(collector)

    def described(self) -> Iterator[Described]:
        """Every metric of ours, in the order of making."""
        for metric in self._known:
            if isinstance(metric, MetricWrapperBase):
                (family,) = metric.describe()
                suffix = "_total" if family.type == "counter" else ""
                # They have no public name.
                labels = cast("tuple[str, ...]", getattr(metric, "_labelnames"))  # noqa: B009 (not ours)
                yield Described(family.name + suffix, family.type, labels, family.documentation)


class Metrics:
    """The metrics of one process. Their names are theirs for ever."""

    def __init__(self, version: str) -> None:
        self.registry = Registry()
        self.requests = Counter(
            "tollkeeper_http_requests_total",
            "HTTP requests answered, by method, route (its template) and status; status 499 is a"
            " client that left before its answer began.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "tollkeeper_http_request_seconds",
            "From the first byte of a request to the last of its answer, streams to their end.",
            ["route"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = self._gauge(
            "tollkeeper_http_requests_in_flight", "HTTP requests being answered now."
        )
        self.calls_running = self._gauge(
            "tollkeeper_gateway_calls_running",
            "Gateway calls under way, also those whose client has left.",
        )
        self.settlements_waiting = self._gauge(
            "tollkeeper_settlements_waiting",
            "Settlements that wait for their turn to be written, or for the database.",
        )
        self.job_runs = Counter(
            "tollkeeper_job_runs_total",
            "Runs of background jobs, by outcome (ok, failed).",
            ["job", "outcome"],
            registry=self.registry,
        )
        self.job_succeeded_at = self._gauge(
            "tollkeeper_job_last_success_timestamp_seconds",
            "When a background job last succeeded, in seconds since 1970.",
            ("job",),
            mode="max",
        )
        self.prices = self._gauge(
            "tollkeeper_price_versions", "Price versions in the book that is sold by.", mode="max"
        )
        self.differences, self.reconciled_at = self._reconciliation()
        self._gauge("tollkeeper_info", "Always 1.", ("version",), mode="max").labels(version).set(1)
        if DIRECTORY not in os.environ:
            for collector in (ProcessCollector, PlatformCollector, GCCollector):
                collector(registry=self.registry)
        # Counted here, and shown every second: a gauge takes its lock for each request, twice.
        self.answering = 0
        self._answered: dict[tuple[str, str, int], Counter] = {}
        self._timed: dict[str, Histogram] = {}

    def _reconciliation(self) -> tuple[Gauge, Gauge]:
        labels = ("processor", "mode")
        return (
            self._gauge(
                "tollkeeper_reconciliation_differences",
                "Differences that the last reconciliation of a processor found; 0 is clean.",
                labels,
                mode="max",
            ),
            self._gauge(
                "tollkeeper_reconciliation_last_timestamp_seconds",
                "When a processor was last reconciled, in seconds since 1970.",
                labels,
                mode="max",
            ),
        )

    def _gauge(
        self,
        name: str,
        meaning: str,
        labels: tuple[str, ...] = (),
        *,
        mode: Literal["livesum", "max"] = "livesum",
    ) -> Gauge:
        """`mode` is how the values of several workers become one."""
        return Gauge(name, meaning, labels, multiprocess_mode=mode, registry=self.registry)

    def note_request(self, method: str, route: str, status: int, seconds: float) -> None:
        # Looking a child up by its labels costs more than counting; there are few of them.
        key = (method, route, status)
        answered = self._answered.get(key)
        if answered is None:
            answered = self._answered[key] = self.requests.labels(method, route, str(status))
        answered.inc()
        timed = self._timed.get(route)
        if timed is None:
            timed = self._timed[route] = self.seconds.labels(route)
        timed.observe(seconds)

    def note_job(self, name: str, failure: Exception | None) -> None:
        self.job_runs.labels(name, "failed" if failure else "ok").inc()
        if failure is None:
            self.job_succeeded_at.labels(name).set(time.time())

    def note_reconciliation(
        self, processor: str, *, livemode: bool, differences: int, ended_at: datetime
    ) -> None:
        labels = (processor, "live" if livemode else "test")
        self.differences.labels(*labels).set(differences)
        self.reconciled_at.labels(*labels).set(ended_at.timestamp())

    def text(self) -> bytes:
        """Everything in Prometheus' text format, of all workers."""
        if DIRECTORY not in os.environ:
            return generate_latest(self.registry)
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together)
        return generate_latest(together)


class Observed:
    """Counts and times the requests of an ASGI application."""

    def __init__(self, app: App, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        status = _NO_ANSWER

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._metrics.answering += 1
        try:
            await self._app(scope, receive, note_status)
        finally:
            self._metrics.answering -= 1
            route = scope.get("path_template") or _UNMATCHED
            seconds = time.perf_counter() - started
            self._metrics.note_request(scope["method"], route, status, seconds)


def forget_worker(pid: int, directory: str) -> None:
    """Take what a dead worker had under way out of the sums; what it counted stays counted."""
    forget = cast("Callable[[int, str], None]", getattr(multiprocess, "mark_process_dead"))  # noqa: B009 (untyped there)
    forget(pid, directory)
