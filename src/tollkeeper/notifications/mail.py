"""Notices by mail: one sober look, plain and HTML, over SMTP."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final, Literal, Protocol
from uuid import UUID

import aiosmtplib
import idna
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from tollkeeper.base.clock import Clock
from tollkeeper.base.ids import show_id
from tollkeeper.base.settings import Mail
from tollkeeper.db import Database
from tollkeeper.notifications import store
from tollkeeper.notifications.events import Severity, moment
from tollkeeper.notifications.model import Notice

_TIMEOUT_SECONDS: Final = 30.0
_COLOURS: Final = {
    Severity.INFO: "#2f6f4f",
    Severity.WARNING: "#8a5a00",
    Severity.CRITICAL: "#a4262c",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where mail is handed over, and who it is from."""

    host: str
    port: int
    sender: str
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: str | None = None


class Mailer(Protocol):
    async def send(self, message: EmailMessage) -> None:
        """Hand a mail over, or raise."""
        ...


class SmtpMailer:
    def __init__(self, server: MailServer) -> None:
        self._server = server

    async def send(self, message: EmailMessage) -> None:
        async with _client_of(self._server) as client:
            await client.send_message(message)


async def greet(server: MailServer) -> str | None:
    """Connect and log in as for a mail; return what went wrong, None where nothing did."""
    try:
        async with _client_of(server):
            return None
    except (aiosmtplib.SMTPException, OSError) as error:
        return str(error) or type(error).__name__


def _client_of(server: MailServer) -> aiosmtplib.SMTP:
    return aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        username=server.username,
        password=server.password,
        use_tls=server.security == "tls",
        start_tls=server.security == "starttls",
        timeout=_TIMEOUT_SECONDS,
    )


def mailer_of(mail: Mail) -> Mailer | None:
    """Return who sends mails; None where no mail server is set."""
    server = server_of(mail)
    return None if server is None else SmtpMailer(server)


def server_of(mail: Mail) -> MailServer | None:
    if mail.host is None:
        return None
    return MailServer(
        host=mail.host,
        port=mail.port,
        sender=mail.sender,
        security=mail.security,
        username=mail.username,
        password=mail.secret and mail.secret.reveal(),
    )


def _environment(*, html: bool) -> Environment:
    return Environment(
        loader=PackageLoader("tollkeeper.notifications"),
        autoescape=select_autoescape(enabled_extensions=("html",)) if html else False,  # noqa: S701 (plain text has nothing to escape)
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


_PLAIN: Final = _environment(html=False).get_template("notice.txt")
_HTML: Final = _environment(html=True).get_template("notice.html")


def write_mail(
    notice: Notice, *, name: str, address: str, sender: str, manage_url: str | None
) -> EmailMessage:
    """Write the mail that tells a member of a notice."""
    event = notice.event
    said = {
        "name": _one_line(name),
        "title": event.title,
        "sentence": _one_line(event.sentence()),
        "at": moment(notice.created_at),
        "organization": show_id("org", notice.org_id),
        "test_mode": not notice.livemode,
        "manage_url": manage_url,
        "colour": _COLOURS[event.severity],
    }
    message = EmailMessage()
    message["From"] = sender
    message["To"] = write_address(name, address)
    message["Subject"] = f"[Test] {event.title}" if said["test_mode"] else event.title
    message["Date"] = format_datetime(notice.created_at)
    # The same on every try, so that a mail sent twice can be told from two mails.
    domain = sender.rpartition("@")[2].strip("> ") or "localhost"
    mark = hashlib.sha256(address.encode()).hexdigest()[:16]
    message["Message-ID"] = f"<{notice.notice_id.hex}.{mark}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_PLAIN.render(said))
    message.add_alternative(_HTML.render(said), subtype="html")
    return message


def write_address(name: str, address: str) -> Address:
    """Write whom a mail is to, whatever signs the address has. Raises UnicodeError for a domain
    that no name server can know.

    A domain outside ASCII has a spelling within it, which every server takes; what comes before
    the `@` has none, and goes to servers that take UTF-8 (SMTPUTF8).
    """
    local, _, domain = address.rpartition("@")
    if not domain.isascii():
        domain = idna.encode(domain, uts46=True).decode()
    if local.startswith('"') and local.endswith('"'):
        local = local[1:-1]
    return Address(_one_line(name), local, domain)


def _one_line(text: str) -> str:
    """Customers' text as one line: a line break in it must not begin a header or a paragraph."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


async def send_mail(
    database: Database,
    mailer: Mailer,
    clock: Clock,
    *,
    sender: str,
    manage_url: str | None,
    org_id: UUID,
    notice_id: UUID,
    member_id: UUID,
) -> None:
    """Send a mail that was not sent yet. Raises when it cannot be handed over."""
    async with database.connection() as connection:
        unsent = await store.unsent_mail(connection, org_id, notice_id, member_id)
        notice = await store.read_notice(connection, org_id, notice_id)
    if unsent is None or notice is None:
        return
    name, address = unsent
    await mailer.send(
        write_mail(notice, name=name, address=address, sender=sender, manage_url=manage_url)
    )
    await _sent(database, org_id, notice_id, member_id, clock.now())


async def _sent(
    database: Database, org_id: UUID, notice_id: UUID, member_id: UUID, now: datetime
) -> None:
    async with database.connection() as connection:
        await store.mail_sent(connection, org_id, notice_id, member_id, now)
