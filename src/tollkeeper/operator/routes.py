"""`/operator/…`: credit, freezes and prices, by an operator key."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Router, get, post, put
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec import Meta

from tollkeeper import ledger, orgs, pricing
from tollkeeper.base.clock import Clock
from tollkeeper.base.errors import InvalidRequest
from tollkeeper.base.ids import read_id
from tollkeeper.credits import Shop
from tollkeeper.db import Database
from tollkeeper.http import OPERATOR_KEY, read_path_id, run_id_of
from tollkeeper.ledger import InsufficientCredits, LotKind, NewLot
from tollkeeper.operator import acts, prices
from tollkeeper.operator.acts import Act, Balance
from tollkeeper.operator.markups import MARKUP_ROUTES
from tollkeeper.operator.purchases import purchase_handlers
from tollkeeper.operator.shapes import (
    Adjustment,
    BalanceOut,
    BalancesOut,
    EntryOut,
    Grant,
    ImportPrices,
    OnBalance,
    Overdraft,
    PriceOut,
    PricesOut,
    PublishedOut,
    PublishPrices,
    Refund,
)
from tollkeeper.pricing import BookKeeper, InvalidPrices, PriceVersionConflict

AnyRequest = Request[Any, Any, State]
OrgId = FromPath[str]


def credit_routes(currencies: Collection[str], shop: Shop) -> list[ControllerRouterHandler]:
    """`currencies` are those that may be granted."""
    handlers = [
        _grant_route(currencies),
        read_balances,
        adjust,
        refund,
        freeze,
        unfreeze,
        set_overdraft,
        list_prices,
        publish_prices,
        preview_import,
        import_prices,
        *MARKUP_ROUTES,
        *purchase_handlers(shop),
    ]
    return [
        Router(
            "/operator",
            route_handlers=handlers,
            guards=[orgs.operator_only],
            tags=["Operator"],
            opt={"security": OPERATOR_KEY},
        )
    ]


def _grant_route(currencies: Collection[str]) -> ControllerRouterHandler:
    @post("/organizations/{organization_id:str}/grants", summary="Give an organization credit")
    async def grant(
        request: AnyRequest,
        organization_id: OrgId,
        data: JSONBody[Grant],
        database: NamedDependency[Database],
        clock: NamedDependency[Clock],
    ) -> EntryOut:
        acts.check_currency(data.currency, currencies)
        lot = NewLot(
            kind=LotKind.PROMOTIONAL,
            priority=data.priority,
            expires_at=data.expires_at,
            label=data.label,
        )
        act, balance = _act(request, data.reason, clock), _balance(organization_id, data)
        async with database.transaction() as tx:
            entry = await acts.grant(tx, act, balance, data.amount, lot, _source(request))
        return EntryOut.of(entry)

    return grant


@get("/organizations/{organization_id:str}/balances", summary="Read an organization's balances")
async def read_balances(organization_id: OrgId, database: NamedDependency[Database]) -> BalancesOut:
    org_id = read_path_id("org", organization_id)
    async with database.connection() as connection:
        await orgs.get_org(connection, org_id)
        wallets = await ledger.wallets_of(connection, org_id)
    return BalancesOut(data=[BalanceOut.of(wallet) for wallet in wallets])


@post(
    "/organizations/{organization_id:str}/adjustments",
    summary="Correct a balance by an entry",
)
async def adjust(
    request: AnyRequest,
    organization_id: OrgId,
    data: JSONBody[Adjustment],
    database: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> EntryOut:
    act, balance = _act(request, data.reason, clock), _balance(organization_id, data)
    async with database.transaction() as tx:
        return EntryOut.of(await acts.adjust(tx, act, balance, data.amount, _source(request)))


@post(
    "/organizations/{organization_id:str}/refunds",
    summary="Take credit off whose price was paid back",
    description="Only the ledger's side: the payment itself is refunded outside.",
    opt={"errors": (InsufficientCredits,)},
)
async def refund(
    request: AnyRequest,
    organization_id: OrgId,
    data: JSONBody[Refund],
    database: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> EntryOut:
    act, balance = _act(request, data.reason, clock), _balance(organization_id, data)
    lot_id = None if data.lot_id is None else read_id("lot", data.lot_id)
    async with database.transaction() as tx:
        entry = await acts.refund(tx, act, balance, data.amount, lot_id, _source(request))
    return EntryOut.of(entry)


@post(
    "/organizations/{organization_id:str}/freeze",
    summary="Refuse new calls on a balance",
    description="What is running still settles. The customer is not told the reason.",
    status_code=200,
)
async def freeze(
    request: AnyRequest,
    organization_id: OrgId,
    data: JSONBody[OnBalance],
    database: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> BalanceOut:
    act, balance = _act(request, data.reason, clock), _balance(organization_id, data)
    async with database.transaction() as tx:
        return BalanceOut.of(await acts.freeze(tx, act, balance))


@post(
    "/organizations/{organization_id:str}/unfreeze",
    summary="Take calls on a balance again",
    status_code=200,
)
async def unfreeze(
    request: AnyRequest,
    organization_id: OrgId,
    data: JSONBody[OnBalance],
    database: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> BalanceOut:
    act, balance = _act(request, data.reason, clock), _balance(organization_id, data)
    async with database.transaction() as tx:
        return BalanceOut.of(await acts.unfreeze(tx, act, balance))


@put(
    "/organizations/{organization_id:str}/overdraft",
    summary="Say how far below zero a balance may be spent",
)
async def set_overdraft(
    request: AnyRequest,
    organization_id: OrgId,
    data: JSONBody[Overdraft],
    database: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> BalanceOut:
    act, balance = _act(request, data.reason, clock), _balance(organization_id, data)
    async with database.transaction() as tx:
        return BalanceOut.of(await acts.set_overdraft(tx, act, balance, data.amount))


@get("/prices", summary="List the prices in force, or every version of a model")
async def list_prices(
    keeper: NamedDependency[BookKeeper],
    clock: NamedDependency[Clock],
    provider: Annotated[FromQuery[str | None], Meta(description="Only this provider's.")] = None,
    model: Annotated[
        FromQuery[str | None],
        Meta(description="This model's whole history; needs `provider`."),
    ] = None,
) -> PricesOut:
    if model is not None:
        if provider is None:
            raise InvalidRequest("provider: is required with model", {"provider": ["is required"]})
        found = keeper.book.schedule(provider, model)
    else:
        found = keeper.book.priced(clock.now())
    named = [version for version in found if provider in (None, version.provider)]
    return PricesOut(data=[PriceOut.of(version) for version in named])


@post(
    "/prices",
    summary="Publish prices",
    description="A version that is in the book already is left as it is.",
    opt={"errors": (InvalidPrices, PriceVersionConflict)},
)
async def publish_prices(
    request: AnyRequest,
    data: JSONBody[PublishPrices],
    database: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> PublishedOut:
    # JSON is YAML, so the reader of price files reads it, and says the same of its faults.
    versions = pricing.read_price_file(_write_as_it_was(data.file).decode(), "file")
    act = _act(request, data.reason, clock)
    async with database.transaction() as tx:
        added = await prices.publish_prices(tx, act, versions, backdate=data.backdate)
    return PublishedOut.of(added)


@get("/prices/import", summary="Compare genai-prices with the price book")
async def preview_import(
    keeper: NamedDependency[BookKeeper],
    clock: NamedDependency[Clock],
    provider: Annotated[FromQuery[list[str] | None], Meta(description="Only these.")] = None,
) -> dict[str, Any]:
    diff = await asyncio.to_thread(prices.compare_with_library, keeper.book, provider, clock.now())
    return pricing.diff_to_json(diff)


@post(
    "/prices/import",
    summary="Publish what genai-prices has changed",
    opt={"errors": (InvalidPrices, PriceVersionConflict)},
)
async def import_prices(
    request: AnyRequest,
    data: JSONBody[ImportPrices],
    keeper: NamedDependency[BookKeeper],
    database: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> PublishedOut:
    act = _act(request, data.reason, clock)
    diff = await asyncio.to_thread(prices.compare_with_library, keeper.book, data.providers, act.at)
    async with database.transaction() as tx:
        versions = diff.to_publish(end_missing=data.end_missing)
        added = await prices.publish_prices(tx, act, versions)
    return PublishedOut.of(added)


def _number_as_it_was(number: object) -> msgspec.Raw:
    return msgspec.Raw(str(number).encode())


_write_as_it_was = msgspec.json.Encoder(enc_hook=_number_as_it_was).encode


def _act(request: AnyRequest, why: str, clock: Clock) -> Act:
    return Act(who=orgs.name_of(orgs.operator_of(request)), why=why, at=clock.now())


def _balance(organization_id: str, data: OnBalance) -> Balance:
    org_id: UUID = read_path_id("org", organization_id)
    return Balance(org_id=org_id, livemode=data.livemode, currency=data.currency)


def _source(request: AnyRequest) -> str | None:
    """Name the entry after the run of its Idempotency-Key, so that it is posted once."""
    run_id = run_id_of(request)
    return None if run_id is None else f"operator:{run_id}"
