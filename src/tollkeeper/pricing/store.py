"""All SQL of this room: prices are read whole and only ever added."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from psycopg.rows import DictRow, TupleRow, dict_row
from psycopg.types.json import Jsonb

from tollkeeper.base.money import MAX_NANOS
from tollkeeper.db import Connection
from tollkeeper.pricing.book import Book
from tollkeeper.pricing.content import content_hash, rates_from_json, same_terms, seal, to_content
from tollkeeper.pricing.errors import InvalidPrices, PriceVersionConflict
from tollkeeper.pricing.markup import PPM, Markup, Markups
from tollkeeper.pricing.model import PriceVersion
from tollkeeper.pricing.sanity import faults_in

# Rows are only added, so their numbers say whether anything is new, whatever the clocks say.
Revision = tuple[int, int]

_READ_REVISION: Final = """
SELECT (SELECT count(*) FROM price_version), (SELECT count(*) FROM markup)
"""

_READ_VERSIONS: Final = """
SELECT id, provider, model, effective_from, rates, service_tiers, aliases, context,
       max_input_tokens, max_output_tokens, source, checked_on, note, ended
FROM price_version
"""

_READ_MARKUPS: Final = """
SELECT provider, model, plan, effective_from, ppm, fixed_nanos
FROM markup
ORDER BY effective_from
"""

_PUBLISH_VERSIONS: Final = """
INSERT INTO price_version (
    id, provider, model, effective_from, rates, service_tiers, aliases, context,
    max_input_tokens, max_output_tokens, source, checked_on, note, ended, content_hash,
    published_at, published_by
)
SELECT id, provider, model, effective_from, rates, service_tiers, aliases, context,
       max_input_tokens, max_output_tokens, source, checked_on, note, ended,
       decode(content_hash, 'hex'), %(at)s, %(by)s
FROM jsonb_to_recordset(%(versions)s) AS new (
    id uuid, provider text, model text, effective_from timestamptz, rates jsonb,
    service_tiers jsonb, aliases text[], context bigint, max_input_tokens bigint,
    max_output_tokens bigint, source text, checked_on date, note text, ended boolean,
    content_hash text
)
ORDER BY provider, model, effective_from
ON CONFLICT DO NOTHING
RETURNING id
"""

_FIND_OTHERS: Final = """
SELECT there.provider, there.model, there.effective_from
FROM jsonb_to_recordset(%(versions)s) AS new (
    id uuid, provider text, model text, effective_from timestamptz
)
JOIN price_version AS there USING (provider, model, effective_from)
WHERE there.id <> new.id
ORDER BY provider, model, effective_from
"""

# A version that would take effect before it is published, where an older one holds already.
_FIND_BACKDATED: Final = """
SELECT DISTINCT new.provider, new.model, new.effective_from
FROM jsonb_to_recordset(%(versions)s) AS new (
    id uuid, provider text, model text, effective_from timestamptz
)
JOIN price_version AS there USING (provider, model)
WHERE new.effective_from < %(at)s
  AND NOT EXISTS (SELECT FROM price_version WHERE price_version.id = new.id)
ORDER BY provider, model, effective_from
"""

_PUBLISH_MARKUP: Final = """
INSERT INTO markup (
    provider, model, plan, effective_from, ppm, fixed_nanos, published_at, published_by
)
VALUES (
    %(provider)s, %(model)s, %(plan)s, %(effective_from)s, %(ppm)s, %(fixed_nanos)s, %(at)s, %(by)s
)
ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkupChange:
    """From a moment on, this mark-up for a model, a provider, a plan, or (none named) by default.

    `markup` None takes it away again, so that the next wider one holds.
    """

    effective_from: datetime
    markup: Markup | None
    provider: str = ""
    model: str = ""
    plan: str = ""


async def publish(
    tx: Connection,
    versions: Sequence[PriceVersion],
    by: str,
    at: datetime,
    *,
    backdate: bool = False,
) -> list[PriceVersion]:
    """Add versions to the book and return those that were not in it yet.

    A version that changes the price of a model from a moment already past needs `backdate`; the
    first versions of a model do not. Raises InvalidPrices, or PriceVersionConflict when another
    version takes effect at the same moment or `backdate` is missing.
    """
    there = {_moment(known): known for known in await _read_versions(tx)}
    # What only says another source is the price that is there.
    sealed = {
        version.id: version
        for version in map(seal, versions)
        if (known := there.get(_moment(version))) is None or not same_terms(known, version)
    }
    _check(sealed.values())
    values = {"versions": Jsonb([_row(version) for version in sealed.values()]), "at": at, "by": by}
    if not backdate:
        late = await (await tx.execute(_FIND_BACKDATED, values)).fetchall()
        if late:
            said = "would change a price that was already in force; give it a date to come"
            raise PriceVersionConflict(f"{_names(late)} {said}", versions=_members(late))
    added = await (await tx.execute(_PUBLISH_VERSIONS, values)).fetchall()
    others = await (await tx.execute(_FIND_OTHERS, values)).fetchall()
    if others:
        said = "has another price from that moment on; publish one with a later date"
        raise PriceVersionConflict(f"{_names(others)} {said}", versions=_members(others))
    return [sealed[version_id] for (version_id,) in added]


def _moment(version: PriceVersion) -> tuple[str, str, datetime]:
    return version.provider, version.model, version.effective_from


