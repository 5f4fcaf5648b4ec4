"""`tollkeeper grant`, `adjust` and `refund`: credit moved by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from tollkeeper.cli.installation import Installation
from tollkeeper.cli.naming import Moment
from tollkeeper.cli.output import Amount, Row, json_option, org_option, print_record

if TYPE_CHECKING:
    from tollkeeper.db import Connection, Database
    from tollkeeper.ledger import Entry
    from tollkeeper.operator import Act, Balance


@dataclass(frozen=True, slots=True)
class Target:
    """Which balance, why, and how to print what became of it."""

    org: str | None
    currency: str
    livemode: bool
    why: str
    as_json: bool


def _on_balance(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that name a balance and a reason, as its argument `target`."""

    @wraps(command)
    def with_target(
        *args: Any, org: str | None, currency: str, why: str, test: bool, as_json: bool, **own: Any
    ) -> None:
        target = Target(org, currency, not test, why, as_json)
        command(*args, target=target, **own)

    for option in (
        json_option,
        org_option,
        click.option("--test", is_flag=True, help="The balance of test keys, not the live one."),
        click.option("--currency", default="USD", show_default=True),
        click.option("--why", required=True, help="Why, for the audit log and the entry."),
    ):
        with_target = option(with_target)
    return with_target


@click.command("grant")
@click.argument("amount", type=Amount())
@click.option("--expires", type=Moment(), help="When it lapses: 2026-01-31, or 30d from now.")
@click.option(
    "--priority",
    type=click.IntRange(0, 1000),
    default=100,
    show_default=True,
    help="Lower is spent first.",
)
@click.option("--label", help="What the customer sees beside it.")
@_on_balance
@click.pass_obj
def grant_command(
    here: Installation,
    amount: int,
    expires: datetime | None,
    priority: int,
    label: str | None,
    target: Target,
) -> None:
    """Give an organization credit."""
    from tollkeeper import operator
    from tollkeeper.ledger import LotKind, NewLot

    known = here.settings.currencies
    if target.currency not in known:
        said = f"{target.currency!r} is not one of {', '.join(known)}"
        raise click.BadParameter(said, param_hint="--currency")
    lot = NewLot(kind=LotKind.PROMOTIONAL, priority=priority, expires_at=expires, label=label)

    async def act(tx: Connection, by: Act, balance: Balance) -> Entry:
        return await operator.grant(tx, by, balance, amount, lot, None)

    _run(here, target, act)


@click.command("adjust", context_settings={"ignore_unknown_options": True})
@click.argument("amount", type=Amount())
@_on_balance
@click.pass_obj
def adjust_command(
    here: Installation,
    amount: int,
    target: Target,
) -> None:
    """Correct a balance by an entry.

    AMOUNT adds, -AMOUNT takes off, below zero if need be.
    """
    from tollkeeper import operator

    async def act(tx: Connection, by: Act, balance: Balance) -> Entry:
        return await operator.adjust(tx, by, balance, amount, None)

    _run(here, target, act)


@click.command("refund")
@click.argument("amount", type=Amount())
@click.option("--lot", help="The lot it is taken from (lot_…); without it, the usual order.")
@_on_balance
@click.pass_obj
def refund_command(
    here: Installation,
    amount: int,
    lot: str | None,
    target: Target,
) -> None:
    """Take refunded credit off a balance.

    As far as it is still there. Only the ledger's side: pay the money back where it was paid.
    """
    from tollkeeper import operator
    from tollkeeper.cli.naming import read_named_id

    lot_id = None if lot is None else read_named_id("lot", lot)

    async def act(tx: Connection, by: Act, balance: Balance) -> Entry:
        return await operator.refund(tx, by, balance, amount, lot_id, None)

    _run(here, target, act)


def _run(
    here: Installation,
    target: Target,
    act: Callable[[Connection, Act, Balance], Awaitable[Entry]],
) -> None:
    from tollkeeper.base.clock import SystemClock
    from tollkeeper.cli.naming import find_org, who
    from tollkeeper.operator import Act, Balance

    async def post(database: Database) -> Row:
        async with database.transaction() as tx:
            owner = await find_org(tx, target.org)
            by = Act(who=who(), why=target.why, at=SystemClock().now())
            balance = Balance(
                org_id=owner.org_id, livemode=target.livemode, currency=target.currency
            )
            return _row(owner.name, await act(tx, by, balance), target)

    print_record(here.run(post), as_json=target.as_json)


def _row(organization: str, entry: Entry, target: Target) -> Row:
    from tollkeeper.base.ids import show_id
    from tollkeeper.base.money import Money

    return {
        "id": show_id("ent", entry.entry_id),
        "organization": organization,
        "mode": "live" if target.livemode else "test",
        "kind": entry.kind.value,
        "amount": Money(entry.amount),
        "balanceAfter": Money(entry.balance_after),
        "currency": target.currency,
        "postedAt": entry.posted_at,
    }
