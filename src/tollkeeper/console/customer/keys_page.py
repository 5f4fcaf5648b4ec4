"""API keys: made, their secret shown once; changed, limited, revoked."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from litestar import get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect, Response
from litestar.types import ControllerRouterHandler

from tollkeeper import orgs
from tollkeeper.base.errors import InvalidRequest, NotFound, TollkeeperError
from tollkeeper.base.ids import read_id, show_id, uuid7
from tollkeeper.console.customer.budget_words import percent_of, read_budgets, show_amount
from tollkeeper.console.customer.destroying import destroying_pages
from tollkeeper.console.customer.key_limits import (
    PERIODS,
    limits_of,
    read_limits,
    set_limits,
    written,
)
from tollkeeper.console.customer.naming import Names, read_chosen, read_names, read_offers
from tollkeeper.console.customer.noting import note, say_full
from tollkeeper.console.customer.saying import changed_since, faults_of, opened_with, refuse
from tollkeeper.console.doors import AnyRequest, Door, customers_only, managers_only, session_of
from tollkeeper.console.forms import Form, Question, go_on, read_as
from tollkeeper.console.model import Session
from tollkeeper.console.rendering import say
from tollkeeper.console.shelves import Shelves
from tollkeeper.db import Connection
from tollkeeper.http import read_path_id
from tollkeeper.limits import BudgetIn, BudgetOut
from tollkeeper.orgs import (
    ApiKey,
    Capacity,
    CreateApiKey,
    KeyChange,
    KeyKind,
    Kind,
    NewKey,
    UpdateApiKey,
)

PATH: Final = "/console/keys"
_PAGE: Final = 50
_BAD: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What a form asks for, once every field could be read."""

    expires_at: datetime | None
    limits: Sequence[BudgetIn | None]


