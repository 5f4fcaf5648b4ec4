"""Where an account is signed in: sessions that begin, change their secret, and end."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from tollkeeper.base.ids import uuid7
from tollkeeper.console.signing_in import store
from tollkeeper.console.signing_in.model import Account, AccountSession
from tollkeeper.console.tokens import (
    ID_BYTES,
    SECRET_BYTES,
    hash_secret,
    opens,
    read_token,
    write_token,
)
from tollkeeper.db import Connection

SESSION_LASTS: Final = timedelta(days=7)
# Staff may do more, and sign in once a working day.
STAFF_SESSION_LASTS: Final = timedelta(hours=12)

_SEEN_AFTER: Final = timedelta(minutes=5)
_LONGEST_USER_AGENT: Final = 300


async def begin(
    tx: Connection, account: Account, *, user_agent: str, chance: bytes, now: datetime
) -> tuple[AccountSession, str]:
    """Sign an account in, with 32 random bytes; return the session and its token."""
    lasts = SESSION_LASTS if account.staff_role is None else STAFF_SESSION_LASTS
    session = AccountSession(
        session_id=uuid7(),
        secret_hash=hash_secret(chance),
        previous_hash=None,
        user_agent=user_agent[:_LONGEST_USER_AGENT],
        created_at=now,
        rotated_at=now,
        seen_at=now,
        expires_at=now + lasts,
        account_id=account.account_id,
        email=account.email,
        name=account.name,
        staff_role=account.staff_role,
    )
    await store.insert_session(tx, session, secret_hash=session.secret_hash, now=now)
    return session, write_token(session.session_id.bytes, chance)


async def find(connection: Connection, token: str, now: datetime) -> AccountSession | None:
    """Return whose session it is; None when it is over, never was, or its account is disabled."""
    parts = read_token(token, ID_BYTES, SECRET_BYTES)
    if parts is None:
        return None
    session = await store.find_session(connection, UUID(bytes=parts[0]), now)
    return session if session is not None and opens(parts[1], session, now) else None


async def rotate(
    tx: Connection, session: AccountSession, *, chance: bytes, now: datetime, keep: bool = True
) -> str | None:
    """Change the secret and return the new token; None when another request did."""
    if not await store.rotate_session(tx, session, hash_secret(chance), now, keep=keep):
        return None
    return write_token(session.session_id.bytes, chance)


def is_unseen(session: AccountSession, now: datetime) -> bool:
    return now - session.seen_at >= _SEEN_AFTER


def form_token(secret: bytes, session: AccountSession) -> str:
    """What each form of a session carries, and a page of another origin cannot know."""
    said = b"account form" + session.session_id.bytes
    return hmac.new(secret, said, hashlib.sha256).hexdigest()
