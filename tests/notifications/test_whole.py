"""The whole application: a worker beside the requests, real mail and a real receiver."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from house import LOW, Receiver
from standardwebhooks import Webhook

from tollkeeper.base.settings import Mail, Settings, Webhooks
from tollkeeper.notifications import notify
from whole import whole_served


async def test_notices_arrive_by_mail_and_webhook(
    database_url: str, receiver: Receiver, post: Any
) -> None:
    settings = Settings(
        mail=Mail(host="127.0.0.1", port=post.port, security="none", sender="T <t@example.org>"),
        webhooks=Webhooks(private_targets=True),
    )
    async with whole_served(database_url, settings) as whole:
        customer = await whole.customer()
        key = customer.keys["live ADMIN"]
        ada = {"name": "Ada", "email": "ada@example.com", "role": "owner"}
        assert (await whole.ask("POST", "/members", key, ada)).status == 201
        made = await whole.ask("POST", "/webhooks", key, {"url": receiver.url})
        assert made.status == 201, made.text
        began = time.monotonic()
        async with whole.database.transaction() as tx:
            await notify(tx, customer.org_id, LOW, now=whole.app.rooms.clock.now())
        async with asyncio.timeout(20):
            while not (receiver.got and post.mails):  # noqa: ASYNC110 (others make it true)
                await asyncio.sleep(0.02)
        assert time.monotonic() - began < 10
        headers, body = receiver.got[0]
        message = Webhook(made.json["secret"]).verify(body, headers)
        assert message["organizationId"] == customer.id
        assert "$4.50" in post.mails[0].get_body(("plain",)).get_content()
        listed = await whole.ask("GET", "/notifications", key)
        assert [notice["type"] for notice in listed.json["data"]] == ["credit_balance_low"]
        inference = await whole.ask("GET", "/notifications", customer.keys["live INFERENCE"])
        assert inference.status == 401
        other = await whole.ask("GET", "/webhooks", customer.keys["test ADMIN"])
        assert other.json["data"] == []


async def test_what_auto_top_up_does_arrives_by_mail_and_webhook(
    database_url: str, receiver: Receiver, post: Any
) -> None:
    settings = Settings(
        mail=Mail(host="127.0.0.1", port=post.port, security="none", sender="T <t@example.org>"),
        webhooks=Webhooks(private_targets=True),
    )
    async with whole_served(database_url, settings) as whole:
        customer = await whole.customer()
        key = customer.keys["test ADMIN"]
        ada = {"name": "Ada", "email": "ada@example.com", "role": "owner"}
        made = await whole.ask("POST", "/members", customer.keys["live ADMIN"], ada)
        assert made.status == 201
        made = await whole.ask("POST", "/webhooks", key, {"url": receiver.url})
        card = await whole.ask("POST", "/billing/payment-methods", key, {"token": "pm_card_visa"})
        assert card.status == 201
        on = {"enabled": True, "threshold": 20, "amount": 25}
        assert (await whole.ask("PUT", "/billing/auto-top-up", key, on)).status == 200

        def told() -> dict[str, Any]:
            messages = [Webhook(made.json["secret"]).verify(b, h) for h, b in receiver.got]
            return {message["type"]: message["data"] for message in messages}

        def mailed() -> bool:
            texts = [mail.get_body(("plain",)).get_content() for mail in post.mails]
            return any("fell below $20.00, so $25.00" in text for text in texts)

        async with asyncio.timeout(20):
            while not ("credit_auto_recharge_triggered" in told() and mailed()):  # noqa: ASYNC110 (others make it true)
                await asyncio.sleep(0.05)
        triggered = told()["credit_auto_recharge_triggered"]
        assert (triggered["amount"], triggered["available"]) == (25, 35)
        assert told()["credit_purchased"]["purchaseId"] == triggered["purchaseId"]
