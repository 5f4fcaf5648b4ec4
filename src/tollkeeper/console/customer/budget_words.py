"""Budgets as people read and write them: what is counted, of whom, and how much."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Final
from uuid import UUID

from tollkeeper import limits
from tollkeeper.base.money import NANOS_PER_UNIT, Money, NumberText, format_nanos
from tollkeeper.console.customer.naming import Names, read_names
from tollkeeper.console.forms import Form
from tollkeeper.console.model import Session
from tollkeeper.console.rendering import say, show_count, show_money, show_price
from tollkeeper.console.shelves import Shelves
from tollkeeper.db import Connection
from tollkeeper.limits import BudgetOut, Measure
from tollkeeper.orgs import ApiKey

_COUNT: Final = re.compile(r"[0-9]{1,16}")


async def read_budgets(
    connection: Connection,
    shelves: Shelves,
    session: Session,
    keys: Sequence[ApiKey],
    now: datetime,
) -> Sequence[BudgetOut]:
    """The budgets of keys, with what is used of them."""
    ids = [key.key_id for key in keys]
    found = await limits.budgets_of_keys(connection, session.org_id, ids)
    return await limits.show_budgets(
        connection, shelves.limits, found, livemode=session.livemode, now=now
    )


async def read_scopes(connection: Connection, org_id: UUID, budgets: Sequence[BudgetOut]) -> Names:
    """The names of what budgets are of."""
    ids = [(one.project_id, one.api_key_id, one.member_id) for one in budgets]
    return await read_names(connection, org_id, chain.from_iterable(ids))


def say_scope(budget: BudgetOut, names: Names) -> str:
    """By the names that people gave, not by ids."""
    named = [
        ("project", _name(names.projects, budget.project_id)),
        ("key", _name(names.keys, budget.api_key_id)),
        ("member", _name(names.members, budget.member_id)),
        ("end_user", budget.end_user),
        ("provider", budget.provider),
        ("model", budget.model),
        ("tag", budget.tag),
    ]
    said = [say(f"limits.of_{kind}", name=name) for kind, name in named if name is not None]
    if budget.each is not None:
        said.append(say_each(budget.each))
    return ", ".join(said) or say("limits.everything")


def say_each(each: str) -> str:
    kind, _, name = each.partition(":")
    return say("limits.each_tag", name=name) if name else say(f"limits.each_{kind}")


def _name(names: Mapping[str, str], known: str | None) -> str | None:
    return None if known is None else names.get(known, known)


def show_amount(measure: Measure, amount: Money, *, chosen: bool = False) -> str:
    if measure is Measure.COST:
        return show_price(amount) if chosen else show_money(amount)
    return say(f"limits.{measure}", count=show_count(amount.nanos // NANOS_PER_UNIT))


def percent_of(budget: BudgetOut) -> int:
    """How much of it is used or held; a budget of nothing is all used."""
    if budget.used is None or budget.held is None:
        return 0
    taken = budget.used.nanos + budget.held.nanos
    return min(100, 100 * taken // budget.amount.nanos) if budget.amount.nanos else 100


def amount_in(form: Form, name: str) -> NumberText | int | None:
    """An amount of money, or a count, which may be larger than money may be."""
    said = form.amount(name)
    return int(said) if said is not None and _COUNT.fullmatch(said) else said


def write_amount(measure: Measure, amount: Money) -> str:
    """As it is typed: 12.50, or 100000."""
    if measure is not Measure.COST:
        return str(amount.nanos // NANOS_PER_UNIT)
    whole, _, rest = format_nanos(amount.nanos).partition(".")
    return f"{whole}.{rest:0<2}" if rest else whole
