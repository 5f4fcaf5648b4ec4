"""What Prometheus learns of this room. No label names a customer; nothing counts money."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from tollkeeper.pricing import INPUT_TOKENS, OUTPUT_TOKENS

# From a call that met a warm process to one that waited for a database's restart.
_BUCKETS: Final = (0.001, 0.002, 0.004, 0.008, 0.015, 0.03, 0.06, 0.125, 0.25, 0.5, 1, 2.5, 10)


class Outcome(StrEnum):
    """How a call ended, for the log and the metrics."""

    ANSWERED = "answered"
    REFUSED = "refused"  # by us, before anything was sent
    OUT_OF_CREDIT = "out_of_credit"
    UPSTREAM_ERROR = "upstream_error"  # before any output: nothing was charged
    BROKEN = "broken"  # by the provider, in the middle of its answer
    CLIENT_GONE = "client_gone"  # in the middle of a stream
    REPLAYED = "replayed"
    FAULT = "fault"  # ours


class GatewayMetrics:
    """The metrics of one process. Their names are theirs for ever."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = Counter(
            "tollkeeper_gateway_calls_total",
            "Calls to models, by endpoint and by how they ended: answered, refused, out_of_credit,"
            " upstream_error, broken, client_gone, replayed, fault.",
            ["dialect", "outcome"],
            registry=registry,
        )
        self.added_seconds = Histogram(
            "tollkeeper_gateway_added_seconds",
            "What this gateway added to the provider's own time, for calls that were answered.",
            ["dialect"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self.tokens = Counter(
            "tollkeeper_gateway_tokens_total",
            "Tokens that were charged, by direction (input, output).",
            ["direction"],
            registry=registry,
        )
        self.not_exact = Counter(
            "tollkeeper_gateway_inexact_calls_total",
            "Calls charged by less than the provider's final counts, by source (partial: cut"
            " short; estimated: the provider gave none).",
            ["source"],
            registry=registry,
        )
        self.unpriced = Counter(
            "tollkeeper_gateway_unpriced_calls_total",
            "Calls in which something was used that has no price: it was recorded, not charged.",
            registry=registry,
        )
        self.past_hold = Counter(
            "tollkeeper_gateway_past_hold_calls_total",
            "Calls that cost more than was held for them: posted all the same.",
            registry=registry,
        )
        self.odd = Counter(
            "tollkeeper_gateway_odd_usage_total",
            "Calls whose provider gave counts that contradict each other.",
            ["provider"],
            registry=registry,
        )
        self.drains = Counter(
            "tollkeeper_gateway_drains_total",
            "Streams whose client had left, by whether their usage was still learnt (finished,"
            " cut).",
            ["end"],
            registry=registry,
        )
        self._ended: dict[tuple[str, Outcome], Counter] = {}
        self._added: dict[str, Histogram] = {}
        self._read = self.tokens.labels("input")
        self._written = self.tokens.labels("output")

    def note_end(self, dialect: str, outcome: Outcome) -> None:
        # Looking a child up by its labels costs more than counting; there are few of them.
        ended = self._ended.get((dialect, outcome))
        if ended is None:
            ended = self._ended[dialect, outcome] = self.calls.labels(dialect, outcome.value)
        ended.inc()

    def note_added(self, dialect: str, seconds: float) -> None:
        added = self._added.get(dialect)
        if added is None:
            added = self._added[dialect] = self.added_seconds.labels(dialect)
        added.observe(seconds)

    def note_usage(self, usage: Mapping[str, int], source: str) -> None:
        read = written = 0
        for unit, count in usage.items():
            if unit in INPUT_TOKENS:
                read += count
            elif unit in OUTPUT_TOKENS:
                written += count
        self._read.inc(read)
        self._written.inc(written)
        if source != "provider":
            self.not_exact.labels(source).inc()
