"""The room, opened: who takes the money, what is served, and what runs in the background."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple

import structlog
from litestar.types import ControllerRouterHandler

from tollkeeper.base.clock import Clock
from tollkeeper.base.settings import Settings
from tollkeeper.db import Database
from tollkeeper.http import HotRoute
from tollkeeper.payments.inbox.handling import catch_up, handle_pending
from tollkeeper.payments.inbox.post import deliver_sandbox
from tollkeeper.payments.inbox.routes import webhook_route
from tollkeeper.payments.landing import BILLING_PATH
from tollkeeper.payments.methods.routes import method_routes
from tollkeeper.payments.processors import Processor, Processors
from tollkeeper.payments.processors.sandbox import SandboxProcessor, sandbox_pages
from tollkeeper.payments.till import Till
from tollkeeper.payments.unfinished import settle_unfinished

# Without a webhook endpoint, asking is the only way to hear of anything.
_CATCH_UP_SECONDS: Final = 300.0
_CATCH_UP_ALONE_SECONDS: Final = 5.0

_log = structlog.stdlib.get_logger(__name__)


class Chore(NamedTuple):
    """Something to do every so many seconds, in any number of processes; says how much it did."""

    name: str
    every_seconds: float
    run: Callable[[], Awaitable[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Payments:
    """`routes` and `hot_routes` lie below `/api/v1`, `pages` at the root."""

    till: Till
    sandbox: SandboxProcessor | None
    routes: list[ControllerRouterHandler]
    hot_routes: list[HotRoute]
    pages: list[ControllerRouterHandler]
    chores: list[Chore]


@asynccontextmanager
async def open_payments(
    settings: Settings, database: Database, clock: Clock, instance_secret: bytes, base_url: str
) -> AsyncGenerator[Payments]:
    """`base_url` is where customers reach this server, without `/api`."""
    async with AsyncExitStack() as opened:
        processors: list[Processor] = []
        sandbox = None
        if settings.stripe.secret_key is not None:
            # Its SDK takes most of a second to read: only who uses it waits for it.
            from tollkeeper.payments.processors.stripe import open_stripe

            processors.append(await opened.enter_async_context(open_stripe(settings.stripe, clock)))
        if settings.payments.sandbox:
            sandbox = SandboxProcessor(database, clock, instance_secret, base_url)
            processors.append(sandbox)
        till = Till(database=database, processors=Processors(tuple(processors)), clock=clock)
        yield _payments(settings, till, sandbox, base_url)


def _payments(
    settings: Settings, till: Till, sandbox: SandboxProcessor | None, base_url: str
) -> Payments:
    hot_routes: list[HotRoute] = []
    secret = settings.stripe.webhook_secret
    for processor in till.processors.all:
        if isinstance(processor, SandboxProcessor):
            signed_with = processor.webhook_secret
        else:
            signed_with = None if secret is None else secret.reveal()
        if signed_with is not None:
            hot_routes.append(webhook_route(till, processor, signed_with=signed_with))
        else:
            _log.warning(
                "no_webhook_endpoint",
                processor=processor.name,
                reason="stripe.webhook_secret is not set; events are asked for instead",
            )

    async def deliver() -> int:
        return 0 if sandbox is None else await deliver_sandbox(till, sandbox)

    async def renew() -> int:
        return 0 if sandbox is None else await sandbox.subscriptions.renew_due()

    alone = settings.stripe.secret_key is not None and secret is None
    chores = [
        Chore("handle_payment_events", 1, lambda: handle_pending(till)),
        Chore("settle_unfinished_payments", 5, lambda: settle_unfinished(till)),
        Chore(
            "catch_up_payment_events",
            _CATCH_UP_ALONE_SECONDS if alone else _CATCH_UP_SECONDS,
            lambda: catch_up(till),
        ),
        *([Chore("deliver_sandbox_webhooks", 1, deliver)] if sandbox is not None else []),
        *([Chore("renew_sandbox_subscriptions", 60, renew)] if sandbox is not None else []),
    ]
    return Payments(
        till=till,
        sandbox=sandbox,
        routes=method_routes(till, base_url.rstrip("/") + BILLING_PATH),
        hot_routes=hot_routes,
        pages=[] if sandbox is None else sandbox_pages(sandbox, deliver),
        chores=chores,
    )
