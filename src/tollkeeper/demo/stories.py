"""What happens beside calls: to whom and when. Each story needs an organization that is there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, NamedTuple

from tollkeeper.demo.model import DAY, LIVEMODE, TICK, Organization, Pays, World
from tollkeeper.demo.stage import Stage

Tell = Callable[[Stage, World, Organization], Awaitable[None]]


class Story(NamedTuple):
    """At this part of the time, to the organization in this place among those it can happen to; not
    where those are fewer than `least`."""

    at: float
    place: int
    tell: Tell
    limited: bool = False
    tops_up: bool = False
    least: int = 1


async def begin(stage: Stage, world: World) -> None:
    """What an operator has ready before the first customer."""
    # None of them is called as settings.plans.default may be: nobody has a plan unasked.
    for code, name, fee, tokens in (
        ("hobby", "Hobby", 0, 200_000),
        ("starter", "Starter", 1900, 3_000_000),
        ("team", "Team", 9900, 20_000_000),
    ):
        plan = {
            "code": code,
            "name": name,
            "feeMinor": fee,
            "consumables": [
                {
                    "code": "llm_tokens",
                    "name": "LLM tokens",
                    "covers": [{"units": ["tokens"]}],
                    "included": tokens,
                }
            ],
            "capacities": {"seats": 3 if fee == 0 else 25},
        }
        await stage.operate("POST", "/plans", plan=plan, reason="First price list")
    await stage.operate(
        "POST",
        "/campaigns",
        code="LAUNCH",
        amount=5,
        reason="Launch week",
        livemode=LIVEMODE,
        validUntil=(world.start + timedelta(days=200)).isoformat(),
        mostRedemptions=12,
        lotDays=60,
    )


async def be_declined(stage: Stage, _: World, org: Organization) -> None:
    card = await stage.keep_card(org, "pm_card_chargeCustomerFail")
    await stage.buy(org, 20, card)
    await stage.buy(org, 20)


async def prove_oneself(stage: Stage, _: World, org: Organization) -> None:
    """3-D Secure, first with consent, then without."""
    card = await stage.keep_card(org, "pm_card_authenticationRequired")
    await stage.answer_bank(await stage.buy(org, 25, card), approve=True)
    stage.wait(300)
    await stage.answer_bank(await stage.buy(org, 50, card), approve=False)


async def get_money_back(stage: Stage, _: World, org: Organization) -> None:
    first, second = await stage.buy(org, 20), await stage.buy(org, 10)
    stage.wait(200)
    for purchase, amount in ((first, {"amount": 8}), (second, {})):
        path = f"/purchases/{purchase['id']}/refunds"
        await stage.operate_on_purchase(org, path, reason="Bought twice", **amount)
    await stage.hear()


async def dispute(stage: Stage, _: World, org: Organization) -> None:
    card = await stage.keep_card(org, "pm_card_createDispute")
    await stage.buy(org, 25, card)
    await stage.hear()
    await _go_on(stage, org)


async def lose(stage: Stage, _: World, org: Organization) -> None:
    await stage.decide_disputes("lost")
    await _go_on(stage, org)


async def _go_on(stage: Stage, org: Organization) -> None:
    """A dispute suspends auto top-up, until its customer says that it shall go on."""
    if org.pays is Pays.ITSELF:
        await stage.ask(org, "PUT", "/billing/auto-top-up", {"enabled": True})


async def win(stage: Stage, _: World, __: Organization) -> None:
    await stage.decide_disputes("won")


async def have_an_old_card(stage: Stage, _: World, org: Organization) -> None:
    """Auto top-up is declined until it is suspended."""
    await _pay_with(stage, org, "pm_card_chargeCustomerFail", threshold_part=1.0)


async def get_a_new_card(stage: Stage, _: World, org: Organization) -> None:
    await _pay_with(stage, org, "pm_card_mastercard", threshold_part=0.5)


async def _pay_with(stage: Stage, org: Organization, token: str, *, threshold_part: float) -> None:
    card = await stage.keep_card(org, token)
    known = await stage.ask(org, "GET", "/billing/auto-top-up")
    amount = int(known["amount"])
    body = {
        "enabled": True,
        "threshold": int(amount * threshold_part),
        "amount": amount,
        "monthlyCap": int(known["monthlyCap"]),
        "paymentMethodId": card,
    }
    await stage.ask(org, "PUT", "/billing/auto-top-up", body)


async def be_thanked(stage: Stage, _: World, org: Organization) -> None:
    """Credit that is given, and soon lapses; and a correction."""
    until = (stage.clock.now() + timedelta(days=20)).isoformat()
    await stage.operate_on(
        org, "POST", "/grants", amount=15, reason="Beta tester", label="Thanks", expiresAt=until
    )
    await stage.operate_on(org, "POST", "/adjustments", amount=1.25, reason="Outage of Tuesday")


async def be_given_monthly(stage: Stage, _: World, org: Organization) -> None:
    await stage.give_monthly(org, 3, "Open source")


async def set_budgets(stage: Stage, world: World, org: Organization) -> None:
    """One that tells, and one that refuses on the busiest days."""
    tick = int((stage.clock.now() - world.start) / TICK)
    month = org.calls_between(tick, tick + 30 * DAY)
    for name, amount, more in (
        ("Calls of a month", month * 4 // 5, {"enforcement": "soft", "alertPercents": [50, 80]}),
        ("Calls of a day", month // 12, {"period": "day"}),
    ):
        body = {"name": name, "measure": "requests", "amount": max(10, amount), "period": "month"}
        await stage.ask(org, "POST", "/budgets", body | more)
    each = {
        "name": "Each key",
        "measure": "cost",
        "amount": 12,
        "period": "month",
        "each": "apiKey",
    }
    await stage.ask(org, "POST", "/budgets", each)


async def subscribe(stage: Stage, _: World, org: Organization) -> None:
    stage.wait(60)
    await stage.ask(org, "POST", "/billing/subscription", {"plan": "starter"})
    await stage.hear()


async def upgrade(stage: Stage, _: World, org: Organization) -> None:
    stage.wait(60)
    await stage.ask(org, "PATCH", "/billing/subscription", {"plan": "team"})
    await stage.hear()


async def cancel(stage: Stage, _: World, org: Organization) -> None:
    stage.wait(60)
    await stage.ask(org, "DELETE", "/billing/subscription")
    await stage.hear()


async def be_given_a_plan(stage: Stage, _: World, org: Organization) -> None:
    await stage.operate_on(org, "PUT", "/plan", plan="hobby", reason="By agreement")


STORIES: Final = (
    Story(0.02, 0, subscribe, limited=True),
    Story(0.03, 0, be_given_monthly),
    Story(0.05, 1, be_thanked),
    Story(0.10, 1, be_declined),
    Story(0.14, 1, be_given_a_plan, limited=True, least=2),
    Story(0.18, 0, prove_oneself),
    Story(0.26, 1, get_money_back),
    Story(0.30, 0, set_budgets, limited=True),
    Story(0.34, 2, dispute),
    Story(0.38, 2, lose),
    Story(0.42, 0, upgrade, limited=True),
    Story(0.46, 0, have_an_old_card, tops_up=True),
    Story(0.56, 0, get_a_new_card, tops_up=True),
    Story(0.62, 1, dispute),
    Story(0.67, 1, win),
    Story(0.72, 3, be_thanked),
    Story(0.80, 0, cancel, limited=True),
)


def at_pause(world: World, place: int, limited: frozenset[int]) -> list[tuple[Story, Organization]]:
    """Give what happens in one pause, and to whom."""
    now = world.pauses[place]
    after = world.ticks if place + 1 == len(world.pauses) else world.pauses[place + 1]
    found: list[tuple[Story, Organization]] = []
    for story in STORIES:
        if now <= story.at * world.ticks < after:
            there = [org for org in world.organizations if _can(world, org, story, now, limited)]
            if len(there) >= story.least:
                found.append((story, there[story.place % len(there)]))
    return found


def _can(world: World, org: Organization, story: Story, now: int, limited: frozenset[int]) -> bool:
    """Those that were there from the start, so that later stories meet the same ones."""
    if org.founded > 0 or now < org.founded:
        return False
    if story.limited:
        return org.number in limited
    if story.tops_up:
        return org.pays is Pays.ITSELF
    return org.pays is not Pays.ONCE or world.wish.organizations == 1
