"""The OpenAPI document says which webhooks are sent, and what each of them carries."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import aiohttp
import jsonschema_rs
import msgspec

from tollkeeper.notifications import EventType
from tollkeeper.notifications.examples import EXAMPLES
from tollkeeper.notifications.model import Notice
from tollkeeper.notifications.outbox import webhook_body


async def document_of(client: aiohttp.ClientSession) -> Any:
    async with client.get("openapi.json") as answer:
        return await answer.json()


async def test_every_webhook_is_in_the_document(client: aiohttp.ClientSession) -> None:
    document = await document_of(client)
    assert set(document["webhooks"]) == set(EventType)
    for type_, example in EXAMPLES.items():
        notice = Notice(
            org_id=uuid4(),
            notice_id=uuid4(),
            livemode=True,
            event=example,
            created_at=datetime.now(UTC),
        )
        told = document["webhooks"][type_]["post"]["requestBody"]["content"]["application/json"]
        schema = {**told["schema"], "components": document["components"]}
        body = msgspec.json.decode(webhook_body(notice))
        jsonschema_rs.validator_for(schema).validate(body)
        assert set(body) == set(schema["properties"])
        del body["data"][next(iter(body["data"]))]
        assert not jsonschema_rs.validator_for(schema).is_valid(body)
