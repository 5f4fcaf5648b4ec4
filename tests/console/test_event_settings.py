"""The pages of notices and webhooks: each act and fault, and what is of others."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from html import unescape

from aiohttp import web
from browsing import Browser, signed_in
from sending import send, soon

from tollkeeper.base.settings import Settings, Webhooks
from whole import Customer, Whole, whole_served

NOTICES = "/console/notifications"
WEBHOOKS = "/console/webhooks"


async def test_who_is_mailed_is_chosen(whole: Whole, customer: Customer) -> None:
    key = customer.keys["test ADMIN"]
    people = dict[str, str]()
    for role in ("owner", "billing"):
        body = {"name": role.title(), "email": f"{role}@acme.test", "role": role}
        made = await whole.ask("POST", "/members", customer.keys["live ADMIN"], body)
        people[role] = made.json["id"]
    await whole.ask("POST", "/billing/purchases", key, {"amount": 25})
    other = await whole.customer()
    async with (
        signed_in(whole, customer) as one,
        signed_in(whole, customer, "billing") as billing,
        signed_in(whole, other) as stranger,
    ):
        page = await one.open(NOTICES)
        assert "owner@acme.test" in page.text
        path = f"{NOTICES}/{people['owner']}"
        assert "Credit purchased" in (await one.open(path)).text
        saved = await send(one, path, credit_balance_low="yes", dispute_opened="yes")
        assert saved.location == f"{NOTICES}?done=preferences_saved"
        assert "2 of 15 kinds" in (await one.open(NOTICES)).text
        told = (await whole.ask("GET", "/notifications/preferences", key)).json["data"]
        owner = next(one for one in told if one["memberId"] == people["owner"])
        assert sum(choice["email"] for choice in owner["preferences"]) == 2
        assert f"{NOTICES}/mem_" not in (await billing.open(NOTICES)).text
        assert (await billing.open(path)).status == 403
        assert (await send(billing, path)).status == 403
        for who in (stranger,):
            assert (await who.open(path)).status == 404
            assert (await send(who, path)).status == 404
            assert "owner@acme.test" not in (await who.open(NOTICES)).text
        assert (await one.open(f"{NOTICES}?before=forged")).status == 400
        assert (await send(one, f"{NOTICES}/read")).location == f"{NOTICES}?done=notices_read"
        assert "Mark all as read" not in (await one.open(NOTICES)).text


@asynccontextmanager
async def listening() -> AsyncGenerator[tuple[str, list[str]]]:
    """A server of the customer's: its address, and the bodies that came."""
    heard: list[str] = []

    async def hear(request: web.Request) -> web.Response:
        heard.append(await request.text())
        return web.Response(status=202, text="<i>thanks</i>")

    app = web.Application()
    app.router.add_post("/hooks", hear)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield f"http://127.0.0.1:{port}/hooks", heard
    await runner.cleanup()


async def test_webhooks_are_made_tested_changed_and_removed(database_url: str) -> None:
    settings = Settings(webhooks=Webhooks(private_targets=True))
    async with listening() as (url, heard), whole_served(database_url, settings) as whole:
        customer, other = await whole.customer(), await whole.customer()
        async with (
            signed_in(whole, customer, "admin") as one,
            signed_in(whole, other) as stranger,
            signed_in(whole, customer, livemode=True) as live,
        ):
            fresh = await one.open(f"{WEBHOOKS}/new")
            found = re.search(r'name="id" value="(whk_\w+)"', fresh.text)
            assert found
            path = f"{WEBHOOKS}/{found[1]}"
            wrong = await send(one, WEBHOOKS, url="ftp://x", description="Mine")
            assert wrong.status == 400
            assert 'id="url-fault"' in wrong.text
            assert 'value="Mine"' in wrong.text
            fields = {"id": found[1], "url": url, "dispute_opened": "yes"}
            made = await send(one, WEBHOOKS, **fields)
            assert made.status == 200
            secret = re.search(r"whsec_[\w+/=]+", unescape(made.text))
            assert secret
            for url_now in (url, f"{url}/other"):  # a second click, or something else in it
                again = await send(one, WEBHOOKS, **fields | {"url": url_now})
                assert again.location == f"{path}?done=webhook_made_before"
            listed = await one.open(WEBHOOKS)
            assert listed.text.count("open-row") == 1
            assert "whsec_" not in (await one.open(path)).text
            changed = await send(one, f"{path}/change", url=url, description="Ours")
            assert changed.location == f"{path}?done=webhook_changed"
            assert "Ours" in (await one.open(path)).text
            assert (await send(one, f"{path}/change", url="x")).status == 400
            sent = await send(one, f"{path}/test", type="credit_balance_low")
            assert sent.location == f"{path}?done=webhook_sent"

            async def delivered() -> str:
                page = await one.open(f"{path}?status=delivered")
                found = re.search(rf"{path}/deliveries/(dlv_\w+)", page.text)
                return found[0] if found else ""

            delivery = await soon(delivered)
            page = (await one.open(delivery)).text
            assert "&lt;i&gt;thanks&lt;/i&gt;" in page
            shown = unescape(page)
            assert "HTTP 202" in shown
            assert '"type": "credit_balance_low"' in shown
            again = await send(one, f"{delivery}/redeliver")
            assert again.location == f"{path}?done=webhook_sent"

            async def twice() -> bool:
                return len(heard) == 2

            await soon(twice)
            assert heard[0] == heard[1]
            rotated = await send(one, f"{path}/rotate")
            assert "whsec_" in rotated.text
            assert secret[0] not in unescape(rotated.text)
            for who in (stranger, live):
                await finds_nothing(who, path, delivery)
            await is_switched_and_removed(one, path)


async def finds_nothing(who: Browser, path: str, delivery: str) -> None:
    for page in (path, f"{path}/change", f"{path}/delete", delivery):
        assert (await who.open(page)).status == 404, page
    for act in ("enabled", "rotate", "delete"):
        assert (await send(who, f"{path}/{act}")).status == 404, act
    assert (await send(who, f"{path}/change", url="https://example.com/")).status == 404
    assert (await send(who, f"{path}/test", type="credit_balance_low")).status == 404
    assert (await send(who, f"{delivery}/redeliver")).status == 404


async def is_switched_and_removed(one: Browser, path: str) -> None:
    assert (await one.open(f"{path}/deliveries/dlv_x")).status == 404
    for query in ("status=odd", "before=forged"):
        assert (await one.open(f"{path}?{query}")).status == 400
    assert (await send(one, f"{path}/test", type="odd")).status == 400
    off = await send(one, f"{path}/enabled")
    assert off.location == f"{path}?done=webhook_off"
    assert "Nothing is sent: switched off by you." in (await one.open(path)).text
    assert (await send(one, f"{path}/test", type="usage_spike")).status == 409
    on = await send(one, f"{path}/enabled", enabled="yes")
    assert on.location == f"{path}?done=webhook_on"
    assert "type 127.0.0.1" in (await one.open(f"{path}/delete")).text
    assert (await send(one, f"{path}/delete", confirmation="x")).status == 400
    gone = await send(one, f"{path}/delete", confirmation="127.0.0.1")
    assert gone.location == f"{WEBHOOKS}?done=webhook_deleted"
    assert (await one.open(path)).status == 404
