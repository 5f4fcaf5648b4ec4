"""Who mails links: the secret is made when the mail is sent, and lies in no queue."""

from __future__ import annotations

import secrets
from email.message import EmailMessage
from email.utils import format_datetime
from uuid import UUID

from tollkeeper import orgs
from tollkeeper.base.clock import Clock
from tollkeeper.console.rendering import say
from tollkeeper.console.signing_in import store as accounts
from tollkeeper.console.signing_in.links import making, store
from tollkeeper.console.signing_in.links.making import MAIL_LINK, MAIL_RESET, NewLink, Post
from tollkeeper.console.signing_in.model import AccountLink, Purpose
from tollkeeper.console.tokens import hash_secret
from tollkeeper.db import Connection, Database
from tollkeeper.jobs import Handler
from tollkeeper.notifications import Mailer, write_address


def mailing_handlers(
    database: Database, clock: Clock, post: Post, *, mailer: Mailer | None, sender: str, name: str
) -> list[Handler]:
    """`name` is whose console it is, as pages say it."""

    async def mail_link(link_id: str) -> None:
        _check(mailer)
        chance, now = secrets.token_bytes(32), clock.now()
        async with database.transaction() as tx:
            link = await store.renew_link(tx, UUID(link_id), hash_secret(chance), now)
            what = None if link is None else await _what(tx, link, name)
        if link is not None and what is not None:
            await hand_over(link, what, making.address_of(link, post, chance))

    async def mail_reset(email: str) -> None:
        _check(mailer)
        chance, now = secrets.token_bytes(32), clock.now()
        async with database.transaction() as tx:
            account = await accounts.find_account_by_email(tx, email)
            if account is None or account.disabled_at is not None:
                return
            new = NewLink(purpose=Purpose.RESET, email=account.email, made_by=account.email)
            address = await making.make(tx, new, post, chance=chance, now=now)
        await send(account.email, say("mail.reset", name=name), address)

    async def hand_over(link: AccountLink, what: str, address: str) -> None:
        if link.email is not None:
            await send(link.email, what, address)

    async def send(email: str, what: str, address: str) -> None:
        message = EmailMessage()
        message["From"] = sender
        message["To"] = write_address("", email)
        message["Subject"] = say("mail.subject", name=name)
        message["Date"] = format_datetime(clock.now())
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(say("mail.text", what=what, address=address, name=name))
        await _check(mailer).send(message)

    return [Handler(MAIL_LINK, mail_link), Handler(MAIL_RESET, mail_reset)]


def _check(mailer: Mailer | None) -> Mailer:
    """Before a link gets another secret: the one that was shown to somebody shall stay good."""
    if mailer is None:
        raise RuntimeError("No mail server is set; set it to send the mails that wait")
    return mailer


async def _what(tx: Connection, link: AccountLink, name: str) -> str:
    if link.purpose is Purpose.RESET:
        return say("mail.reset", name=name)
    if link.org_id is None:
        return say("mail.staff", who=link.made_by, name=name)
    organization = await orgs.get_org(tx, link.org_id)
    # What customers wrote is one line: a mail of ours has no paragraph of theirs.
    said = " ".join(organization.name.split())
    return say("mail.member", who=" ".join(link.made_by.split()), organization=said, name=name)
