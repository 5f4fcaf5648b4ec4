"""Puts the pages of signing in together."""

from __future__ import annotations

from collections.abc import Sequence

from litestar import Router
from litestar.types import ControllerRouterHandler

from tollkeeper.base.errors import Unauthenticated
from tollkeeper.base.settings import Settings
from tollkeeper.console.doors import Door
from tollkeeper.console.signing_in.account_door import AccountDoor, account_only, go_to_sign_in
from tollkeeper.console.signing_in.account_page import account_pages
from tollkeeper.console.signing_in.entrance import Entrance
from tollkeeper.console.signing_in.link_pages import link_pages
from tollkeeper.console.signing_in.links.mailing import mailing_handlers
from tollkeeper.console.signing_in.links.making import Post
from tollkeeper.console.signing_in.oidc import provider_of
from tollkeeper.console.signing_in.oidc_page import CALLBACK, oidc_pages
from tollkeeper.console.signing_in.organizations_page import organization_pages
from tollkeeper.console.signing_in.sign_in_page import sign_in_pages
from tollkeeper.jobs import Handler
from tollkeeper.notifications import Mailer


def post_of(settings: Settings, base_url: str) -> Post:
    return Post(base_url=base_url, mails=settings.mail.host is not None)


def signing_in_pages(door: Door, settings: Settings) -> Sequence[ControllerRouterHandler]:
    """What is below `/console` for people with an account, or who are about to have one."""
    entrance = Entrance(
        door=AccountDoor(door=door),
        post=post_of(settings, door.base_url),
        provider=provider_of(settings.oidc, door.base_url, CALLBACK),
        # Who has providers or takes money has gone live; before, there is test data to look at.
        livemode=bool(settings.providers) or not settings.payments.sandbox,
    )
    with_account = Router(
        "/",
        route_handlers=[*account_pages(entrance), *organization_pages(entrance)],
        guards=[account_only(entrance.door)],
        exception_handlers={Unauthenticated: go_to_sign_in},
    )
    elsewhere = [] if entrance.provider is None else oidc_pages(entrance, entrance.provider)
    return [with_account, *sign_in_pages(entrance), *link_pages(entrance), *elsewhere]


def signing_in_jobs(door: Door, settings: Settings, mailer: Mailer | None) -> list[Handler]:
    """Who mails links."""
    return mailing_handlers(
        door.database,
        door.clock,
        post_of(settings, door.base_url),
        mailer=mailer,
        sender=settings.mail.sender,
        name=settings.console.name,
    )
