"""Somebody with the keys of an installation, who asks its API and reads the answers exactly."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final, TypeVar

import httpx

from running import EXAMPLES, Site

T = TypeVar("T")

PATIENCE: Final = 30.0
_BLOCK: Final = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)


@contextmanager
def walk(place: Site, name: str) -> Generator[Walker]:
    """Start an example and walk through it; at the end its books have to be clean."""
    process, shown = place.example(name)
    with httpx.Client(base_url=shown["baseUrl"], timeout=PATIENCE) as client:
        yield Walker(client, shown)
    assert process.stop() == 0, process.said
    proved = place.run("verify")
    assert proved.returncode == 0, proved.stdout + proved.stderr


class Walker:
    """Asks with the ADMIN key unless another is named; numbers come back as Decimal.

    `keys` are those that `up` prints: inference, admin, operator, liveInference, liveAdmin.
    """

    def __init__(self, client: httpx.Client, shown: dict[str, str]) -> None:
        self.base_url = shown["baseUrl"]
        self.organization_id, self.project_id = shown["organizationId"], shown["projectId"]
        self.keys = {
            name.removesuffix("Key"): secret for name, secret in shown.items() if "Key" in name
        }
        self._client = client

    def ask(
        self, method: str, path: str, body: Any = None, *, by: str = "admin", **headers: str
    ) -> httpx.Response:
        """`by` is the name of a key, a key itself, or `nobody`."""
        if by != "nobody":
            headers["authorization"] = f"Bearer {self.keys.get(by, by)}"
        return self._client.request(method, path, json=body, headers=headers)

    def get(self, path: str, *, by: str = "admin", **params: str) -> Any:
        query = str(httpx.QueryParams(params))
        return read(self.ask("GET", f"{path}?{query}" if query else path, by=by), 200)

    def post(self, path: str, body: Any, *, by: str = "admin", status: int | None = None) -> Any:
        """Raises AssertionError for an answer that is not `status`, or of an error unless said."""
        return read(self.ask("POST", path, body, by=by), status)

    def put(self, path: str, body: Any, *, by: str = "admin", status: int | None = None) -> Any:
        return read(self.ask("PUT", path, body, by=by), status)

    def balance(self, by: str = "admin") -> Decimal:
        return exact(self.get("/billing/balance", by=by)["available"])

    def lists(self, path: str, *, by: str = "admin", **params: str) -> list[Any]:
        return self.get(path, by=by, **params)["data"]

    def add_card(self) -> str:
        """Put a card on file that always pays, and return its id."""
        added = self.post("/billing/payment-methods", {"token": "pm_card_visa"})
        return added["paymentMethod"]["id"]


def read(answer: httpx.Response, status: int | None) -> Any:
    wanted = answer.is_success if status is None else answer.status_code == status
    assert wanted, f"{answer.status_code}: {answer.text}"
    return json.loads(answer.text, parse_float=Decimal) if answer.content else None


def exact(amount: Any) -> Decimal:
    return Decimal(str(amount))


def until(question: Callable[[], T | None], seconds: float = PATIENCE) -> T:
    """Ask again and again until there is an answer that is not empty."""
    end = time.monotonic() + seconds
    while not (found := question()):
        assert time.monotonic() < end, f"still {found!r} after {seconds:.0f} s"
        time.sleep(0.05)
    return found


def stays(question: Callable[[], bool], seconds: float = 1.0) -> None:
    """Ask for as long as whatever might still happen would take to."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert question(), "it did not stay so"
        time.sleep(0.05)


def paste(place: Site, name: str, base_url: str) -> list[str]:
    """Paste the blocks of an example's README into a shell, the first line of all left out.

    Returns what each block printed.
    """
    start, *blocks = _BLOCK.findall((EXAMPLES / name / "README.md").read_text("utf-8"))
    assert start == f"./dev example {name}\n"
    script = "set -eu\n" + "echo '--8<--'\n".join(blocks)
    (place.directory / ".tollkeeper").symlink_to(place.data_dir)
    done = subprocess.run(
        ["/bin/bash", "-c", script.replace("http://127.0.0.1:8080/api/v1", base_url)],
        cwd=place.directory,
        env=place.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split("--8<--\n")
