"""Who is there and how much they call when: worked out beforehand, from the seed alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Final
from uuid import UUID

from tollkeeper.demo import cast
from tollkeeper.demo.model import (
    DAY,
    TICK,
    Key,
    Organization,
    Pays,
    Person,
    Project,
    Wish,
    World,
)
from tollkeeper.demo.traffic import APPS

_MONTH: Final = timedelta(days=365) / 12
_ROLES: Final = ("owner", "billing", "admin", "member", "member", "member")
# Of a day, by the hour: people sleep, rise, eat and go home.
_HOURS: Final = (
    0.16, 0.12, 0.1, 0.09, 0.1, 0.15, 0.28, 0.5, 0.82, 1.15, 1.35, 1.3,
    1.05, 1.25, 1.4, 1.35, 1.2, 0.98, 0.75, 0.6, 0.52, 0.44, 0.33, 0.23,
)  # fmt: skip
# Those that are not large call in some hours and not in others.
_LARGE, _IDLE = 8, 0.6
_RAMP_DAYS: Final = 25
_SPIKE_DAYS_BEFORE_END: Final = 3
_SPIKE_TIMES: Final = 9.0


def plan(wish: Wish) -> World:
    """Work out a world. The same wish gives the same one."""
    until = wish.until.astimezone(UTC)
    days = max(2, (wish.months * _MONTH).days)
    start = until - timedelta(days=days)
    ticks = days * DAY
    chance = random.Random(f"{wish.seed}/world")  # noqa: S311 (no secret)
    founded = _foundings(wish.organizations, ticks, chance)
    shares = _shares(wish, start, ticks, founded)
    organizations = tuple(
        _organization(wish, number, start, founded[number], counts)
        for number, counts in enumerate(shares)
    )
    return World(
        wish=wish,
        start=start,
        ticks=ticks,
        pauses=_pauses(ticks, chance),
        organizations=organizations,
    )


def _pauses(ticks: int, chance: random.Random) -> tuple[int, ...]:
    """Twice a day, in the morning and in the afternoon of UTC."""
    found: list[int] = []
    for midnight in range(0, ticks, DAY):
        found += [midnight + chance.randrange(7, 12), midnight + chance.randrange(13, 20)]
    return (0, *(pause for pause in found if pause < ticks))


def _foundings(organizations: int, ticks: int, chance: random.Random) -> list[int]:
    """A third are there from the start; the others come one after the other."""
    first = max(min(2, organizations), organizations // 3)
    later = sorted(chance.random() for _ in range(organizations - first))
    return [0] * first + [int(ticks * (0.03 + 0.75 * moment)) for moment in later]


def _shares(wish: Wish, start: datetime, ticks: int, founded: Sequence[int]) -> list[list[int]]:
    """Give each organization its calls, `wish.calls` of them together."""
    busy = [_busyness(wish, number, start, ticks, born) for number, born in enumerate(founded)]
    sums = [sum(one) for one in busy]
    totals = _apportion(wish.calls, sums)
    return [_spread(one, total) for one, total in zip(busy, totals, strict=True)]


def _busyness(wish: Wish, number: int, start: datetime, ticks: int, founded: int) -> list[float]:
    chance = random.Random(f"{wish.seed}/busy/{number}")  # noqa: S311 (no secret)
    app, home = APPS[number % len(APPS)], cast.HOMES[number % len(cast.HOMES)]
    size = (1 + chance.random()) / (1 + _rank(wish, number)) ** 0.85
    growth = 0.4 + 1.6 * chance.random()
    weekday = [1.0, 1.05, 1.04, 1.0, 0.9, app.weekends, app.weekends * 0.85]
    first = start + timedelta(hours=home.hours_from_utc)
    night = 12 if app.nightly else 0
    hours = [_HOURS[(hour + night) % 24] for hour in range(24)]
    idle = 0.0 if _rank(wish, number) < _LARGE else _IDLE
    busy = [0.0] * ticks
    level = 1.0
    for tick in range(founded, ticks):
        if tick % DAY == 0:
            level = chance.lognormvariate(0.0, 0.18)
        local = first + tick * TICK
        age = (tick - founded) / DAY
        ramp = 1.0 if founded == 0 else min(1.0, 0.1 + age / _RAMP_DAYS)
        rhythm = weekday[local.weekday()] * hours[local.hour]
        noise = 0.7 + 0.6 * chance.random() if chance.random() > idle else 0.0
        busy[tick] = size * level * ramp * rhythm * noise * (1 + growth * tick / ticks)
    if number == _spiking(wish):
        spike = ticks - _SPIKE_DAYS_BEFORE_END * DAY
        for tick in range(max(founded, spike), min(ticks, spike + DAY // 3)):
            busy[tick] *= _SPIKE_TIMES
    return busy


def _rank(wish: Wish, number: int) -> int:
    """Size has nothing to do with age: the large ones are anywhere."""
    order = list(range(wish.organizations))
    random.Random(f"{wish.seed}/sizes").shuffle(order)  # noqa: S311 (no secret)
    return order[number]


def _spiking(wish: Wish) -> int:
    return min(1, wish.organizations - 1)


def _apportion(total: int, weights: Sequence[float]) -> list[int]:
    whole = sum(weights)
    ends = [round(total * end / whole) for end in accumulate(weights)]
    return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]


def _spread(busy: Sequence[float], total: int) -> list[int]:
    whole = sum(busy)
    if not whole:
        return [0] * len(busy)
    ends = [round(total * end / whole) for end in accumulate(busy)]
    return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]


def _organization(
    wish: Wish, number: int, start: datetime, founded: int, counts: list[int]
) -> Organization:
    chance = random.Random(f"{wish.seed}/people/{number}")  # noqa: S311 (no secret)
    born = start + founded * TICK
    firsts, seconds = cast.FIRST_WORDS, cast.SECOND_WORDS
    # Chosen so that no name comes twice among the first few hundred.
    first = firsts[(number * 7 + wish.seed) % len(firsts)]
    name = f"{first} {seconds[(number * 3 + number // len(firsts) * 2) % len(seconds)]}"
    domain = f"{name.lower().replace(' ', '-')}-{number}.example"
    people = tuple(_person(role, domain, born, chance) for role in _ROLES[: chance.randint(3, 6)])
    projects = tuple(
        Project(_id(born, chance), project) for project in cast.PROJECTS[: chance.randint(2, 5)]
    )
    keys = tuple(
        Key(_id(born, chance), place % len(projects), whose, f"key {place + 1}")
        for place, whose in enumerate([None, *range(len(people))])
    )
    return Organization(
        number=number,
        org_id=_id(born, chance),
        wallet_id=_id(born, chance),
        name=name,
        domain=domain,
        home=number % len(cast.HOMES),
        app=number % len(APPS),
        founded=founded,
        pays=_pays(number, wish.organizations),
        people=people,
        projects=projects,
        keys=keys,
        admin_key=_id(born, chance),
        counts=counts,
    )


def _pays(number: int, organizations: int) -> Pays:
    if number == min(2, organizations - 1):
        return Pays.ONCE
    return Pays.ITSELF if number % 3 == 0 else Pays.BY_HAND


def _person(role: str, domain: str, born: datetime, chance: random.Random) -> Person:
    given, family = chance.choice(cast.GIVEN_NAMES), chance.choice(cast.FAMILY_NAMES)
    number = chance.randrange(10, 100)
    email = f"{given}.{family}{number}@{domain}".lower()
    return Person(_id(born, chance), f"{given} {family}", email, role)


def _id(at: datetime, chance: random.Random) -> UUID:
    """Make a UUIDv7 of that moment."""
    milliseconds = int(at.timestamp() * 1000)
    a, b = chance.getrandbits(12), chance.getrandbits(62)
    return UUID(int=milliseconds << 80 | 7 << 76 | a << 64 | 2 << 62 | b)
