"""Whose credit a report spends, from the key that sent it and what it names."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from tollkeeper.base.errors import Forbidden
from tollkeeper.base.ids import read_id, show_id
from tollkeeper.db import Database
from tollkeeper.http import Scope, invalid
from tollkeeper.metering.intake.bodies import Named
from tollkeeper.orgs import Caller, KeyRing, OperatorCaller, bearer_token, get_project

_OPERATOR: Final = "tk_op_"
# An archived project is refused this much later. Its credit is its organization's either way.
_PROJECT_SECONDS: Final = 10.0
_MOST_REMEMBERED: Final = 100_000


@dataclass(frozen=True, slots=True)
class Spender:
    """Who pays, from live or from test wallets."""

    org_id: UUID
    project_id: UUID
    key_id: UUID | None
    livemode: bool
    member_id: UUID | None = None


class Spenders:
    """`default_livemode` is for operators that name an organization without saying which mode."""

    def __init__(self, database: Database, keys: KeyRing, *, default_livemode: bool) -> None:
        self._database = database
        self._keys = keys
        self._default_livemode = default_livemode
        self._by_project: dict[tuple[str, str, bool, bool], tuple[Spender, float]] = {}

    async def authenticate(self, scope: Scope) -> Caller | OperatorCaller:
        """Return who sent the request. Raises Unauthenticated."""
        token = bearer_token(scope["headers"])
        if token is not None and token.startswith(_OPERATOR):
            return await self._keys.authenticate_operator(token)
        return await self._keys.authenticate(token)

    async def find(
        self, caller: Caller | OperatorCaller, named: Named, *, past: bool = False
    ) -> Spender:
        """Raises Forbidden when a customer names another, and what is wrong with what is named.

        What has happened is paid also where the key or project is no longer in use: `past`.
        """
        if isinstance(caller, Caller):
            _check_names_itself(caller, named)
            return _of_key(caller)
        if named.api_key is not None:
            _check_only_key(named)
            know = self._keys.recognize if past else self._keys.authenticate
            return _of_key(await know(named.api_key))
        return await self._of_project(named, past)

    async def _of_project(self, named: Named, past: bool) -> Spender:
        if named.organization_id is None or named.project_id is None:
            both = "is required: apiKey, or organizationId with projectId"
            missing = "projectId" if named.organization_id is not None else "organizationId"
            raise invalid({missing: [both]})
        livemode = self._default_livemode if named.livemode is None else named.livemode
        place = (named.organization_id, named.project_id, livemode, past)
        known = self._by_project.get(place)
        if known is not None and known[1] > time.monotonic():
            return known[0]
        org_id, project_id = read_id("org", place[0]), read_id("prj", place[1])
        async with self._database.connection() as connection:
            await get_project(connection, org_id, project_id, archived=past)
        spender = Spender(org_id, project_id, None, livemode)
        if len(self._by_project) >= _MOST_REMEMBERED:
            self._by_project.clear()
        self._by_project[place] = (spender, time.monotonic() + _PROJECT_SECONDS)
        return spender


def _of_key(caller: Caller) -> Spender:
    return Spender(
        caller.org_id, caller.project_id, caller.key_id, caller.livemode, caller.member_id
    )


def _check_names_itself(caller: Caller, named: Named) -> None:
    if named.api_key is named.organization_id is named.project_id is named.livemode is None:
        return
    if (
        named.api_key is not None
        or named.organization_id not in (None, show_id("org", caller.org_id))
        or named.project_id not in (None, show_id("prj", caller.project_id))
        or named.livemode not in (None, caller.livemode)
    ):
        raise Forbidden("A customer's key spends for itself; only an operator key names others")


def _check_only_key(named: Named) -> None:
    said = "may not be given beside apiKey, which names it already"
    given = {
        "organizationId": named.organization_id,
        "projectId": named.project_id,
        "livemode": named.livemode,
    }
    faults = {name: [said] for name, value in given.items() if value is not None}
    if faults:
        raise invalid(faults)
