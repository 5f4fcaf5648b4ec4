"""What the OpenAPI document says is what the endpoints do, whatever is sent to them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from people import Acme, hire_operator
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from tollkeeper.orgs import KeyKind

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


# The server is in this process: what its pools draw from `random` is no fault of a strategy.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
async def test_nothing_undocumented_happens(
    base: str, acme: Acme, mode: schemathesis.GenerationMode
) -> None:
    _, admin = await acme.key(kind=KeyKind.ADMIN)
    _, operator = await hire_operator(acme.database, acme.now)
    tried = await asyncio.to_thread(try_all, base, {"admin": admin, "operator": operator}, mode)
    assert tried == 19


def try_all(base: str, secrets: dict[str, str], mode: schemathesis.GenerationMode) -> int:
    schema: Any = schemathesis.openapi.from_url(f"{base}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    for operation in operations:
        secret = secrets["operator" if "/operator/" in operation.path else "admin"]
        try_one(operation.as_strategy(generation_mode=mode), f"Bearer {secret}")
    return len(operations)


def try_one(cases: Any, authorization: str) -> None:
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(case=cases)
    def attempt(case: Any) -> None:
        case.call_and_validate(headers={"authorization": authorization}, checks=CHECKS)

    attempt()
