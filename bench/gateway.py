"""Calls through the gateway, beside nginx, a bare proxy with the same HTTP client, and LiteLLM.

    ./dev bench gateway [--seconds N] [--rounds N] [--without-litellm]

All forward to one local upstream, in the same run, by turns. The gateway does all of its work:
key, worst case, hold, forward, usage, cost, settlement committed before the answer. LiteLLM runs
without a database (its engine does not come from PyPI), so without keys, budgets and records.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from _load import Load, wrk
from _report import Row, middle, show
from _stand import free_port, populate, postgres, running, serving

_HERE = Path(__file__).parent
_CONNECTIONS = 50
_DELAY = 0.05
_MODEL = "gpt-4.1-mini"
_LITELLM = "litellm[proxy]==1.106.2"
_REQUEST = """
wrk.method = "POST"
wrk.path = "%s"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer %s"
wrk.body = '%s'
"""

# What a machine is for: the peers in Python are one process each, as they come.
_WORKERS = max(2, (os.cpu_count() or 1) - 1)
_SEVERAL = f"tollkeeper, {_WORKERS} workers"

# name → (base URL up to the dialect's path, key)
Target = tuple[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without-litellm", action="store_true")
    options = parser.parse_args()
    results: dict[tuple[str, str, str], list[Load]] = {}
    for delay in (0.0, _DELAY):
        with _targets(delay, litellm=not options.without_litellm) as targets:
            for number in range(options.rounds + 1):
                for mode in ("plain", "stream"):
                    for name, target in targets.items():
                        load = _load(target, options.seconds, stream=mode == "stream")
                        if number:  # the first round warms up
                            key = (f"{delay * 1000:.0f} ms", mode, name)
                            results.setdefault(key, []).append(load)
    _report(results)


def _load(target: Target, seconds: float, *, stream: bool) -> Load:
    url, key = target
    body = {
        "model": _MODEL,
        "messages": [{"role": "user", "content": "Write twenty words, please."}],
        "max_tokens": 64,
        **({"stream": True} if stream else {}),
    }
    base, path = url.split("/", 3)[:3], "/" + url.split("/", 3)[3]
    script = _REQUEST % (path, key, json.dumps(body, separators=(",", ":")))
    return wrk("/".join(base), connections=_CONNECTIONS, seconds=seconds, script=script)


@contextmanager
def _targets(delay: float, *, litellm: bool) -> Generator[dict[str, Target]]:
    with ExitStack() as stack:
        port = free_port()
        upstream = f"http://127.0.0.1:{port}"
        command = [sys.executable, str(_HERE / "_upstream.py"), str(port), str(delay)]
        stack.enter_context(_listening(command, port))
        path = "/v1/chat/completions"
        targets = {
            "upstream itself": (upstream + path, "none"),
            "nginx": (stack.enter_context(_nginx(upstream)) + path, "none"),
            "bare proxy": (stack.enter_context(_bare(upstream)) + path, "none"),
            "tollkeeper": stack.enter_context(_tollkeeper(upstream, 1)),
            _SEVERAL: stack.enter_context(_tollkeeper(upstream, _WORKERS)),
        }
        if litellm:
            key = f"sk-{secrets.token_hex(32)}"
            targets["LiteLLM"] = (stack.enter_context(_litellm(upstream, key)) + path, key)
        yield targets


@contextmanager
def _tollkeeper(upstream: str, workers: int) -> Generator[Target]:
    with postgres() as server:
        (customer,) = populate(server.url, 1, livemode=True)
        settings = {
            "TOLLKEEPER_PROVIDERS__OPENAI__KIND": "openai",
            "TOLLKEEPER_PROVIDERS__OPENAI__BASE_URL": f"{upstream}/v1",
            "TOLLKEEPER_PROVIDERS__OPENAI__API_KEY": "none",
        }
        with serving(server.url, "--workers", str(workers), settings=settings) as base:
            yield f"{base}/api/v1/chat/completions", customer.key


@contextmanager
def _bare(upstream: str) -> Generator[str]:
    port = free_port()
    command = [sys.executable, str(_HERE / "_bare_proxy.py"), str(port), upstream]
    with _listening(command, port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _nginx(upstream: str) -> Generator[str]:
    if shutil.which("nginx") is None:
        raise SystemExit("nginx is missing: apt-get install nginx-light")
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        config = f"""
            daemon off; worker_processes 1; pid {directory}/pid; error_log stderr error;
            events {{ worker_connections 1024; }}
            http {{
                access_log off;
                client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
                fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u;
                scgi_temp_path {directory}/s;
                upstream model {{ server {upstream.removeprefix("http://")}; keepalive 128; }}
                server {{
                    listen 127.0.0.1:{port};
                    location / {{
                        proxy_pass http://model; proxy_http_version 1.1;
                        proxy_set_header Connection ""; proxy_buffering off;
                    }}
                }}
            }}
        """
        path = Path(directory, "nginx.conf")
        path.write_text(config, "utf-8")
        with _listening(["nginx", "-c", str(path), "-p", directory], port):
            yield f"http://127.0.0.1:{port}"


@contextmanager
def _litellm(upstream: str, key: str) -> Generator[str]:
    environment = _HERE.parent / ".cache" / "bench" / "litellm"
    program = environment / "bin" / "litellm"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", _LITELLM]
        subprocess.run(pip, check=True)
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "config.yaml")
        model = {"model": f"openai/{_MODEL}", "api_base": f"{upstream}/v1", "api_key": "none"}
        config = {"model_list": [{"model_name": _MODEL, "litellm_params": model}]}
        path.write_text(json.dumps(config), "utf-8")
        command = [str(program), "--config", str(path), "--port", str(port), "--host", "127.0.0.1"]
        quiet = {**os.environ, "LITELLM_LOG": "ERROR", "LITELLM_MASTER_KEY": key}
        ready = f"http://127.0.0.1:{port}/health/liveliness"
        with running(command, ready, quiet):
            yield f"http://127.0.0.1:{port}"


@contextmanager
def _listening(command: Sequence[str], port: int) -> Generator[None]:
    with running(command, f"http://127.0.0.1:{port}/", post=True):
        yield


def _report(results: dict[tuple[str, str, str], list[Load]]) -> None:
    rows: list[Row] = [
        {
            "upstream delay": delay,
            "mode": mode,
            "through": name,
            "per second": middle([load.per_second for load in loads]),
            "p50 ms": middle([load.p50_ms for load in loads]),
            "p99 ms": middle([load.p99_ms for load in loads]),
            "errors": sum(load.errors for load in loads),
        }
        for (delay, mode, name), loads in results.items()
    ]
    goals: list[tuple[str, float, str]] = []
    for mode in ("plain", "stream"):
        fast = {
            name: loads
            for (delay, m, name), loads in results.items()
            if (delay, m) == ("0 ms", mode)
        }
        slow = {
            name: loads
            for (delay, m, name), loads in results.items()
            if (delay, m) == (f"{_DELAY * 1000:.0f} ms", mode)
        }
        for name in ("tollkeeper", _SEVERAL):
            goals += _goals(f"{mode}, {name}", name, fast, slow)
    show("gateway", rows, goals)


def _goals(
    what: str, name: str, fast: dict[str, list[Load]], slow: dict[str, list[Load]]
) -> list[tuple[str, float, str]]:
    goals = [
        (f"{what}: requests/s per bare proxy's", _ratio(fast[name], fast["bare proxy"]), "≥ 0.75")
    ]
    if "LiteLLM" in fast:
        per = _ratio(fast[name], fast["LiteLLM"])
        goals.append((f"{what}: requests/s per LiteLLM's", per, "≥ 40"))
    for field, wanted in (("p50_ms", "≤ 4"), ("p99_ms", "≤ 20")):
        added = [
            getattr(ours, field) - getattr(direct, field)
            for ours, direct in zip(slow[name], slow["upstream itself"], strict=True)
        ]
        goals.append((f"{what}: added {field[:3]} ms at 50 ms", middle(added), wanted))
    return goals


def _ratio(ours: Sequence[Load], theirs: Sequence[Load]) -> float:
    pairs = zip(ours, theirs, strict=True)
    return middle([one.per_second / other.per_second for one, other in pairs])


if __name__ == "__main__":
    main()
