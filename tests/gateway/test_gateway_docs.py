"""The reference page says everything that this room can answer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from gateway_house import House

from tollkeeper.base.errors import TollkeeperError, catalogue
from tollkeeper.gateway.client import MAX_KEPT_BYTES
from tollkeeper.gateway.headers import MAX_LABEL, MAX_TAGS
from tollkeeper.http.asgi import REST_OF_PATH

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "reference" / "gateway-api.md").read_text("utf-8")
README = Path(__file__).parents[2] / "src/tollkeeper/gateway/README.md"

# Raised in this room, or on its behalf by those below it. `client_left` has nobody to hear it.
OURS = sorted(
    {
        error.code
        for error in catalogue()
        if error.__module__.startswith("tollkeeper.gateway") and error.code != "client_left"
    }
    | {"insufficient_credits", "wallet_frozen", "model_not_priced", "already_charged"}
    | {"invalid_request", "invalid_api_key", "payload_too_large", "service_unavailable"}
    | {"request_in_progress", "idempotency_key_reused", "upstream_refused"}
)


@pytest.mark.parametrize("code", OURS)
def test_every_error_has_its_line(code: str) -> None:
    assert f"`{code}`" in PAGE


def test_each_error_stands_with_its_status() -> None:
    status_of: dict[str, int] = {error.code: error.status for error in catalogue()}
    del status_of[TollkeeperError.code]
    for line in PAGE.splitlines():
        found = re.match(r"\| (\d{3}) \| (`.*?`) \|", line)
        for code in re.findall(r"`(\w+)`", found[2]) if found else ():
            assert status_of.get(code, 502) == int(found[1] if found else 0), code


async def test_every_endpoint_has_its_line(house: House) -> None:
    for route in house.gateway.routes:
        assert route.path.replace(REST_OF_PATH, "{id}") + "`" in PAGE, route.path


def test_limits_are_as_they_are_written() -> None:
    assert f"up to {MAX_KEPT_BYTES // 2**20} MiB" in PAGE
    assert f"up to {MAX_LABEL} printable" in PAGE
    assert f"up to {MAX_TAGS} texts" in PAGE


def test_every_invariant_is_held_by_a_test() -> None:
    numbers = re.findall(r"^- \*\*(G\d+)\*\*", README.read_text("utf-8"), re.MULTILINE)
    tests = "\n".join(
        path.read_text("utf-8") for path in Path(__file__).parent.glob("test_gateway_*.py")
    )
    assert numbers
    assert [number for number in numbers if not re.search(rf"\b{number}\b", tests)] == []
