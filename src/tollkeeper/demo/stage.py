"""What people and operators do in a demo: through the API, at the time of its own clock."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from tollkeeper import app, credits, ledger, operator, orgs  # noqa: A004 (the room's name)
from tollkeeper.app import Rooms
from tollkeeper.base.clock import MovableClock
from tollkeeper.base.ids import show_id
from tollkeeper.base.settings import Settings
from tollkeeper.demo import cast, store
from tollkeeper.demo.api import Api
from tollkeeper.demo.model import LIVEMODE, Organization
from tollkeeper.operator import Act, Opening
from tollkeeper.orgs import KeyKind, Member, NewKey, Role

WHO: Final = "tollkeeper demo"
USD: Final = "USD"
_DOLLAR: Final = 1_000_000_000
# What the application does in the background, in the order in which one thing leads to the next.
_JOBS: Final = (
    "expire_lots",
    "give_recurring_grants",
    "renew_sandbox_subscriptions",
    "deliver_sandbox_webhooks",
    "handle_payment_events",
    "sweep_balances",
    "give_up_auto_top_ups",
    "sweep_allowances",
    "tell_of_budgets",
)


class Stage:
    """One application with nobody else in it. `keys` are ADMIN keys by an organization's number."""

    def __init__(
        self,
        rooms: Rooms,
        api: Api,
        clock: MovableClock,
        settings: Settings,
        operator_key: str,
        after_job: int,
    ) -> None:
        self.rooms = rooms
        self.api = api
        self.clock = clock
        self.keys: dict[int, str] = {}
        self._operator_key = operator_key
        self._after_job = after_job
        self._livemode = {"livemode": LIVEMODE}
        known = {job.name: job.run for job in app.background_jobs(settings, rooms)}
        self._jobs = [known[name] for name in _JOBS if name in known]
        self._foretell = [
            schedule.run
            for schedule in credits.foretelling_schedules(
                rooms.payments.till, settings.grants.reminder_days
            )
        ]
        self._charge_top_up = {
            handler.task.name: handler.run for handler in credits.top_up_jobs(rooms.top_ups)
        }

    def go_to(self, moment: datetime) -> None:
        """Move the clock; it never goes back."""
        self.clock.advance(max(timedelta(0), moment - self.clock.now()))

    def wait(self, seconds: int) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    async def ask(self, org: Organization, method: str, path: str, body: object = None) -> Any:
        """Have an organization's administrator ask for something. Raises Refused."""
        return await self.api.ask(method, path, self.keys[org.number], body)

    async def operate(self, method: str, path: str, **body: object) -> Any:
        """Have an operator do something. Raises Refused."""
        return await self.api.ask(method, f"/operator{path}", self._operator_key, body or None)

    async def operate_on(self, org: Organization, method: str, path: str, **body: object) -> Any:
        whole = f"/organizations/{show_id('org', org.org_id)}{path}"
        return await self.operate(method, whole, **body, **self._livemode)

    async def operate_on_purchase(self, org: Organization, path: str, **body: object) -> Any:
        whole = f"/organizations/{show_id('org', org.org_id)}{path}"
        return await self.operate("POST", whole, **body)

    async def give_monthly(self, org: Organization, dollars: int, why: str) -> None:
        await self.operate(
            "POST",
            "/recurring-grants",
            organizationId=show_id("org", org.org_id),
            amount=dollars,
            every="month",
            reason=why,
            label=why,
            **self._livemode,
        )

    # ── Beginning ────────────────────────────────────────────────────────────────────────────────

    async def found(self, org: Organization) -> None:
        """Make an organization with its people, projects, keys, profile and card."""
        now = self.clock.now()
        act = Act(who=WHO, why="Signed up", at=now)
        async with self.rooms.database.transaction() as tx:
            # Opened first, under the id that its calls name; making it opens what is missing.
            await ledger.open_wallet(
                tx,
                org_id=org.org_id,
                wallet_id=org.wallet_id,
                livemode=LIVEMODE,
                currency=USD,
                now=now,
            )
            opening = Opening(overdraft=0, sandbox_credit=0)
            await operator.create_organization(
                tx, act, org_id=org.org_id, name=org.name, opening=opening
            )
            for project in org.projects:
                await orgs.create_project(
                    tx,
                    org_id=org.org_id,
                    project_id=project.project_id,
                    name=project.name,
                    now=now,
                )
            for person in org.people:
                member = Member(
                    org_id=org.org_id,
                    member_id=person.member_id,
                    name=person.name,
                    email=person.email,
                    role=Role(person.role),
                    created_at=now,
                )
                await orgs.create_member(tx, member)
            for new in _keys(org):
                _, secret = await orgs.create_key(tx, new, chance=os.urandom(32), now=now)
                if new.key_id == org.admin_key:
                    self.keys[org.number] = secret
        await self._introduce(org)

    async def _introduce(self, org: Organization) -> None:
        home = cast.HOMES[org.home]
        tax_ids = [] if home.tax_id is None else [{"type": home.tax_id[0], "value": home.tax_id[1]}]
        await self.ask(
            org,
            "PUT",
            "/billing/profile",
            {
                "name": org.name,
                "address": home.address,
                "taxIds": tax_ids,
                "emails": [f"billing@{org.domain}"],
            },
        )
        await self.keep_card(org, "pm_card_visa")

    # ── Paying ───────────────────────────────────────────────────────────────────────────────────

    async def keep_card(self, org: Organization, token: str) -> str:
        """Keep one of the sandbox's cards, with its bank's consent if it asks. Returns its id."""
        before = await self._methods(org)
        made = await self.ask(org, "POST", "/billing/payment-methods", {"token": token})
        if made.get("actionUrl"):
            await self.api.click(made["actionUrl"], outcome="approve")
            await self.hear()
        return next(one for one in await self._methods(org) if one not in before)

    async def _methods(self, org: Organization) -> list[str]:
        found = await self.ask(org, "GET", "/billing/payment-methods")
        return [str(method["id"]) for method in found["data"]]

    async def buy(self, org: Organization, dollars: int, card: str | None = None) -> Any:
        """Buy credit and return the purchase, however that went."""
        self.wait(40)
        body: dict[str, object] = {"amount": dollars}
        if card is not None:
            body["paymentMethodId"] = card
        return await self.ask(org, "POST", "/billing/purchases", body)

    async def answer_bank(self, purchase: Any, *, approve: bool) -> None:
        self.wait(30)
        outcome = "approve" if approve else "decline"
        await self.api.click(purchase["actionUrl"], outcome=outcome)
        await self.hear()

    async def decide_disputes(self, status: str) -> None:
        """Play the bank, which decides all that is disputed."""
        sandbox = self.rooms.payments.sandbox
        if sandbox is None:
            return
        for dispute in (await self.operate("GET", "/disputes"))["data"]:
            if dispute["status"] == "open":
                await self.api.click(
                    sandbox.dashboard_url, act=status, ref=str(dispute["reference"])
                )
        await self.hear()

    # ── The background ───────────────────────────────────────────────────────────────────────────

    async def work(self, *, new_day: bool) -> None:
        """Let the application do what it does in the background."""
        # A year passes in a minute: what is asked for every second is asked for now.
        await self.rooms.plans.refresh()
        await self.rooms.limits.refresh()
        if new_day:
            for foretell in self._foretell:
                await foretell()
        for run in self._jobs:
            await run()
        await self._do_jobs()

    async def hear(self) -> None:
        """Let the application hear what the processor has to tell."""
        for name in ("deliver_sandbox_webhooks", "handle_payment_events"):
            for chore in self.rooms.payments.chores:
                if chore.name == name:
                    await chore.run()

    async def _do_jobs(self) -> None:
        """Do what was put off, as a worker would: auto top-ups. Mails and webhooks go nowhere."""
        self.wait(20)
        async with self.rooms.database.connection() as connection:
            jobs = await store.take_jobs(connection, self._after_job)
        for name, arguments in jobs:
            run = self._charge_top_up.get(name)
            if run is not None:
                await run(**arguments)
        if jobs:
            await self.hear()

    async def balances(self, organizations: Sequence[Organization]) -> dict[int, int]:
        """What each has left to spend, in nanos, by its number."""
        found: dict[int, int] = {}
        async with self.rooms.database.connection() as connection:
            for org in organizations:
                wallet = await ledger.find_wallet(connection, org.org_id, org.wallet_id)
                found[org.number] = wallet.available
        return found


def _keys(org: Organization) -> list[NewKey]:
    made = [
        _key(org, key.key_id, key.name, KeyKind.INFERENCE, key.project, key.member)
        for key in org.keys
    ]
    return [*made, _key(org, org.admin_key, "console", KeyKind.ADMIN, 0, 0)]


def _key(
    org: Organization, key_id: UUID, name: str, kind: KeyKind, project: int, member: int | None
) -> NewKey:
    return NewKey(
        org_id=org.org_id,
        key_id=key_id,
        project_id=org.projects[project].project_id,
        name=name,
        kind=kind,
        livemode=LIVEMODE,
        member_id=None if member is None else org.people[member].member_id,
    )


def nice(nanos: int) -> int:
    """Round up to an amount that people choose, in dollars."""
    steps = (10, 20, 25, 50, 75, 100, 150, 200, 250, 300, 500, 750, 1000)
    return next((step for step in steps if step * _DOLLAR >= nanos), steps[-1])
