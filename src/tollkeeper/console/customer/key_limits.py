"""What one API key may use: budgets that name the key and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tollkeeper import limits
from tollkeeper.base.errors import InvalidRequest
from tollkeeper.base.ids import read_id, show_id, uuid7
from tollkeeper.console.customer.budget_words import amount_in, write_amount
from tollkeeper.console.customer.saying import faults_of
from tollkeeper.console.forms import Form, read_as
from tollkeeper.console.rendering import say
from tollkeeper.db import Connection
from tollkeeper.limits import BudgetChange, BudgetIn, BudgetOut, Enforcement, Measure, Period
from tollkeeper.orgs import ApiKey

PERIODS: Final = (Period.DAY, Period.WEEK, Period.MONTH, Period.BILLING_CYCLE, Period.LIFETIME)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a limit stands in the form. Without a field for the period it is by the minute."""

    measure: Measure
    field: str
    period: str | None


_PLACES: Final = (
    _Place(Measure.COST, "costLimit", "costPeriod"),
    _Place(Measure.TOKENS, "tokenLimit", "tokenPeriod"),
    _Place(Measure.REQUESTS, "requestLimit", None),
)


def limits_of(key: str, budgets: Sequence[BudgetOut]) -> list[BudgetOut]:
    """The limits that this form sets, of a key's id."""
    of_key = [one for one in budgets if one.api_key_id == key and _is_plain(one)]
    found = [_kept(place, of_key) for place in _PLACES]
    return [one for one in found if one is not None]


def written(key: str, budgets: Sequence[BudgetOut]) -> dict[str, str]:
    """The fields of the form, as the limits of a key are."""
    fields = {place.period: Period.MONTH.value for place in _PLACES if place.period}
    fields |= {place.field: "" for place in _PLACES}
    for place in _PLACES:
        kept = _kept(place, limits_of(key, budgets))
        if kept is not None:
            fields[place.field] = write_amount(kept.measure, kept.amount)
            fields |= {place.period: kept.period.value} if place.period else {}
    return fields


def read_limits(form: Form, name: str) -> tuple[list[BudgetIn | None], Mapping[str, str]]:
    """What is wanted of each, None for no limit; and what is wrong with which field."""
    wanted: list[BudgetIn | None] = []
    faults: dict[str, str] = {}
    for place in _PLACES:
        amount = amount_in(form, place.field)
        if amount is None:
            wanted.append(None)
            continue
        fields = {
            "name": say(f"keys.limit_name_{place.measure}", key=name)[:200],
            "amount": amount,
            "measure": place.measure.value,
            "period": form.text(place.period) if place.period else Period.MINUTE.value,
        }
        try:
            read = read_as(BudgetIn, fields)
            amount_of = read.amount.of(read.measure)
            if amount_of == 0:
                faults[place.field] = say("keys.limit_zero")
            wanted.append(read)
        except InvalidRequest as error:
            said = faults_of(error)
            wanted.append(None)
            faults |= {place.field: said["amount"]} if "amount" in said else {}
            faults |= {place.period: said["period"]} if "period" in said and place.period else {}
    return wanted, faults


async def set_limits(
    tx: Connection,
    key: ApiKey,
    wanted: Sequence[BudgetIn | None],
    budgets: Sequence[BudgetOut],
    now: datetime,
) -> bool:
    """Bring a key's limits to what is wanted; say whether anything was changed.

    A limit that keeps its period keeps what was used of it.
    """
    known = limits_of(show_id("key", key.key_id), budgets)
    acts = [
        await _set(tx, key, want, _kept(place, known), now)
        for place, want in zip(_PLACES, wanted, strict=True)
    ]
    return any(acts)


async def _set(
    tx: Connection, key: ApiKey, want: BudgetIn | None, kept: BudgetOut | None, now: datetime
) -> bool:
    if kept is not None:
        place = key.org_id, read_id("bud", kept.id)
        if want is not None and want.period is kept.period:
            limit = await limits.get_budget(tx, *place)
            if want.amount.of(want.measure) == limit.amount:
                return False
            await limits.change_budget(tx, *place, BudgetChange(amount=want.amount).read(limit))
            return True
        await limits.remove_budget(tx, *place, now)
    if want is not None:
        new = want.read(key.org_id, uuid7(), now)
        await limits.create_budget(tx, _for_key(new, key))
    return kept is not None or want is not None


def _for_key(new: limits.Limit, key: ApiKey) -> limits.Limit:
    return limits.Limit(
        **{name: getattr(new, name) for name in new.__struct_fields__ if name != "key_id"},
        key_id=key.key_id,
    )


def _kept(place: _Place, budgets: Sequence[BudgetOut]) -> BudgetOut | None:
    """The first budget that this place of the form stands for."""
    by_minute = place.period is None
    for one in budgets:
        if one.measure is place.measure and (one.period is Period.MINUTE) is by_minute:
            return one
    return None


def _is_plain(one: BudgetOut) -> bool:
    others = (one.project_id, one.member_id, one.end_user, one.provider, one.model, one.tag)
    alone = one.each is None and all(value is None for value in others)
    return alone and one.enforcement is Enforcement.HARD
