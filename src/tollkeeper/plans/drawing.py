"""What a call takes of a plan's allowances: of priced lines, and of bounds before there are any."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from tollkeeper.base.money import divide_up
from tollkeeper.ledger import Draw
from tollkeeper.plans.covering import NOT_COVERED, Said
from tollkeeper.plans.errors import AllowanceExhausted
from tollkeeper.plans.model import Consumable
from tollkeeper.plans.terms import Terms
from tollkeeper.pricing import Line, Overage, PriceVersion, Quantity


def draws_of(
    terms: Terms,
    lines: Sequence[Line],
    *,
    livemode: bool,
    provider: str | None,
    model: str | None,
    operation: str | None,
) -> tuple[Draw, ...]:
    """Say what the lines of a rating draw. Each consumable's units are rounded up together."""
    coverage = terms.coverage
    found: dict[int, list[int]] = {}
    for at, line in enumerate(lines):
        place = coverage.place_of(Said(line.sku, line.unit, provider, model, operation))
        if place != NOT_COVERED:
            found.setdefault(place, []).append(at)
    drawn: list[Draw] = []
    for place, at in found.items():
        one = terms.consumables[place]
        count = _whole(sum(lines[n].quantity for n in at), one.unit_size)
        covers = sum(lines[n].amount_nanos for n in at)
        drawn += _draws(terms, place, livemode, count, covers, tuple(at))
    return tuple(drawn)


def bound_draws(
    terms: Terms,
    version: PriceVersion,
    bounds: Mapping[str, int],
    amount_nanos: int,
    amounts: Mapping[str, int],
    *,
    livemode: bool,
    operation: str | None,
    beside_nanos: int = 0,
    modalities: Collection[str] | None = None,
) -> tuple[Draw, ...]:
    """Say what a call within `bounds` draws at most, so that what is left of `amount_nanos` for
    credit to hold is no less than what the call can take from credit in the end.

    `amount_nanos` bounds the whole cost, `amounts` what each bound costs by itself
    (`pricing.worst_case_by_bound`), `beside_nanos` what is no bound's, such as a fixed fee.

    Why that holds, for allowances i with bounds U_i on units and a_i on cost, and O on the cost
    that none covers. A = `amount_nanos`, d = max(0, O + sum(a_i) - A) is by how much the parts
    exceed the whole, which is less where they cannot all be at their dearest at once. A draw
    covers max(0, a_i - d), and the hold takes H = A - sum(floor(max(0, a_i - d) * t_i)) of credit,
    where t_i <= 1 is the share of U_i that there was. The call costs c_i = a_i - s_i and o <= O
    with o + sum(c_i) <= A, so that s_0 + sum(s_i) >= d. It has used no more than U_i and draws at
    least what was held for it, so at least the share t_i of c_i, and takes from credit no more than
    o + sum(c_i) - sum(floor(c_i * t_i)) = O + sum(a_i) - s_0 - sum(s_i) - sum(floor(c_i * t_i)).
    Where s_i <= d, c_i >= a_i - d; where it is more, floor(c_i * t_i) is less than
    floor((a_i - d) * t_i) by at most s_i - d, which is made up for as s_i is taken off once. So
    that is no more than H, to the nano.

    What is bounded together but covered apart (`input` where only cache reads are included) counts
    in full for each: then the parts exceed the whole by so much more, and less is covered.
    """
    counts: dict[int, int] = {}
    parts: dict[int, int] = {}
    total = uncovered = beside_nanos
    for bound, quantity in bounds.items():
        if not quantity:
            continue
        for place in terms.coverage.places_within(version, bound, operation, modalities):
            total += amounts[bound]
            if place == NOT_COVERED:
                uncovered += amounts[bound]
                continue
            counts[place] = counts.get(place, 0) + quantity
            parts[place] = parts.get(place, 0) + amounts[bound]
    excess = max(0, total - amount_nanos)
    drawn: list[Draw] = []
    for place, quantity in counts.items():
        count = _whole(quantity, terms.consumables[place].unit_size)
        drawn += _draws(terms, place, livemode, count, max(0, parts[place] - excess), ())
    return tuple(drawn)


def overage_of(terms: Terms | None, version: PriceVersion, operation: str | None) -> Overage | None:
    """Give the plan's own prices, for `pricing.rate` and its bounds."""
    return None if terms is None else terms.coverage.overage(version, operation)


def consumable_of(terms: Terms, limit_id: UUID) -> Consumable | None:
    """Say which consumable a counter is of, if it is of one."""
    for one, counter in zip(terms.consumables, terms.limit_ids, strict=True):
        if counter == limit_id:
            return one
    return None


def allowance_exhausted(
    terms: Terms,
    consumable: Consumable,
    *,
    asked: int = 0,
    left: int = 0,
    used: int | None = None,
    upgrades: Sequence[str] = (),
    top_up_url: str | None = None,
    beside: Mapping[str, object] | None = None,
) -> AllowanceExhausted:
    """Say what is used up, or too little; when it begins anew, and what would help before.

    `upgrades` are plans that include more (`PlanBook.upgrades`), `beside` members about credit.
    """
    hints = [f"it begins anew at {_moment(terms.cycle_end)}"]
    if upgrades:
        hints.append(f"these plans include more: {', '.join(upgrades)}")
    if consumable.overage_allowed:
        hints.append("credit pays for what goes beyond it")
    whole = f"{consumable.included} {consumable.name} of the plan {terms.plan_name}"
    said = f"The {whole} are used up"
    if left:
        said = f"This may need {asked} and {left} of the {whole} are left"
    members: dict[str, object] = {
        **(beside or {}),
        "allowance": consumable.code,
        "plan": terms.plan,
        "included": consumable.included,
        "resetsAt": terms.cycle_end,
        "limitSource": "allowance",
        "upgradePlans": list(upgrades),
    }
    if used is not None:
        members["used"] = used
    if top_up_url is not None and consumable.overage_allowed:
        members["topUpUrl"] = top_up_url
    return AllowanceExhausted(f"{said}; {'; '.join(hints)}", **members)


def _draws(
    terms: Terms, place: int, livemode: bool, count: int, covers: int, lines: tuple[int, ...]
) -> list[Draw]:
    if not count:
        return []
    one = terms.consumables[place]
    if one.overage_allowed and not one.included:
        return []
    drawn = Draw(
        limit_id=terms.limit_ids[place],
        livemode=livemode,
        period_start=terms.cycle_start,
        ceiling=one.included,
        amount=count,
        covers=covers,
        whole=not one.overage_allowed,
        lines=lines,
    )
    return [drawn]


def _whole(quantity: Quantity, size: int) -> int:
    if type(quantity) is Decimal:
        top, bottom = quantity.as_integer_ratio()
        return divide_up(top, bottom * size)
    return int(quantity) if size == 1 else divide_up(int(quantity), size)


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
