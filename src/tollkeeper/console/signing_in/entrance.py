"""What the pages of signing in share: who is let in, and where they go."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from litestar.datastructures import Cookie
from litestar.response import Redirect

from tollkeeper.console import sessions
from tollkeeper.console.doors import AnyRequest
from tollkeeper.console.model import Pass
from tollkeeper.console.sessions import CONSOLE
from tollkeeper.console.signing_in import account_sessions, store
from tollkeeper.console.signing_in.account_door import AccountDoor
from tollkeeper.console.signing_in.links.making import Post
from tollkeeper.console.signing_in.model import Account, AccountSession, Membership
from tollkeeper.console.signing_in.oidc import Provider
from tollkeeper.db import Connection
from tollkeeper.orgs import Role

ORGANIZATIONS: Final = f"{CONSOLE}/organizations"
_STAFF: Final = f"{CONSOLE}/staff"
_SEE_OTHER: Final = 303
# Pages of an account, not of an organization: nothing has to be opened before them.
_OF_ACCOUNT: Final = ("staff", "account", "organizations", "invitation")
# Where somebody who has signed in is not led to.
_NO_AIMS: Final = ("sign-in", "sign-out", "signed-out", "enter", "oidc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """`livemode` is what an organization is opened in first."""

    door: AccountDoor
    post: Post
    provider: Provider | None
    livemode: bool

    @property
    def guest_values(self) -> dict[str, Any]:
        provider = self.provider
        return {"provider": None if provider is None else provider.name, "mails": self.post.mails}


async def let_in(
    entrance: Entrance, tx: Connection, request: AnyRequest, account: Account
) -> list[Cookie]:
    """Sign an account in with a session that is new, whatever the browser had before."""
    door, now = entrance.door, entrance.door.door.clock.now()
    before = await door.look(request)
    if before is not None:
        await store.end_sessions(tx, before.account_id, only=before.session_id)
    session, token = await account_sessions.begin(
        tx,
        account,
        user_agent=request.headers.get("user-agent", ""),
        chance=secrets.token_bytes(32),
        now=now,
    )
    return [door.cookie(token, session), door.door.cookie("", 0)]


def go_in(account: Account | AccountSession, wanted: str, cookies: list[Cookie]) -> Redirect:
    """Lead who has signed in to what they wanted, or to what is theirs."""
    aim = safe_aim(wanted)
    if aim and _first_part(aim) in _OF_ACCOUNT:
        path = aim
    elif account.staff_role is not None and not aim:
        path = _STAFF
    else:
        path = f"{ORGANIZATIONS}?{urlencode({'next': aim})}" if aim else ORGANIZATIONS
    return Redirect(path, status_code=_SEE_OTHER, cookies=cookies)


def safe_aim(wanted: str) -> str:
    """Return an address that lies below the console, and nothing for any other."""
    if "\\" in wanted or not wanted.isprintable() or not wanted.startswith(f"{CONSOLE}/"):
        return ""
    parts = urlsplit(wanted)
    if parts.scheme or parts.netloc or ".." in parts.path.split("/") or "//" in parts.path:
        return ""
    return "" if _first_part(wanted) in _NO_AIMS else wanted


def _first_part(aim: str) -> str:
    return urlsplit(aim).path.removeprefix(f"{CONSOLE}/").partition("/")[0]


async def open_organization(
    entrance: Entrance,
    tx: Connection,
    session: AccountSession,
    membership: Membership,
    *,
    livemode: bool,
) -> Cookie:
    """Open an organization for a member of it. Their own role is what counts, as it changes."""
    now = entrance.door.door.clock.now()
    where = Pass(
        org_id=membership.org_id,
        role=Role.OWNER,
        livemode=livemode,
        member_id=membership.member_id,
    )
    expires_at = _until(session, now)
    token = await sessions.open_from_account(
        tx,
        where,
        session.session_id,
        chance=secrets.token_bytes(32),
        now=now,
        expires_at=expires_at,
    )
    return entrance.door.door.cookie(token, int((expires_at - now).total_seconds()))


def _until(session: AccountSession, now: datetime) -> datetime:
    return min(now + sessions.SESSION_LASTS, session.expires_at)
