"""Commands run as people run them, and what they print without what differs from run to run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CHANGING = (
    (re.compile(r"\b(org|prj|key|opk|mem|ent|lot|use|aud)_[0-9a-f]{32}"), r"\1_…"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z?"), "<time>"),
    (re.compile(r"tk_(live|test|op)_[A-Za-z0-9_-]{43}"), r"tk_\1_<secret>"),
    (re.compile(r"tk_(live|test|op)_[A-Za-z0-9_-]{4}(?![A-Za-z0-9_-])"), r"tk_\1_<4>"),
)


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def ndjson(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def shape(self) -> str:
        """Its output with what differs from run to run named instead, and single spaces."""
        text = self.out
        for pattern, name in _CHANGING:
            text = pattern.sub(name, text)
        return "\n".join(re.sub(r" {2,}", "  ", line).rstrip() for line in text.splitlines())


Command = Callable[..., Done]


def kept_environ() -> dict[str, str]:
    """The environment without what would be settings."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("TOLLKEEPER_", "DATABASE_"))}


def run_process(*arguments: str, cwd: Path, **environ: str) -> Done:
    """Run a command as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tollkeeper", *arguments],
        cwd=cwd,
        env={**kept_environ(), **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)
