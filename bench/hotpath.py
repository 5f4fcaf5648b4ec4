"""Charges over HTTP, each durable before its answer, against pgbench on the same server.

    ./dev bench hotpath [--seconds N] [--rounds N] [--workers N]

One charge is: authenticate, rate two kinds of tokens, check the balance, write the usage record
and the entry, commit, answer. pgbench's simple-update is one UPDATE, one SELECT and one INSERT by
a client in C that speaks no HTTP. Both run in every round, on one PostgreSQL.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

from _load import Load, wrk
from _report import Row, middle, show
from _stand import Customer, populate, postgres, postgres_program, serving

_WALLETS = 1000
_PEER_CLIENTS = 32
CHARGE = """
local keys = {%s}
local run = "%s"
local n = 0
local headers = {}
for i, key in ipairs(keys) do
  headers[i] = {["Authorization"] = "Bearer " .. key, ["Content-Type"] = "application/json"}
end
request = function()
  n = n + 1
  local body = '{"provider":"openai","model":"gpt-4.1-mini",'
    .. '"usage":{"input":1200,"output":300},"requestId":"' .. run .. n .. '"}'
  return wrk.format("POST", "/api/v1/metering/charges", headers[n %% #keys + 1], body)
end
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    # One core is left to PostgreSQL and to the load itself.
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 1) - 1))
    options = parser.parse_args()
    with postgres() as server:
        customers = populate(server.url, _WALLETS)
        peer = _Peer(server.url_of("postgres"))
        with serving(server.url, "--workers", str(options.workers)) as base:
            rounds = [
                _round(base, customers, peer, options.seconds, number)
                for number in range(options.rounds + 1)
            ][1:]  # the first one warms up
    _report(rounds)


def _round(
    base: str, customers: Sequence[Customer], peer: _Peer, seconds: float, number: int
) -> dict[str, Load]:
    def charge(name: str, who: Sequence[Customer], connections: int) -> Load:
        keys = ",".join(f'"{customer.key}"' for customer in who)
        script = CHARGE % (keys, f"{os.getpid()}-{number}-{name}-")
        return wrk(base, connections=connections, seconds=seconds, script=script)

    return {
        "pgbench simple-update, 32 clients": peer.run(seconds),
        "1,000 wallets, 64 connections": charge("spread", customers, 64),
        "one hot wallet, 64 connections": charge("hot", customers[:1], 64),
        "1,000 wallets, 256 connections": charge("many", customers, 256),
    }


def _report(rounds: Sequence[dict[str, Load]]) -> None:
    def of(name: str, field: str) -> float:
        return middle([float(getattr(loads[name], field)) for loads in rounds])

    peer, spread, hot, _ = rounds[0]
    rows: list[Row] = [
        {
            "what": name,
            "per second": of(name, "per_second"),
            "p50 ms": of(name, "p50_ms"),
            "p99 ms": of(name, "p99_ms"),
            "errors": sum(loads[name].errors for loads in rounds),
        }
        for name in rounds[0]
    ]
    show(
        "hotpath",
        rows,
        [
            (
                "charges per pgbench transaction",
                middle([r[spread].per_second / r[peer].per_second for r in rounds]),
                "≥ 1.2",
            ),
            ("p99 ms at 64 connections", of(spread, "p99_ms"), "≤ 25"),
            (
                "one hot wallet per 1,000 wallets",
                middle([r[hot].per_second / r[spread].per_second for r in rounds]),
                "≥ 0.9",
            ),
        ],
    )


class _Peer:
    """pgbench, scale 10, in a database of its own on the same server."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        where = parse_qs(parts.query)
        self._environment = {
            **os.environ,
            "PGHOST": where["host"][0],
            "PGPORT": where["port"][0],
            "PGUSER": parts.username or "",
            "PGPASSWORD": parts.password or "",
            "PGDATABASE": "pgbench",
        }
        self._call("psql", "-d", "postgres", "-qc", "CREATE DATABASE pgbench")
        self._call("pgbench", "-i", "-s", "10", "-q")

    def run(self, seconds: float) -> Load:
        text = self._call(
            *("pgbench", "-b", "simple-update", "-M", "prepared", "-n"),
            *("-c", str(_PEER_CLIENTS), "-j", "2", "-T", str(round(seconds))),
        )
        rate = re.search(r"tps = ([\d.]+)", text)
        latency = re.search(r"latency average = ([\d.]+) ms", text)
        if rate is None or latency is None:
            raise SystemExit(f"pgbench said something else than expected:\n{text}")
        return Load(
            per_second=float(rate[1]), p50_ms=float(latency[1]), p99_ms=float("nan"), errors=0
        )

    def _call(self, program: str, *arguments: str) -> str:
        command = [postgres_program(program), *arguments]
        done = subprocess.run(
            command, env=self._environment, check=True, capture_output=True, text=True
        )
        return done.stdout


if __name__ == "__main__":
    main()
