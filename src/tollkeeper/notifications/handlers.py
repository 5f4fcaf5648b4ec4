"""Who does this room's jobs."""

from __future__ import annotations

from uuid import UUID

from tollkeeper.base.clock import Clock
from tollkeeper.db import Database
from tollkeeper.jobs import Handler
from tollkeeper.notifications import delivery, mail, outbox
from tollkeeper.notifications.delivery import Courier
from tollkeeper.notifications.mail import Mailer
from tollkeeper.notifications.model import DELIVER, FAN_OUT, SEND_MAIL


def notification_handlers(
    database: Database,
    clock: Clock,
    courier: Courier,
    *,
    mailer: Mailer | None = None,
    sender: str = "",
    manage_url: str | None = None,
) -> list[Handler]:
    """Without a mailer nothing is mailed; notices and webhooks are there all the same."""

    async def fan_out(org_id: str, notice_id: str) -> None:
        async with database.transaction() as tx:
            await outbox.fan_out(tx, UUID(org_id), UUID(notice_id), mails=mailer is not None)

    async def send_mail(org_id: str, notice_id: str, member_id: str) -> None:
        if mailer is None:
            raise RuntimeError("No mail server is set; set it to send the mails that wait")
        await mail.send_mail(
            database,
            mailer,
            clock,
            sender=sender,
            manage_url=manage_url,
            org_id=UUID(org_id),
            notice_id=UUID(notice_id),
            member_id=UUID(member_id),
        )

    async def deliver(org_id: str, delivery_id: str, attempt: int) -> None:
        await delivery.deliver(
            database,
            courier,
            clock,
            org_id=UUID(org_id),
            delivery_id=UUID(delivery_id),
            attempt=attempt,
        )

    return [Handler(FAN_OUT, fan_out), Handler(SEND_MAIL, send_mail), Handler(DELIVER, deliver)]
