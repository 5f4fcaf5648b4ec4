"""Schemathesis against a running server: what the document says is what happens.

It makes requests that the document allows and ones it does not, to every endpoint, with a key of
each kind. For longer runs: FUZZ_EXAMPLES=500.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from running import PATIENCE, Site, site

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "10"))
CONFIG = """\
[checks]
max_response_time = 10
# A document cannot say that a cursor has to be one of ours, that an id exists, or that an
# Idempotency-Key is fresh.
positive_data_acceptance.enabled = false

# Each event has a result of its own; one that is wrong does not spoil the others.
[[operations]]
include-path = "/api/v1/metering/events"
checks.negative_data_rejection.enabled = false
"""
# They would end the key that calls them, and all after it would be told 401.
ENDS_KEYS = ("deleteApiKeysKeyId", "patchApiKeysKeyId", "deleteProjectsProjectId")


@pytest.fixture
def here(reachable_dir: Path) -> Iterator[Site]:
    with site(reachable_dir, LOG__FORMAT="json") as made:
        (reachable_dir / "schemathesis.toml").write_text(CONFIG, "utf-8")
        yield made


def fuzz(here: Site, base: str, key: str, *options: str) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--no-color", "run"),
            f"{base}/openapi.json",
            *("--header", f"Authorization: Bearer {key}"),
            *("--max-examples", str(EXAMPLES), "--seed", "1", "--workers", "2"),
            *("--phases", "examples,coverage,fuzzing", "--continue-on-failure"),
            *("--generation-database", "none", "--suppress-health-check", "all", *options),
        ],
        cwd=here.directory,
        capture_output=True,
        text=True,
        timeout=max(PATIENCE * 4, EXAMPLES * 10),
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("which", ["adminKey", "inferenceKey", "operatorKey"])
def test_every_answer_is_one_that_the_document_has(here: Site, which: str) -> None:
    serving, shown = here.up()
    kept = [word for name in ENDS_KEYS for word in ("--exclude-operation-id", name)]
    fuzz(here, shown["baseUrl"], shown[which], *kept)
    if which == "adminKey":
        ending = [word for name in ENDS_KEYS for word in ("--include-operation-id", name)]
        fuzz(here, shown["baseUrl"], shown[which], *ending)
    assert serving.stop() == 0
    assert "unexpected_error" not in serving.said
    assert "Traceback" not in serving.said
    verified = here.run("verify")
    assert verified.returncode == 0, verified.stdout
