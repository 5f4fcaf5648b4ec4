"""What a process does while processes of the next version write beside it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import aiohttp
import pytest
from house import House, Receiver

from tollkeeper.base.ids import uuid7
from tollkeeper.db import Connection
from tollkeeper.notifications import Courier, notification_handlers


async def ask(client: aiohttp.ClientSession, path: str) -> dict[str, Any]:
    async with client.get(path) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def newer_notice(owner: Connection, house: House) -> UUID:
    notice_id = uuid7()
    await owner.execute(
        "INSERT INTO notice (org_id, notice_id, type, livemode, data, created_at)"
        " VALUES (%s, %s, 'of_the_next_version', true, '{}', %s)",
        (house.org_id, notice_id, house.clock.now()),
    )
    return notice_id


async def test_notices_of_types_that_are_not_known_are_left_out_of_lists(
    client: aiohttp.ClientSession, house: House, owner: Connection
) -> None:
    said = [await house.say()]
    await newer_notice(owner, house)
    said.append(await house.say())
    first = await ask(client, "notifications?limit=1")
    rest = await ask(client, f"notifications?limit=1&cursor={first['nextCursor']}")
    assert [one["id"] for one in first["data"] + rest["data"]] == [
        f"ntc_{notice_id.hex}" for notice_id in reversed(said)
    ]
    assert (rest["nextCursor"], rest["unread"]) == (None, 2)


async def test_a_fan_out_of_a_type_that_is_not_known_is_tried_again_elsewhere(
    house: House, owner: Connection, courier: Courier
) -> None:
    notice_id = await newer_notice(owner, house)
    fan_out = notification_handlers(house.database, house.clock, courier)[0].run
    with pytest.raises(ValueError, match="of_the_next_version"):
        await fan_out(org_id=house.org_id.hex, notice_id=notice_id.hex)


async def test_deliveries_of_types_that_are_not_known_are_left_out_of_lists(
    client: aiohttp.ClientSession, receiver: Receiver, owner: Connection
) -> None:
    async with client.post("webhooks", json={"url": receiver.url}) as answer:
        hook = (await answer.json())["id"]
    for type_ in ("credit_balance_low", "usage_spike"):
        async with client.post(f"webhooks/{hook}/test", json={"type": type_}) as answer:
            assert answer.status == 202
    await owner.execute(
        "UPDATE webhook_delivery SET type = 'of_the_next_version' WHERE type = 'usage_spike'"
    )
    listed = await ask(client, f"webhooks/{hook}/deliveries")
    assert [one["type"] for one in listed["data"]] == ["credit_balance_low"]


async def test_types_that_are_not_known_stay_with_their_webhook(
    client: aiohttp.ClientSession,
    house: House,
    receiver: Receiver,
    owner: Connection,
    courier: Courier,
) -> None:
    async with client.post("webhooks", json={"url": receiver.url}) as answer:
        path = f"webhooks/{(await answer.json())['id']}"
    newer = "of_the_next_version"
    await owner.execute("UPDATE webhook_endpoint SET types = %s", ([newer],))
    assert (await ask(client, path))["types"] == []
    fan_out = notification_handlers(house.database, house.clock, courier)[0].run
    await fan_out(org_id=house.org_id.hex, notice_id=(await house.say()).hex)
    assert (await ask(client, f"{path}/deliveries"))["data"] == [], "they are not all types"
    for body, left in (
        ({"description": "x"}, [newer]),
        ({"types": ["usage_spike"]}, ["usage_spike"]),
    ):
        async with client.patch(path, json=body) as answer:
            assert answer.status == 200
        found = await owner.execute("SELECT types FROM webhook_endpoint")
        assert await found.fetchone() == (left,)
