"""What can go wrong here, each in one sentence for the customer."""

from __future__ import annotations

from tollkeeper.base.errors import NotFound, TollkeeperError


class WebhookNotFound(NotFound):
    """There is no such webhook"""

    code = "webhook_not_found"


class WebhookDisabled(TollkeeperError):
    """This webhook is switched off"""

    code = "webhook_disabled"
    status = 409


class TooManyWebhooks(TollkeeperError):
    """There are as many webhooks as an organization may have"""

    code = "too_many_webhooks"
    status = 409
