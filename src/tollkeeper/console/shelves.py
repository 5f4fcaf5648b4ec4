"""What pages take from beside the database: the rooms that a process has open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tollkeeper.base.settings import Settings
from tollkeeper.console.chatting import Chat
from tollkeeper.console.live import Live
from tollkeeper.credits import TopUps
from tollkeeper.http import Cursors
from tollkeeper.invoices import Desk
from tollkeeper.limits import LimitBook
from tollkeeper.metering import Meter, ReadTopUp
from tollkeeper.notifications import Courier
from tollkeeper.orgs import Capacities, KeyRing
from tollkeeper.payments import Payments
from tollkeeper.plans import PlanBook
from tollkeeper.pricing import BookKeeper
from tollkeeper.subscriptions import FeeDesk


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelves:
    settings: Settings
    capacities: Capacities
    chat: Chat
    courier: Courier
    cursors: Cursors
    fees: FeeDesk
    invoices: Desk
    keys: KeyRing
    late_jobs: Callable[[], Sequence[str]]
    limits: LimitBook
    live: Live
    meter: Meter
    payments: Payments
    plans: PlanBook
    prices: BookKeeper
    read_top_up: ReadTopUp
    top_ups: TopUps
