"""A plan as an operator writes it: TOML or JSON, with the names that the API has."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from tollkeeper.base.check import Faults, faults_in
from tollkeeper.base.money import NonNegativeMoneyIn, NumberText, format_nanos
from tollkeeper.http import invalid, read_custom
from tollkeeper.plans.cycles import Interval
from tollkeeper.plans.model import Consumable, Matcher, PlanTerms, PlanVersion

_MOST_UNITS: Final = 10**15
_decode_json: Final = msgspec.json.Decoder(float_hook=NumberText).decode

CODE: Final = r"^[a-z][a-z0-9_-]{0,47}\Z"

Code = Annotated[str, Meta(pattern=CODE, examples=["pro"])]
Name = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*\Z", max_length=100)]
Pattern = Annotated[str, Meta(min_length=1, max_length=200, description="`*` is anything.")]
Unit = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,47}\Z")]
Count = Annotated[int, Meta(ge=0, le=_MOST_UNITS)]
Size = Annotated[int, Meta(ge=1, le=10**9)]
Capacity = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,47}\Z")]


class _Said(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    pass


class MatcherIn(_Said, frozen=True, kw_only=True):
    """Lines of which all of this is true."""

    sku: Pattern | None = None
    units: Annotated[
        list[Unit], Meta(max_length=50, description="Names of units; `tokens` are all of a model.")
    ] = []
    provider: Pattern | None = None
    model: Pattern | None = None
    operation: Pattern | None = None


class ConsumableIn(_Said, frozen=True, kw_only=True):
    """Something of which so many units are included in each cycle."""

    code: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,47}\Z", examples=["llm_tokens"])]
    name: Annotated[Name | None, Meta(description="What customers read.")] = None
    covers: Annotated[list[MatcherIn], Meta(min_length=1, max_length=50)]
    included: Annotated[Count, Meta(description="Units of each cycle.")]
    unit_size: Annotated[
        Size, Meta(description="What one unit is of what is counted: a minute is 60 seconds.")
    ] = 1
    overage_price: Annotated[
        NonNegativeMoneyIn | None,
        Meta(description="In USD; unset, what the price book says."),
    ] = None
    overage_per: Annotated[Size, Meta(description="How many units that price is for.")] = 1
    overage_allowed: Annotated[
        bool, Meta(description="Whether credit pays for more; else calls are refused.")
    ] = True


class PlanIn(_Said, frozen=True, kw_only=True):
    """A plan from one moment on."""

    code: Code
    name: Name
    interval: Interval = Interval.MONTH
    fee_minor: Annotated[
        int, Meta(ge=0, le=10**12, description="Of each interval, in cents or their like.")
    ] = 0
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")] = "USD"
    consumables: Annotated[list[ConsumableIn], Meta(max_length=50)] = []
    capacities: Annotated[
        dict[Capacity, Count], Meta(max_length=50, description="The most of seats, projects, ….")
    ] = {}
    effective_from: Annotated[
        Annotated[datetime, Meta(tz=True)] | None, Meta(description="Unset: at once.")
    ] = None


def read_plan_file(text: str, name: str) -> PlanIn:
    """Read a plan. Raises InvalidRequest, naming everything that is wrong with it."""
    try:
        if name.endswith(".json"):
            found: Any = _decode_json(text)
        else:
            found = tomllib.loads(text, parse_float=NumberText)
    except (msgspec.DecodeError, tomllib.TOMLDecodeError) as error:
        raise invalid({name: [f"cannot be read: {error}"]}) from error
    faults = faults_in(found, PlanIn, read_custom)
    if faults:
        raise invalid(faults)
    plan = msgspec.convert(found, PlanIn, dec_hook=read_custom)
    check_plan(plan)
    return plan


def write_plan_file(version: PlanVersion) -> str:
    """Write a version as JSON that `read_plan_file` reads, to be changed and published again."""
    terms = version.terms
    plan = {
        "code": version.code,
        "name": version.name,
        "interval": terms.interval,
        "feeMinor": terms.fee_minor,
        "currency": terms.currency,
        "consumables": [_write_consumable(one) for one in terms.consumables],
        "capacities": terms.capacities,
    }
    return msgspec.json.format(msgspec.json.encode(plan), indent=2).decode()


def _write_consumable(one: Consumable) -> dict[str, Any]:
    covers = [
        {name: said for name, said in msgspec.to_builtins(matcher).items() if said}
        for matcher in one.covers
    ]
    found: dict[str, Any] = {
        "code": one.code,
        "name": one.name,
        "covers": covers,
        "included": one.included,
        "unitSize": one.unit_size,
        "overageAllowed": one.overage_allowed,
    }
    if one.overage_nanos is not None:
        price = msgspec.Raw(format_nanos(one.overage_nanos).encode())
        found |= {"overagePrice": price, "overagePer": one.overage_per}
    return found


def check_plan(plan: PlanIn, under: str = "") -> None:
    """Raise InvalidRequest for what contradicts itself; `under` is where the plan stands."""
    faults: Faults = {}
    for where, sentence in _contradictions(plan.consumables):
        faults.setdefault(f"{under}{where}", []).append(sentence)
    if faults:
        raise invalid(faults)


def terms_in(plan: PlanIn) -> PlanTerms:
    """Give what is kept of a plan that was checked."""
    return PlanTerms(
        interval=plan.interval,
        fee_minor=plan.fee_minor,
        currency=plan.currency,
        consumables=tuple(_consumable(one) for one in plan.consumables),
        capacities=dict(sorted(plan.capacities.items())),
    )


def _contradictions(consumables: Sequence[ConsumableIn]) -> Iterator[tuple[str, str]]:
    codes: set[str] = set()
    for place, one in enumerate(consumables):
        at = f"consumables.{place}"
        if one.code in codes:
            yield f"{at}.code", "comes twice"
        codes.add(one.code)
        if one.overage_price is not None and not one.overage_allowed:
            yield f"{at}.overagePrice", "is for what overageAllowed refuses"
        if one.overage_price is None and one.overage_per != 1:
            yield f"{at}.overagePer", "needs overagePrice"
        if one.overage_per * one.unit_size > _MOST_UNITS:
            yield f"{at}.overagePer", "is too large together with unitSize"
        for number, matcher in enumerate(one.covers):
            if matcher == MatcherIn():
                yield f"{at}.covers.{number}", "must say at least one thing"


def _consumable(one: ConsumableIn) -> Consumable:
    return Consumable(
        code=one.code,
        name=one.name or one.code.replace("_", " "),
        covers=tuple(
            Matcher(
                sku=matcher.sku,
                units=tuple(matcher.units),
                provider=matcher.provider,
                model=matcher.model,
                operation=matcher.operation,
            )
            for matcher in one.covers
        ),
        included=one.included,
        unit_size=one.unit_size,
        overage_nanos=None if one.overage_price is None else int(one.overage_price),
        overage_per=one.overage_per,
        overage_allowed=one.overage_allowed,
    )
