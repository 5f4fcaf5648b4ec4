"""A shop on the bench: credit for money, through the imitation of Stripe that the tests use."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final
from uuid import UUID

from tollkeeper import app, invoices
from tollkeeper.base.clock import SystemClock
from tollkeeper.base.ids import uuid7
from tollkeeper.base.settings import Secret, Settings, Stripe
from tollkeeper.credits import TopUps
from tollkeeper.db import Database
from tollkeeper.http import Cursors
from tollkeeper.payments import Owner, Till
from tollkeeper.payments.methods import customers, keeping
from tollkeeper.payments.processors import MethodSetup, Processors
from tollkeeper.payments.processors.stripe import open_stripe

_FAKE: Final = Path(__file__).parents[1] / "tests" / "payments"
RETURN: Final = "https://shop.test/back"


@contextmanager
def fake_stripe() -> Generator[Stripe]:
    """In a process of its own. It answers at once; Stripe takes about a second."""
    command = [sys.executable, "-m", "fake_stripe"]
    with subprocess.Popen(command, cwd=_FAKE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            yield Stripe(
                secret_key=Secret(said["secretKey"]), api_base=said["apiBase"], timeout_seconds=30
            )
        finally:
            process.terminate()


@asynccontextmanager
async def open_shop(url: str, stripe: Stripe, connections: int) -> AsyncGenerator[TopUps]:
    """As the server opens it, invoices included."""
    clock, settings = SystemClock(), Settings()
    async with (
        Database.open(url, max_size=connections) as database,
        open_stripe(stripe, clock) as processor,
    ):
        till = Till(database=database, processors=Processors((processor,)), clock=clock)
        with invoices.Typesetter.open() as setter:
            desk = invoices.desk_of(settings, setter)
            cursors = Cursors(b"b" * 32)
            yield app.open_shop(settings, till, desk, cursors, "https://shop.test")


async def keep_card(till: Till, org_id: UUID) -> UUID:
    processor = till.processors.serving(livemode=False)
    customer_ref = await customers.ensure(till, org_id, livemode=False)
    await processor.set_up_method(
        MethodSetup(
            setup_id=uuid7(),
            customer_ref=customer_ref,
            token="pm_card_visa",  # noqa: S106 (a test card's public name)
            return_url=RETURN,
        )
    )
    (method,) = await keeping.sync(till, Owner(org_id=org_id, livemode=False))
    return method.method_id
