"""What the fake remembers: objects by id, in the order of their making, and what it answers."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

Json = dict[str, Any]
Params = Mapping[str, Any]

API_VERSION = "2026-10-28.endive"


class Fault(Exception):
    """An error as Stripe answers it. One that is `kept` is replayed to the same key."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = "invalid_request_error",  # noqa: A002 (Stripe's name)
        kept: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kept = kept
        self.body: Json = {"error": {"type": type, "message": message, **more}}


def missing(kind: str, ref: object, param: str) -> Fault:
    said = f"No such {kind}: '{ref}'"
    return Fault(404, said, code="resource_missing", param=param)


def invalid(message: str, param: str, code: str = "parameter_invalid") -> Fault:
    return Fault(400, message, code=code, param=param)


@dataclass
class State:
    """`clock` gives seconds since 1970; tests move it."""

    clock: Callable[[], float] = time.time
    base: str = ""
    objects: dict[str, Json] = field(default_factory=dict[str, Json])
    # What the fake knows of a thing beyond what Stripe shows: a method's test card, and so on.
    secret: dict[str, Json] = field(default_factory=dict[str, Json])
    told: list[Callable[[Json], None]] = field(default_factory=list[Callable[[Json], None]])
    _order: Iterator[int] = field(default_factory=itertools.count)

    def now(self) -> int:
        return int(self.clock())

    def new_id(self, prefix: str) -> str:
        return f"{prefix}_{next(self._order):06x}{uuid4().hex[:18]}"

    def keep(self, thing: Json) -> Json:
        self.objects[thing["id"]] = thing
        return thing

    def find(self, ref: object, kind: str, param: str = "id") -> Json:
        found = self.objects.get(str(ref))
        if found is None or found["object"] != kind or found.get("deleted"):
            raise missing(kind, ref, param)
        return found

    def all(self, kind: str) -> list[Json]:
        """Oldest first."""
        return [thing for thing in self.objects.values() if thing["object"] == kind]

    def tell(self, type_: str, thing: Json, previous: Json | None = None) -> Json:
        """Make an event of what happened to a thing, with the thing as it is now."""
        data: Json = {"object": snapshot(thing)}
        if previous is not None:
            data["previous_attributes"] = previous
        event = self.keep(
            {
                "id": self.new_id("evt"),
                "object": "event",
                "api_version": API_VERSION,
                "created": self.now(),
                "data": data,
                "livemode": False,
                "pending_webhooks": 1,
                "request": {"id": None, "idempotency_key": None},
                "type": type_,
            }
        )
        for listener in self.told:
            listener(event)
        return event


def snapshot(thing: Any) -> Any:
    if isinstance(thing, dict):
        return {name: snapshot(value) for name, value in thing.items()}
    if isinstance(thing, list):
        return [snapshot(value) for value in thing]
    return thing


def listed(state: State, found: list[Json], params: Params, url: str) -> Json:
    """One page of a list, newest first, as Stripe pages: `limit`, `starting_after`, `created`."""
    newest_first = [thing for thing in reversed(found) if _within(thing, params.get("created"))]
    after = params.get("starting_after")
    if after is not None:
        known = [thing["id"] for thing in newest_first]
        if after not in known:
            raise missing("object", after, "starting_after")
        newest_first = newest_first[known.index(str(after)) + 1 :]
    limit = int(params.get("limit", 10))
    if not 1 <= limit <= 100:
        raise invalid("This value must be between 1 and 100", "limit")
    page = [expanded(state, thing, _below(params)) for thing in newest_first[:limit]]
    return {"object": "list", "url": url, "has_more": len(newest_first) > limit, "data": page}


def _below(params: Params) -> list[str]:
    prefix = "data."
    return [path.removeprefix(prefix) for path in params.get("expand", [])]


def _within(thing: Json, asked: Any) -> bool:
    if not isinstance(asked, Mapping):
        return asked is None or thing["created"] == int(asked)
    tests: dict[str, Callable[[int, int], bool]] = {
        "gte": lambda at, than: at >= than,
        "gt": lambda at, than: at > than,
        "lte": lambda at, than: at <= than,
        "lt": lambda at, than: at < than,
    }
    bounds: Mapping[str, Any] = asked
    return all(tests[name](thing["created"], int(than)) for name, than in bounds.items())


def expanded(state: State, thing: Json, paths: list[str]) -> Json:
    """A copy of the thing in which the named ids have become what they are ids of."""
    shown: Json = snapshot(thing)
    for path in paths:
        place: Any = shown
        *way, last = path.split(".")
        for name in way:
            _expand(state, place, name)
            place = place.get(name) if isinstance(place, dict) else None
        _expand(state, place, last)
    return shown


def _expand(state: State, place: Any, name: str) -> None:
    if not isinstance(place, dict):
        return
    if place.get("object") == "invoice" and name == "payments":
        # Not shown unless it is asked for.
        found = snapshot(state.secret[place["id"]]["payments"])
        place["payments"] = {"object": "list", "data": found, "has_more": False, "url": ""}
    elif isinstance(place.get(name), str):
        place[name] = snapshot(state.objects.get(place[name], place[name]))
