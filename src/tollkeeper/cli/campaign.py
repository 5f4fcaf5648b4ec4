"""`tollkeeper campaign`: codes that bring credit."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from tollkeeper.cli.installation import Installation
from tollkeeper.cli.naming import Moment
from tollkeeper.cli.output import Amount, Row, json_option, print_json, print_record, print_rows

if TYPE_CHECKING:
    from tollkeeper.credits import CampaignOut, RedemptionOut
    from tollkeeper.db import Connection, Database

_COLUMNS = ("id", "code", "amount", "currency", "redeemed", "most", "from", "until", "ended")
_PAGE = 500


@click.group("campaign")
def campaign_command() -> None:
    """Define codes that bring credit."""


@campaign_command.command("create")
@click.argument("code")
@click.argument("amount", type=Amount())
@click.option("--currency", default="USD", show_default=True)
@click.option("--from", "valid_from", type=Moment(), help="From when on; at once without it.")
@click.option("--until", "valid_until", type=Moment(), help="Until when; for ever without it.")
@click.option("--most", "most_redemptions", type=int, help="How often it may be redeemed.")
@click.option("--lot-days", type=int, help="The credit expires so many days after that.")
@click.option("--lot-expires", "lot_expires_at", type=Moment(), help="Or it expires then.")
@click.option("--new-days", type=int, help="Only organizations that are no older.")
@click.option("--priority", type=click.IntRange(0, 1000), default=50, show_default=True)
@click.option("--label", help="What customers see beside it; the code without it.")
@click.option("--test", is_flag=True, help="For test keys, not live ones.")
@click.option("--why", required=True, help="Why, for the audit log.")
@json_option
@click.pass_obj
def create(
    here: Installation, amount: int, why: str, *, test: bool, as_json: bool, **said: Any
) -> None:
    """Define CODE, which brings AMOUNT once to each organization that redeems it."""
    from tollkeeper import credits  # noqa: A004 (the room's name)
    from tollkeeper.base.clock import SystemClock
    from tollkeeper.base.money import Money
    from tollkeeper.cli.asking import ask
    from tollkeeper.cli.naming import who

    data = ask(credits.NewCampaign, **said, amount=Money(amount), reason=why, livemode=not test)
    now = SystemClock().now()
    wanted = credits.campaign_from(data, here.settings.currencies, None, who(), now)

    async def act(database: Database) -> CampaignOut:
        async with database.transaction() as tx:
            return credits.CampaignOut.of(await credits.campaigns.create(tx, wanted))

    _show(here.run(act), as_json=as_json)


@campaign_command.command("list")
@json_option
@click.pass_obj
def list_(here: Installation, *, as_json: bool) -> None:
    """List campaigns, newest first."""
    from tollkeeper import credits  # noqa: A004 (the room's name)

    async def act(database: Database) -> list[CampaignOut]:
        async with database.connection() as connection:
            found = await credits.newest_campaigns(connection, None, _PAGE)
        return [credits.CampaignOut.of(campaign) for campaign in found]

    found = here.run(act)
    if as_json:
        print_json(found)
    else:
        print_rows([_row(campaign) for campaign in found], _COLUMNS, as_json=False)


@campaign_command.command("end")
@click.argument("code")
@click.option("--why", required=True, help="Why, for the audit log.")
@json_option
@click.pass_obj
def end(here: Installation, code: str, why: str, *, as_json: bool) -> None:
    """Take CODE out of use; what it brought stays."""
    from tollkeeper import credits  # noqa: A004 (the room's name)
    from tollkeeper.base.clock import SystemClock
    from tollkeeper.cli.naming import who

    async def act(database: Database) -> CampaignOut:
        async with database.transaction() as tx:
            campaign = await credits.campaigns.find_by_code(tx, code)
            ended = await credits.campaigns.end(
                tx, campaign.campaign_id, who=who(), why=why, now=SystemClock().now()
            )
            return credits.CampaignOut.of(ended)

    _show(here.run(act), as_json=as_json)


@campaign_command.command("redemptions")
@click.argument("code")
@json_option
@click.pass_obj
def redemptions(here: Installation, code: str, *, as_json: bool) -> None:
    """List who redeemed CODE, newest first."""

    async def act(database: Database) -> list[RedemptionOut]:
        async with database.connection() as connection:
            return await _redemptions(connection, code)

    found = here.run(act)
    if as_json:
        print_json(found)
        return
    rows: list[Row] = [
        {
            "organization": made.organization_id,
            "amount": made.amount,
            "by": made.actor,
            "at": made.redeemed_at,
            "expires": made.expires_at,
        }
        for made in found
    ]
    print_rows(rows, ("organization", "amount", "by", "at", "expires"), as_json=False)


async def _redemptions(connection: Connection, code: str) -> list[RedemptionOut]:
    from tollkeeper import credits  # noqa: A004 (the room's name)

    campaign = await credits.campaigns.find_by_code(connection, code)
    found: list[RedemptionOut] = []
    after = None
    while True:
        page = await credits.newest_redemptions(connection, campaign.campaign_id, after, _PAGE)
        found += map(credits.RedemptionOut.of, page)
        if len(page) < _PAGE:
            return found
        after = page[-1].redemption_id


def _show(campaign: CampaignOut, *, as_json: bool) -> None:
    if as_json:
        print_json(campaign)
    else:
        print_record(_row(campaign), as_json=False)


def _row(campaign: CampaignOut) -> Row:
    until: datetime | None = campaign.valid_until
    return {
        "id": campaign.id,
        "code": campaign.code,
        "amount": campaign.amount,
        "currency": campaign.currency,
        "redeemed": campaign.redemptions,
        "most": campaign.most_redemptions,
        "from": campaign.valid_from,
        "until": until,
        "ended": campaign.ended_at,
    }
