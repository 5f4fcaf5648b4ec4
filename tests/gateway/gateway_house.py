"""The gateway with its real parts, served over real HTTP, and customers who call it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import msgspec
from anthropic import AsyncAnthropic
from gateway_upstream import Upstream, upstream_served
from openai import AsyncOpenAI
from prometheus_client import CollectorRegistry

from serving import served
from tollkeeper import ledger
from tollkeeper.base.clock import SystemClock
from tollkeeper.base.ids import uuid7
from tollkeeper.base.money import parse_nanos
from tollkeeper.base.settings import Currency, Percent, Provider, Secret, Settings
from tollkeeper.db import Database
from tollkeeper.gateway import Gateway
from tollkeeper.http import Idempotency, make_api
from tollkeeper.ledger import EntryKind, LotKind, NewLot, Posting, Wallet
from tollkeeper.metering import Meter
from tollkeeper.orgs import KeyKind, KeyRing, NewKey, create_key, create_org, create_project
from tollkeeper.pricing import (
    BookKeeper,
    PriceVersion,
    Rate,
    catalogue_dir,
    publish,
    read_price_file,
    seal,
)

DOLLAR = 1_000_000_000
MTOK = 1_000_000


def priced(provider: str, model: str, **more: Any) -> PriceVersion:
    """A model at $1 for a million tokens of input and $2 of output: 1,000 and 2,000 nanos each."""
    known: dict[str, Any] = {
        "effective_from": datetime(2026, 1, 1, tzinfo=UTC),
        "source": "a test",
        "context": 100_000,
        "max_output_tokens": 4_000,
        "rates": {"input": Rate(DOLLAR, MTOK), "output": Rate(2 * DOLLAR, MTOK)},
    }
    return seal(PriceVersion(provider=provider, model=model, **{**known, **more}))


PRICES = [
    priced("up", "gpt-up", aliases=("gpt-up-<snapshot>",)),
    priced("up", "openai/gpt-up-120b"),
    priced("up", "gpt-window", max_output_tokens=None),
    priced("up", "gpt-nolimit", max_output_tokens=None, context=None),
    priced("up", "gpt-half", rates={"input": Rate(DOLLAR, MTOK)}),
    priced("up", "embed-up", rates={"input": Rate(DOLLAR, MTOK)}, max_output_tokens=None),
    priced("up", "dall-up", rates={"image": Rate(40_000_000, 1)}, max_output_tokens=None),
    priced("up", "tts-up", rates={"character": Rate(15 * DOLLAR, MTOK)}, max_output_tokens=None),
    priced("up", "whisper-up", rates={"audio_second": Rate(100_000, 1)}, max_output_tokens=None),
    priced(
        "up",
        "gpt-tiers",
        service_tiers={"flex": {"input": Rate(DOLLAR // 2, MTOK), "output": Rate(DOLLAR, MTOK)}},
    ),
    priced("claude", "claude-up"),
    priced("dearer", "gpt-up"),
]


@dataclass(frozen=True)
class Customer:
    house: House
    org_id: UUID
    wallet_id: UUID
    project_id: UUID
    key_id: UUID
    key: str

    def openai(self, **more: Any) -> AsyncOpenAI:
        given: dict[str, Any] = {"max_retries": 0, "timeout": 20, **more}
        return AsyncOpenAI(base_url=self.house.url, api_key=self.key, **given)

    def anthropic(self, **more: Any) -> AsyncAnthropic:
        base = self.house.url.removesuffix("/v1")
        given: dict[str, Any] = {"max_retries": 0, "timeout": 20, **more}
        return AsyncAnthropic(base_url=base, api_key=self.key, **given)

    async def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        said = {
            "authorization": f"Bearer {self.key}",
            "content-type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        async with httpx.AsyncClient(timeout=20) as client:
            return await client.post(self.house.url + path, content=content, headers=said)

    async def wallet(self) -> Wallet:
        async with self.house.database.connection() as connection:
            found = await ledger.find_wallet(connection, self.org_id, self.wallet_id)
        assert found is not None
        return found

    async def balance(self) -> int:
        return (await self.wallet()).posted

    async def records(self) -> list[dict[str, Any]]:
        """Usage records, oldest first."""
        async with self.house.database.connection() as connection:
            cursor = await connection.execute(
                "SELECT to_jsonb(u) FROM usage_record u WHERE org_id = %s ORDER BY seq",
                (self.org_id,),
            )
            return [row[0] for row in await cursor.fetchall()]

    async def record(self, seconds: float = 15) -> dict[str, Any]:
        """The only record there is, waiting until it is written."""
        for _ in range(int(seconds / 0.05)):
            found = await self.records()
            if found:
                assert len(found) == 1
                return found[0]
            await asyncio.sleep(0.05)
        raise AssertionError("no usage record was written")

    async def nothing_held(self, seconds: float = 5) -> None:
        for _ in range(int(seconds / 0.05)):
            if not (await self.wallet()).held:
                return
            await asyncio.sleep(0.05)
        raise AssertionError("a hold is left")


@dataclass
class House:
    database: Database
    gateway: Gateway
    meter: Meter
    books: BookKeeper
    keys: KeyRing
    upstream: Upstream
    registry: CollectorRegistry
    url: str = ""
    clock: SystemClock = field(default_factory=SystemClock)

    async def customer(
        self, dollars: str = "10", *, livemode: bool = True, clamp: bool = False
    ) -> Customer:
        now = self.clock.now()
        org_id, project_id, key_id = uuid7(), uuid7(), uuid7()
        new = NewKey(
            org_id=org_id,
            key_id=key_id,
            project_id=project_id,
            name="test",
            kind=KeyKind.INFERENCE,
            livemode=livemode,
            clamp=clamp,
        )
        async with self.database.transaction() as tx:
            await create_org(tx, org_id=org_id, name="Acme", now=now)
            await create_project(tx, org_id=org_id, project_id=project_id, name="one", now=now)
            wallet = await ledger.open_wallet(
                tx, org_id=org_id, wallet_id=uuid7(), livemode=livemode, currency="USD", now=now
            )
            _, secret = await create_key(tx, new, chance=os.urandom(32), now=now)
        customer = Customer(self, org_id, wallet.wallet_id, project_id, key_id, secret)
        await self.grant(customer, dollars)
        return customer

    async def grant(self, customer: Customer, dollars: str) -> None:
        amount = parse_nanos(dollars)
        if not amount:
            return
        posting = Posting(
            org_id=customer.org_id,
            wallet_id=customer.wallet_id,
            entry_id=uuid7(),
            kind=EntryKind.GRANT,
            amount=amount,
            lot=NewLot(kind=LotKind.PROMOTIONAL),
        )
        async with self.database.transaction() as tx:
            await ledger.post(tx, posting, self.clock.now())

    @property
    def gateway_parts(self) -> Any:
        """What is inside, to put something out of order."""
        return self.gateway._parts

    def counted(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"tollkeeper_gateway_{name}", labels) or 0.0


def settings_for(upstream: Upstream, gateway: Mapping[str, Any] | None = None) -> Settings:
    base_url = upstream.base_url
    given: dict[str, Any] = {
        "providers": {
            "up": Provider(
                kind="openai",
                base_url=base_url,
                api_key=Secret("upstream-secret-0123"),
                models=[
                    *("gpt-*", "openai/*", "embed-*", "dall-*", "tts-*", "whisper-*"),
                    "unpriced-*",
                ],
                model_names={"house-model": "gpt-up"},
            ),
            "claude": Provider(
                kind="anthropic",
                base_url=base_url,
                api_key=Secret("anthropic-secret-0123"),
                models=["claude-*"],
            ),
            "dearer": Provider(
                kind="openai",
                base_url=base_url,
                api_key=Secret("upstream-secret-0123"),
                models=["dearer"],
                model_names={"dearer": "gpt-up"},
                markup_percent=Percent(500_000),
            ),
        }
    }
    settings = Settings(**given)
    if not gateway:
        return settings
    limits = msgspec.structs.replace(settings.gateway, **gateway)
    return msgspec.structs.replace(settings, gateway=limits)


@asynccontextmanager
async def open_house(
    database: Database,
    gateway: Mapping[str, Any] | None = None,
    currencies: Mapping[str, Currency] | None = None,
) -> AsyncGenerator[House]:
    """Compose and serve everything; `gateway` changes its settings."""
    clock, registry = SystemClock(), CollectorRegistry()
    spending = Settings(currencies=dict(currencies or {"USD": Currency()})).spending
    async with database.transaction() as tx:
        sandbox = (catalogue_dir() / "sandbox.yaml").read_text("utf-8")
        versions = [*read_price_file(sandbox, "sandbox.yaml"), *PRICES]
        # Every price is older than this test: publishing them again changes nothing.
        await publish(tx, versions, "a test", clock.now())
    books = BookKeeper(database)
    await books.refresh()
    idempotency = Idempotency(database, clock)
    async with (
        upstream_served() as upstream,
        KeyRing.open(database, clock) as keys,
        Meter.open(database, clock, spending=spending) as meter,
        Gateway.open(
            settings_for(upstream, gateway),
            clock=clock,
            keys=keys,
            books=books,
            meter=meter,
            idempotency=idempotency,
            registry=registry,
            top_up_url="https://billing.example/top-up",
        ) as opened,
    ):
        api = make_api(
            [],
            opened.routes,
            idempotency=idempotency,
            max_body_bytes=2**20,
            dependencies={},
        )
        async with served(api) as url:
            house = House(database, opened, meter, books, keys, upstream, registry, url)
            yield house
            await opened.drain(5)
