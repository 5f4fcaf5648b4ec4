"""What the metering endpoints work with, and the way a request takes to each of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from msgspec import Struct

from tollkeeper.base.clock import Clock
from tollkeeper.base.ids import uuid7
from tollkeeper.base.settings import Settings
from tollkeeper.db import Database
from tollkeeper.http import (
    App,
    Idempotency,
    Receive,
    Scope,
    Send,
    answer_once,
    header,
    read_body,
    respond_json,
)
from tollkeeper.limits import Facts
from tollkeeper.metering.intake.bodies import Report
from tollkeeper.metering.intake.spenders import Spender, Spenders
from tollkeeper.metering.intake.tariff import Sale
from tollkeeper.metering.meter import Meter
from tollkeeper.metering.paying import Purse
from tollkeeper.metering.record import Call, Previews, usage_id_of
from tollkeeper.orgs import Caller, OperatorCaller
from tollkeeper.pricing import BookKeeper


class Limits(Struct, frozen=True, kw_only=True):
    """The settings that matter here."""

    max_body_bytes: int
    events: int
    late: timedelta
    hold_ttl: timedelta
    top_up_url: str | None
    previews: Previews

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            max_body_bytes=settings.server.max_body_bytes,
            events=settings.metering.events_limit,
            late=timedelta(days=settings.metering.late_limit_days),
            hold_ttl=timedelta(seconds=settings.gateway.hold_ttl_seconds),
            top_up_url=settings.billing.top_up_url,
            previews=Previews(settings.gateway.input_preview, settings.gateway.input_preview_chars),
        )


class Desk(Struct, frozen=True, kw_only=True):
    """One per process. `spenders` says who pays, `books` what for, `meter` charges it."""

    database: Database
    clock: Clock
    meter: Meter
    books: BookKeeper
    spenders: Spenders
    idempotency: Idempotency
    limits: Limits


class Ask(Struct, frozen=True):
    """A request as it came. `run_id` is there when it carries an Idempotency-Key."""

    caller: Caller | OperatorCaller
    body: bytes
    scope: Scope
    run_id: UUID | None

    @property
    def by_customer(self) -> bool:
        """Whether a customer reports for itself, and not the operator."""
        return isinstance(self.caller, Caller)


Reply = tuple[int, bytes]
Act = Callable[[Desk, Ask], Awaitable[Reply]]


def handler(desk: Desk, act: Act) -> App:
    """Make the ASGI handler of an endpoint: known caller, whole body, each key once."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        caller = await desk.spenders.authenticate(scope)
        body = await read_body(scope, receive, desk.limits.max_body_bytes)
        if header(scope, b"idempotency-key") is None:
            await respond_json(send, *await act(desk, Ask(caller, body, scope, None)))
            return

        async def run(out: Send, run_id: UUID | None) -> None:
            await respond_json(out, *await act(desk, Ask(caller, body, scope, run_id)))

        owner = caller.org_id if isinstance(caller, Caller) else caller.key_id
        await answer_once(desk.idempotency, scope, send, (owner, caller.key_id, body), run)

    return handle


def facts_of(
    spender: Spender, sale: Sale, end_user: str | None, tags: Mapping[str, str] | None
) -> Facts:
    """Give what limits ask of a call."""
    return Facts(
        org_id=spender.org_id,
        livemode=spender.livemode,
        project_id=spender.project_id,
        key_id=spender.key_id,
        member_id=spender.member_id,
        end_user=end_user,
        provider=sale.version.provider,
        model=sale.version.model,
        tags=tags,
    )


def id_of(ask: Ask, spender: Spender, request_id: str | None) -> UUID:
    """Return the id of a call's record: named after its request, or its Idempotency-Key."""
    if request_id is None:
        return ask.run_id or uuid7()
    return usage_id_of(
        spender.org_id, request_id, livemode=spender.livemode, by_customer=ask.by_customer
    )


def call_of(
    desk: Desk,
    spender: Spender,
    sale: Sale,
    said: Report,
    usage_id: UUID,
    *,
    purse: Purse,
    started_at: datetime,
    fingerprint: int,
    request_id: str | None,
) -> Call:
    return Call(
        org_id=spender.org_id,
        wallet_id=purse.wallet_id,
        currency=purse.currency,
        usd_value=purse.usd_value,
        usage_id=usage_id,
        fingerprint=fingerprint,
        started_at=started_at,
        livemode=spender.livemode,
        operation=sale.operation,
        project_id=spender.project_id,
        key_id=spender.key_id,
        member_id=spender.member_id,
        request_id=request_id,
        provider=sale.version.provider,
        model=sale.version.model,
        thread_id=said.thread_id,
        end_user=said.end_user,
        tags=said.tags,
        input=desk.limits.previews.of(said.input),
    )
