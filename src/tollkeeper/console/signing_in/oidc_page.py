"""The way to the provider of sign-in, and back."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime
from typing import Final

import msgspec
import structlog
from litestar import get
from litestar.params import FromQuery
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from tollkeeper import operator
from tollkeeper.base.errors import Unauthenticated
from tollkeeper.console.doors import AnyRequest
from tollkeeper.console.rendering import say
from tollkeeper.console.sessions import CONSOLE
from tollkeeper.console.signing_in import accounts, store
from tollkeeper.console.signing_in.account_door import AccountDoor
from tollkeeper.console.signing_in.entrance import Entrance, go_in, let_in, safe_aim
from tollkeeper.console.signing_in.links import making
from tollkeeper.console.signing_in.links import store as link_store
from tollkeeper.console.signing_in.model import Account, Purpose
from tollkeeper.console.signing_in.oidc import Attempt, Identity, Provider, SignInFailed
from tollkeeper.db import Connection
from tollkeeper.operator import Act

CALLBACK: Final = f"{CONSOLE}/oidc/callback"
_COOKIE: Final = "tollkeeper_oidc"
_PATH: Final = f"{CONSOLE}/oidc"
_LASTS_SECONDS: Final = 600
_SEE_OTHER: Final = 303
_log = structlog.stdlib.get_logger(__name__)


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What the browser keeps while its owner is at the provider, signed by us."""

    state: str
    nonce: str
    verifier: str
    aim: str
    link: str
    until: int


def oidc_pages(entrance: Entrance, provider: Provider) -> list[ControllerRouterHandler]:
    door = entrance.door

    @get("/oidc/start", include_in_schema=False)
    async def start(
        next: FromQuery[str] = "",  # noqa: A002 (the name people know it by)
        link: FromQuery[str] = "",
    ) -> Redirect:
        now = door.door.clock.now()
        kept = _Kept(
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            aim=safe_aim(next),
            link=link[:100],
            until=int(now.timestamp()) + _LASTS_SECONDS,
        )
        try:
            address = await provider.start(_attempt(kept), now)
        except SignInFailed as error:
            raise _failed(error) from error
        cookie = door.short_cookie(_COOKIE, _seal(door, kept), _PATH, _LASTS_SECONDS)
        return Redirect(address, status_code=_SEE_OTHER, cookies=[cookie])

    @get("/oidc/callback", include_in_schema=False)
    async def come_back(request: AnyRequest) -> Redirect:
        said = request.query_params
        state, code, error = (said.get(name, "") for name in ("state", "code", "error"))
        now = door.door.clock.now()
        kept = _open(door, request.cookies.get(_COOKIE, ""), now)
        if kept is None or not hmac.compare_digest(kept.state.encode(), state.encode()):
            raise Unauthenticated(say("oidc.again"))
        if error or not code:
            raise _failed(SignInFailed(f"the provider says {error!r}"))
        try:
            identity = await provider.finish(_attempt(kept), code, now)
        except SignInFailed as failure:
            raise _failed(failure) from failure
        async with door.door.database.transaction() as tx:
            account = await _account_of(tx, identity, kept.link, now)
            cookies = await let_in(entrance, tx, request, account)
        gone = door.short_cookie(_COOKIE, "", _PATH, 0)
        return go_in(account, kept.aim, [*cookies, gone])

    return [start, come_back]


async def _account_of(tx: Connection, identity: Identity, token: str, now: datetime) -> Account:
    """Return whose identity it is: known by it, or found by a verified e-mail, or invited."""
    known = await store.find_by_identity(tx, identity.issuer, identity.subject)
    if known is None:
        known = await _meet(tx, identity, token, now)
    elif token:
        known = await _invited(tx, identity, token, known, now)
    if known.disabled_at is not None:
        raise Unauthenticated(say("oidc.unknown"))
    return known


async def _meet(tx: Connection, identity: Identity, token: str, now: datetime) -> Account:
    if identity.email is None:
        raise Unauthenticated(say("oidc.unverified"))
    known = await store.find_account_by_email(tx, identity.email)
    if known is None:
        known = await _invited(tx, identity, token, None, now)
    else:
        # Whoever made this account did not have to prove the e-mail; whoever comes now did.
        await store.change_password(tx, known.account_id, None)
        await store.end_sessions(tx, known.account_id)
        if token:
            known = await _invited(tx, identity, token, known, now)
    await store.insert_identity(tx, identity.issuer, identity.subject, known.account_id, now)
    act = Act(who=known.email, why="", at=now)
    await operator.note(tx, act, "account.link_identity", None, issuer=identity.issuer)
    return known


async def _invited(
    tx: Connection, identity: Identity, token: str, known: Account | None, now: datetime
) -> Account:
    """Use up the invitations to a verified e-mail: the one that was followed, or all there are."""
    email = identity.email or ""
    if token:
        found = await making.use(tx, token, now)
        links = [] if found is None else [found]
    else:
        links = [
            *await link_store.use_links_to(tx, email, Purpose.STAFF, now),
            *await link_store.use_links_to(tx, email, Purpose.MEMBER, now),
        ]
    fitting = [one for one in links if one.email == email and one.purpose is not Purpose.RESET]
    if not fitting:
        raise Unauthenticated(say("oidc.unknown"))
    account = known or await accounts.create(
        tx, email=email, name=identity.name, password_hash=None, now=now
    )
    for link in fitting:
        account = await accounts.take_up(tx, link, account, now)
    return account


def _attempt(kept: _Kept) -> Attempt:
    return Attempt(state=kept.state, nonce=kept.nonce, verifier=kept.verifier)


def _seal(door: AccountDoor, kept: _Kept) -> str:
    content = msgspec.json.encode(kept).hex()
    return f"{content}.{_signature(door, content)}"


def _open(door: AccountDoor, sealed: str, now: datetime) -> _Kept | None:
    content, _, signature = sealed.partition(".")
    if not hmac.compare_digest(signature.encode(), _signature(door, content).encode()):
        return None
    kept = msgspec.json.decode(bytes.fromhex(content), type=_Kept)
    return kept if now.timestamp() < kept.until else None


def _signature(door: AccountDoor, content: str) -> str:
    said = b"oidc attempt" + content.encode()
    return hmac.new(door.door.secret, said, hashlib.sha256).hexdigest()


def _failed(error: SignInFailed) -> Unauthenticated:
    _log.warning("sign_in_failed", reason=str(error))
    return Unauthenticated(say("oidc.failed"))