def key_pages(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    return [
        _listing(door, shelves),
        *_making(door, shelves),
        *_changing(door, shelves),
        *_revoking(door),
    ]


def _listing(door: Door, shelves: Shelves) -> ControllerRouterHandler:
    @get("/keys", include_in_schema=False, guards=[managers_only])
    async def show_keys(
        request: AnyRequest, before: FromQuery[str] = "", ended: FromQuery[str] = ""
    ) -> Response[bytes]:
        session, now = session_of(request), door.clock.now()
        after = read_path_id("key", before) if before else None
        async with door.database.connection() as connection:
            keys = await orgs.list_keys(
                connection,
                session.org_id,
                after,
                _PAGE + 1,
                livemode=session.livemode,
                working_at=None if ended else now,
                ended_at=now if ended else None,
            )
            budgets = await read_budgets(connection, shelves, session, keys[:_PAGE], now)
            names = await _project_names(connection, keys[:_PAGE])
        shown, more = keys[:_PAGE], len(keys) > _PAGE
        kept = "ended=1&" if ended else ""
        older = f"{PATH}?{kept}before={show_id('key', shown[-1].key_id)}" if more else None
        return door.page(
            request,
            "customer/keys.html",
            keys=[_row(key, budgets, names, now) for key in shown],
            ended=bool(ended),
            older=older,
            newest=(f"{PATH}?ended=1" if ended else PATH) if before else None,
            amount=show_amount,
            percent=percent_of,
        )

    return show_keys


async def _project_names(connection: Connection, keys: Sequence[ApiKey]) -> Names:
    """Of the projects in use that keys of one organization belong to."""
    shown = {show_id("prj", key.project_id): key.org_id for key in keys}
    if not shown:
        return Names(projects={}, keys={}, members={})
    return await read_names(connection, keys[0].org_id, shown, archived=False)


def _state(key: ApiKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "active"


def _row(
    key: ApiKey, budgets: Sequence[BudgetOut], names: Names, now: datetime
) -> dict[str, object]:
    known = show_id("key", key.key_id)
    return {
        "id": known,
        "key": key,
        "state": _state(key, now),
        "project": names.projects.get(show_id("prj", key.project_id), say("keys.archived")),
        "limits": limits_of(known, budgets),
    }


def _making(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    async def answer(request: AnyRequest, form: Form, status: int = 200, full: str = "") -> Any:
        session = session_of(request)
        async with door.database.connection() as connection:
            chosen = form.text("projectId")
            names = await read_names(connection, session.org_id, [chosen], archived=False)
            offers = await read_offers(connection, session.org_id, names, {"project": chosen})
        return door.page(
            request,
            "customer/key_new.html",
            status,
            form=form,
            full=full,
            projects=offers["project"],
            kinds=[(kind.value, say(f"keys.kind_{kind}")) for kind in KeyKind],
            periods=_period_choices(),
        )

    @get("/keys/new", include_in_schema=False, guards=[managers_only, customers_only])
    async def ask_for_key(request: AnyRequest, project: FromQuery[str] = "") -> Response[bytes]:
        fields = {"newId": show_id("key", uuid7()), "projectId": project, **written("", ())}
        return await answer(request, Form(values=fields))

    @post("/keys", include_in_schema=False, guards=[managers_only, customers_only], status_code=200)
    async def make_key(request: AnyRequest) -> Response[bytes] | Redirect:
        """The answer is the page with the secret. The form names the key that it makes, so that
        the same form makes one key, however often it is sent."""
        session, now = session_of(request), door.clock.now()
        form = await door.read_form(request)
        key_id = read_path_id("key", form.text("newId"))
        try:
            form, wrong = await _with_project(door, session, form)
            names = ("name", "projectId", "kind")
            wanted = _read(form, now, CreateApiKey, names, wrong)
            made = await _make(door, shelves, session, (key_id, form, wanted), now)
        except TollkeeperError as error:
            if error.code == "capacity_exceeded":
                full = say_full(shelves, session, error, now)
                return await answer(request, form, _BAD, full)
            places = {"project_not_found": "projectId"}
            return await answer(request, refuse(form, error, places), _BAD)
        await shelves.limits.refresh()
        if made is None:
            return go_on(PATH, "key_made_before")
        key, secret = made
        base = f"{door.base_url.rstrip('/')}/api/v1"
        return door.page(request, "customer/key_made.html", key=key, secret=secret, base=base)

    return [ask_for_key, make_key]


async def _with_project(
    door: Door, session: Session, form: Form
) -> tuple[Form, dict[str, list[str]]]:
    """The project may be typed by its name."""
    kinds: dict[str, Kind] = {"projectId": "project"}
    async with door.database.connection() as connection:
        found, wrong = await read_chosen(connection, session.org_id, form.values, kinds)
    return replace(form, values=found), wrong


async def _make(
    door: Door,
    shelves: Shelves,
    session: Session,
    asked: tuple[UUID, Form, _Wanted],
    now: datetime,
) -> tuple[ApiKey, str] | None:
    """None where this form made its key before."""
    key_id, form, wanted = asked
    new = NewKey(
        org_id=session.org_id,
        key_id=key_id,
        project_id=read_id("prj", form.text("projectId")),
        name=form.text("name"),
        kind=KeyKind(form.text("kind")),
        livemode=session.livemode,
        clamp=shelves.settings.gateway.clamp,
        expires_at=wanted.expires_at,
    )
    async with door.database.transaction() as tx:
        await orgs.lock_org(tx, session.org_id)
        if await _is_there(tx, session.org_id, key_id):
            return None
        key, secret = await orgs.create_key(tx, new, chance=secrets.token_bytes(32), now=now)
        await shelves.capacities.check_made(tx, session, Capacity.API_KEYS)
        await set_limits(tx, key, wanted.limits, (), now)
        told = {"apiKeyId": show_id("key", key_id), "name": key.name, "kind": key.kind.value}
        await note(tx, session, "api_key.create", now, **told)
    return key, secret


async def _is_there(tx: Connection, org_id: UUID, key_id: UUID) -> bool:
    try:
        await orgs.get_key(tx, org_id, key_id)
    except NotFound:
        return False
    return True


def _read(
    form: Form,
    now: datetime,
    shape: type[CreateApiKey | UpdateApiKey],
    names: Sequence[str],
    faults: dict[str, list[str]],
) -> _Wanted:
    """Raises InvalidRequest with every fault of the form; some are known before."""
    known = dict(faults)
    try:
        read_as(shape, {name: form.text(name) for name in names})
    except InvalidRequest as error:
        faults |= {name: [said] for name, said in faults_of(error).items()}
    expires_at, fault = _read_expiry(form.text("expiresAt"), now)
    if fault:
        faults["expiresAt"] = [fault]
    wanted, wrong = read_limits(form, form.text("name") or "?")
    faults |= {name: [said] for name, said in wrong.items()} | known
    if faults:
        raise InvalidRequest(say("keys.faults"), faults)
    return _Wanted(expires_at=expires_at, limits=wanted)


def _read_expiry(said: str, now: datetime) -> tuple[datetime | None, str]:
    """The end of the last day on which a key works, of UTC."""
    if not said:
        return None, ""
    try:
        last = date.fromisoformat(said)
        ends = datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1)
    except (ValueError, OverflowError):
        return None, say("keys.expiry_wrong")
    return (ends, "") if ends > now else (None, say("keys.expiry_past"))


def _show_expiry(expires_at: datetime | None) -> str:
    if expires_at is None:
        return ""
    return f"{expires_at.astimezone(UTC) - timedelta(microseconds=1):%Y-%m-%d}"


def _fields(key: ApiKey, budgets: Sequence[BudgetOut]) -> dict[str, str]:
    """The fields of the form, as a key is."""
    limits = written(show_id("key", key.key_id), budgets)
    return {"name": key.name, "expiresAt": _show_expiry(key.expires_at), **limits}


def _words() -> dict[str, dict[str, str]]:
    periods = dict(_period_choices())
    return {"costPeriod": periods, "tokenPeriod": periods}


def _period_choices() -> list[tuple[str, str]]:
    return [(one.value, say(f"limits.per_{one}")) for one in PERIODS]


async def _find(door: Door, request: AnyRequest, key_id: str) -> ApiKey:
    """Raises NotFound, also for a key of the other mode."""
    session, known = session_of(request), read_path_id("key", key_id)
    async with door.database.connection() as connection:
        key = await orgs.get_key(connection, session.org_id, known)
    if key.livemode != session.livemode:
        raise NotFound(say("keys.other_mode"))
    return key


def _changing(door: Door, shelves: Shelves) -> list[ControllerRouterHandler]:
    async def answer(
        request: AnyRequest, key: ApiKey, form: Form | None, status: int = 200
    ) -> Response[bytes]:
        session, now = session_of(request), door.clock.now()
        async with door.database.connection() as connection:
            budgets = await read_budgets(connection, shelves, session, [key], now)
            names = await _project_names(connection, [key])
        if form is None:
            form = opened_with(_fields(key, budgets))
        return door.page(
            request,
            "customer/key.html",
            status,
            form=form,
            row=_row(key, budgets, names, now),
            periods=_period_choices(),
        )

    @get("/keys/{key_id:str}", include_in_schema=False, guards=[managers_only])
    async def show_key(request: AnyRequest, key_id: FromPath[str]) -> Response[bytes]:
        return await answer(request, await _find(door, request, key_id), None)

    @post("/keys/{key_id:str}", include_in_schema=False, guards=[managers_only], status_code=200)
    async def change_key(request: AnyRequest, key_id: FromPath[str]) -> Response[bytes] | Redirect:
        session, now = session_of(request), door.clock.now()
        form = await door.read_form(request)
        key = await _find(door, request, key_id)
        try:
            unmoved = form.text("expiresAt") == _show_expiry(key.expires_at)
            read = form if not unmoved else replace(form, values={**form.values, "expiresAt": ""})
            wanted = _read(read, now, UpdateApiKey, ("name",), {})
            change = KeyChange(
                name=form.text("name"),
                expires_at=wanted.expires_at,
                never_expires=not form.text("expiresAt"),
            )
            async with door.database.transaction() as tx:
                await orgs.lock_org(tx, session.org_id)
                kept = await orgs.get_key(tx, session.org_id, key.key_id)
                budgets = await read_budgets(tx, shelves, session, [kept], now)
                moved = changed_since(form, _fields(kept, budgets), _words())
                if moved is None:
                    await orgs.update_key(tx, session.org_id, key.key_id, change, now)
                    await set_limits(tx, key, wanted.limits, budgets, now)
                    told = {"apiKeyId": show_id("key", key.key_id), "name": form.text("name")}
                    await note(tx, session, "api_key.update", now, **told)
        except InvalidRequest as error:
            return await answer(request, key, refuse(form, error), _BAD)
        if moved is not None:
            return await answer(request, kept, moved, _BAD)
        await shelves.limits.refresh()
        return go_on(PATH, "saved")

    return [show_key, change_key]


def _revoking(door: Door) -> list[ControllerRouterHandler]:
    async def find(request: AnyRequest) -> ApiKey:
        return await _find(door, request, request.path_params["key_id"])

    def ask(key: ApiKey) -> Question:
        return Question(
            title=say("keys.revoke_title", name=key.name),
            detail=say("keys.revoke_detail"),
            name=key.name,
            action=f"{PATH}/{show_id('key', key.key_id)}/revoke",
            button=say("keys.revoke"),
            back=PATH,
        )

    async def revoke(request: AnyRequest, key: ApiKey) -> Redirect:
        session, now = session_of(request), door.clock.now()
        async with door.database.transaction() as tx:
            await orgs.revoke_key(tx, session.org_id, key.key_id, now)
            told = {"apiKeyId": show_id("key", key.key_id), "name": key.name}
            await note(tx, session, "api_key.revoke", now, **told)
        return go_on(PATH, "key_revoked")

    path = "/keys/{key_id:str}/revoke"
    return destroying_pages(door, path, managers_only, find=find, ask=ask, destroy=revoke)