async def publish_markup(tx: Connection, change: MarkupChange, by: str, at: datetime) -> None:
    """Add a mark-up. Raises InvalidPrices, or PriceVersionConflict when that moment has one."""
    _check_markup(change)
    markup = change.markup
    values = {
        "provider": change.provider,
        "model": change.model,
        "plan": change.plan,
        "effective_from": change.effective_from,
        "ppm": None if markup is None else markup.ppm,
        "fixed_nanos": None if markup is None else markup.fixed_nanos,
        "at": at,
        "by": by,
    }
    if (await tx.execute(_PUBLISH_MARKUP, values)).rowcount == 0:
        raise PriceVersionConflict("There is a mark-up for this from that moment on already")


async def read_revision(tx: Connection) -> Revision:
    """Say how many prices and mark-ups there are: cheap, and different whenever one is new."""
    row = await (await tx.execute(_READ_REVISION)).fetchone()
    versions, markups = row or (0, 0)
    return versions, markups


async def load_book(tx: Connection) -> Book:
    """Read the whole price book."""
    # The revision first: what is published meanwhile makes it look old, never new.
    revision = await read_revision(tx)
    versions = await _read_versions(tx)
    return Book(versions, dated_markups(await read_markups(tx)), revision)


async def read_markups(tx: Connection) -> list[MarkupChange]:
    """Read every mark-up, past and to come, oldest first."""
    return [_change(row) for row in await (await tx.execute(_READ_MARKUPS)).fetchall()]


async def find_altered(tx: Connection) -> list[PriceVersion]:
    """List versions whose content is not what was published under their id."""
    return [version for version in await _read_versions(tx) if seal(version).id != version.id]


async def _read_versions(tx: Connection) -> list[PriceVersion]:
    async with tx.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_READ_VERSIONS)
        return [_version(row) for row in await cursor.fetchall()]


def dated_markups(changes: Iterable[MarkupChange]) -> list[tuple[datetime, Markups]]:
    """Work out every mark-up in force from each moment at which one changes."""
    by_moment: dict[datetime, list[MarkupChange]] = defaultdict(list)
    for change in changes:
        by_moment[change.effective_from].append(change)
    in_force: dict[tuple[str, str, str], Markup] = {}
    dated: list[tuple[datetime, Markups]] = []
    for moment in sorted(by_moment):
        for change in by_moment[moment]:
            name = (change.provider, change.model, change.plan)
            if change.markup is None:
                in_force.pop(name, None)
            else:
                in_force[name] = change.markup
        dated.append((moment, _markups(in_force)))
    return dated


def _markups(in_force: dict[tuple[str, str, str], Markup]) -> Markups:
    plans: dict[str, Markup] = {}
    providers: dict[str, Markup] = {}
    models: dict[tuple[str, str], Markup] = {}
    for (provider, model, plan), markup in in_force.items():
        if plan:
            plans[plan] = markup
        elif model:
            models[provider, model] = markup
        elif provider:
            providers[provider] = markup
    default = in_force.get(("", "", ""), Markup())
    return Markups(default=default, plans=plans, providers=providers, models=models)


def _check(versions: Iterable[PriceVersion]) -> None:
    faults: dict[str, list[str]] = {}
    for version in versions:
        for place, said in faults_in(version):
            faults.setdefault(f"{version.provider}/{version.model}: {place}", []).append(said)
    if faults:
        where, said = next(iter(faults.items()))
        raise InvalidPrices(f"{where} {said[0]}", faults)


def _check_markup(change: MarkupChange) -> None:
    faults: dict[str, list[str]] = {}
    if change.plan and (change.provider or change.model):
        faults["plan"] = ["must stand alone: a mark-up is for a plan, or for a provider or model"]
    if change.model and not change.provider:
        faults["provider"] = ["is required: a model's name needs its provider"]
    if change.effective_from.tzinfo is None:
        faults["effectiveFrom"] = ["must have a time zone"]
    if change.markup is not None and not -PPM <= change.markup.ppm <= 1000 * PPM:
        faults["ppm"] = [f"must be from {-PPM} (free) to {1000 * PPM}"]
    if change.markup is not None and not 0 <= change.markup.fixed_nanos <= MAX_NANOS:
        faults["fixed"] = ["must not be negative"]
    if faults:
        raise InvalidPrices("This mark-up is not valid", faults)


def _row(version: PriceVersion) -> dict[str, Any]:
    return {
        "id": str(version.id),
        "content_hash": content_hash(version).hex(),
        **to_content(version),
    }


def _version(row: DictRow) -> PriceVersion:
    tiers: dict[str, Any] = row.pop("service_tiers")
    return PriceVersion(
        effective_from=row.pop("effective_from").astimezone(UTC),
        rates=rates_from_json(row.pop("rates")),
        service_tiers={tier: rates_from_json(rates) for tier, rates in tiers.items()},
        aliases=tuple(row.pop("aliases")),
        **row,
    )


def _change(row: TupleRow) -> MarkupChange:
    provider, model, plan, effective_from, ppm, fixed_nanos = row
    return MarkupChange(
        provider=provider,
        model=model,
        plan=plan,
        effective_from=effective_from,
        markup=None if ppm is None else Markup(ppm, fixed_nanos),
    )


def _names(rows: Sequence[TupleRow]) -> str:
    provider, model, moment = rows[0]
    more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
    return f"{provider}/{model} of {moment.isoformat()}{more}"


def _members(rows: Sequence[TupleRow]) -> list[dict[str, str]]:
    return [
        {"provider": provider, "model": model, "effectiveFrom": moment.isoformat()}
        for provider, model, moment in rows
    ]
