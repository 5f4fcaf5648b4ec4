"""Load by `wrk`, and what it measured."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    per_second: float
    p50_ms: float
    p99_ms: float
    errors: int  # answers that are not 2xx, and connections that broke or timed out


def wrk(url: str, *, connections: int, seconds: float, script: str) -> Load:
    """Keep `connections` requests in flight for some seconds. `script` is Lua."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "load.lua")
        path.write_text(script, "utf-8")
        command = [
            *("wrk", "--threads", "1", "--connections", str(connections), "--latency"),
            *("--duration", f"{seconds:g}s", "--timeout", "20s", "--script", str(path), url),
        ]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    load = _read(done.stdout)
    if load.errors:
        print(f"{load.errors} errors from {url}", flush=True)
    return load


def _read(text: str) -> Load:
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if rate is None:
        raise SystemExit(f"wrk said something else than expected:\n{text}")
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    errors = int(bad[1]) if bad else 0
    return Load(
        per_second=float(rate[1]),
        p50_ms=_percentile(text, 50),
        p99_ms=_percentile(text, 99),
        errors=errors + (sum(map(int, broken.groups())) if broken else 0),
    )


def _percentile(text: str, percent: int) -> float:
    found = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s|m)\s*$", text, re.MULTILINE)
    return float(found[1]) * _UNITS[found[2]] if found else float("nan")
