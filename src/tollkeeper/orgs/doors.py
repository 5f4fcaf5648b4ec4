"""Who may enter a route: guards for Litestar, and the key of any request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, cast

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from tollkeeper.http import note_owner, refuses_with
from tollkeeper.orgs.errors import AdminKeyRequired
from tollkeeper.orgs.keyring import KeyRing
from tollkeeper.orgs.model import Caller, KeyKind, OperatorCaller

# Where the application's state keeps the KeyRing, and a request's scope the caller.
KEYRING: Final = "tollkeeper.keyring"
CALLER: Final = "tollkeeper.caller"

_BEARER: Final = "bearer "

Connection = ASGIConnection[Any, Any, Any, Any]


def bearer_token(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the key of `Authorization: Bearer …`, or of `x-api-key` as Anthropic's clients do."""
    given: str | None = None
    for name, value in headers:
        if name == b"authorization":
            text = value.decode("latin-1")
            if text[: len(_BEARER)].lower() == _BEARER:
                return text[len(_BEARER) :].strip()
        elif name == b"x-api-key":
            given = value.decode("latin-1").strip()
    return given


async def any_key(connection: Connection, _: BaseRouteHandler) -> None:
    """Guard: any API key of an organization."""
    await _admit(connection)


@refuses_with(AdminKeyRequired)
async def admin_only(connection: Connection, _: BaseRouteHandler) -> None:
    """Guard: an ADMIN key of an organization."""
    caller = await _admit(connection)
    if caller.kind is not KeyKind.ADMIN:
        raise AdminKeyRequired("This is an INFERENCE key; an ADMIN key is needed here")


async def operator_only(connection: Connection, _: BaseRouteHandler) -> None:
    """Guard: an operator key."""
    ring: KeyRing = connection.app.state[KEYRING]
    operator = await ring.authenticate_operator(bearer_token(connection.scope["headers"]))
    cast("dict[str, Any]", connection.scope)[CALLER] = operator
    note_owner(connection, operator.key_id, operator.key_id)


async def _admit(connection: Connection) -> Caller:
    ring: KeyRing = connection.app.state[KEYRING]
    caller = await ring.authenticate(bearer_token(connection.scope["headers"]))
    cast("dict[str, Any]", connection.scope)[CALLER] = caller
    note_owner(connection, caller.org_id, caller.key_id)
    return caller


def caller_of(connection: Connection) -> Caller:
    """Return whom a guard admitted."""
    caller: object = cast("dict[str, Any]", connection.scope)[CALLER]
    if not isinstance(caller, Caller):
        raise TypeError("This route has no guard that admits API keys")
    return caller


def operator_of(connection: Connection) -> OperatorCaller:
    """Return which operator a guard admitted."""
    caller: object = cast("dict[str, Any]", connection.scope)[CALLER]
    if not isinstance(caller, OperatorCaller):
        raise TypeError("This route has no guard that admits operator keys")
    return caller
