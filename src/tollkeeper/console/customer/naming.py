"""What projects, keys and members are called: of those that a page shows, and that it offers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from tollkeeper import orgs
from tollkeeper.base.errors import InvalidRequest
from tollkeeper.base.ids import read_id, show_id
from tollkeeper.console.rendering import say
from tollkeeper.db import Connection
from tollkeeper.orgs import Kind, Named

OFFERED: Final = 100

_KINDS: Final[dict[str, Kind]] = {"prj": "project", "key": "key", "mem": "member"}
PREFIXES: Final[dict[str, str]] = {kind: prefix for prefix, kind in _KINDS.items()}
# As a field says what it offers: a name, which others may have, and the id.
_SAID: Final = re.compile(r".*\(((?:prj|key|mem)_[0-9a-f]{32})\)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What projects, keys and members are called, by their ids."""

    projects: Mapping[str, str]
    keys: Mapping[str, str]
    members: Mapping[str, str]

    def of(self, name: str, value: str) -> str:
        return self.of_kind(name).get(value, value)

    def of_kind(self, name: str) -> Mapping[str, str]:
        known = {"project": self.projects, "key": self.keys, "member": self.members}
        return known.get(name, {})


@dataclass(frozen=True, slots=True)
class Offer:
    """What a field offers, each an id and a name. Where there are `more`, others are typed."""

    options: Sequence[tuple[str, str]]
    more: bool

    @property
    def lines(self) -> list[str]:
        return [_line(*one) for one in self.options]

    def said(self, value: str) -> str:
        """How a field that is typed says a value."""
        name = dict(self.options).get(value)
        return value if name is None else _line(value, name)


async def read_names(
    connection: Connection, org_id: UUID, shown: Iterable[str | None], *, archived: bool = True
) -> Names:
    """Of the ids that are shown: those that are there, and archived projects where they count."""
    ids = {known for one in shown if one and (known := _id_of(one)) is not None}
    found = await orgs.names_within(connection, org_id, ids) if ids else []
    of: dict[Kind, dict[str, str]] = {"project": {}, "key": {}, "member": {}}
    for one in found:
        if archived or not one.archived:
            of[one.kind][_shown(one)] = one.name
    return Names(projects=of["project"], keys=of["key"], members=of["member"])


async def read_offers(
    connection: Connection, org_id: UUID, names: Names, chosen: Mapping[Kind, str]
) -> dict[str, Offer]:
    """Of each kind the newest, and the one that is chosen, if it is known by its name. What is
    chosen of a kind is "" where nothing is."""
    newest = await orgs.newest_names(connection, org_id, list(chosen), OFFERED + 1)
    return {
        kind: _offer([one for one in newest if one.kind == kind], names.of_kind(kind), value)
        for kind, value in chosen.items()
    }


def _offer(newest: Sequence[Named], known: Mapping[str, str], chosen: str) -> Offer:
    """Oldest first where they are all there; else the newest first."""
    more = len(newest) > OFFERED
    options = {_shown(one): one.name for one in (newest[:OFFERED] if more else newest[::-1])}
    if chosen in known:
        options.setdefault(chosen, known[chosen])
    return Offer(list(options.items()), more)


async def read_chosen(
    connection: Connection, org_id: UUID, values: Mapping[str, str], kinds: Mapping[str, Kind]
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The same values, with ids in the fields that have a kind: that they say, or else that of the
    one thing of the name; and what is wrong with fields whose name none has, or several."""
    found, faults = dict(values), dict[str, list[str]]()
    for field, kind in kinds.items():
        try:
            found[field] = await _read_id(connection, org_id, kind, values.get(field, "").strip())
        except InvalidRequest as error:
            faults[field] = [error.detail]
    return found, faults


async def _read_id(connection: Connection, org_id: UUID, kind: Kind, said: str) -> str:
    if not said or _id_of(said) is not None:
        return said
    if (line := _SAID.fullmatch(said)) is not None:
        return line[1]
    found = await orgs.called(connection, org_id, kind, said, 2)
    if not found or (len(found) > 1 and _rank(found[0], said) == _rank(found[1], said)):
        raise InvalidRequest(say(f"offered.{'several' if found else 'nothing'}_{kind}", name=said))
    return _shown(found[0])


def _rank(one: Named, said: str) -> tuple[bool, bool]:
    return one.name != said, one.archived


def _line(value: str, name: str) -> str:
    return f"{name} ({value})"


def _shown(one: Named) -> str:
    return show_id(PREFIXES[one.kind], one.id)


def _id_of(text: str) -> UUID | None:
    prefix = text.partition("_")[0]
    try:
        return read_id(prefix, text) if prefix in _KINDS else None
    except ValueError:
        return None
