"""`tollkeeper price`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from tollkeeper.cli.installation import Installation
from tollkeeper.cli.markup import markup_command
from tollkeeper.cli.naming import Moment
from tollkeeper.cli.output import (
    Progress,
    Row,
    json_option,
    print_json,
    print_record,
    print_rows,
    say,
)

if TYPE_CHECKING:
    from tollkeeper.db import Database
    from tollkeeper.pricing import Book, Diff, PriceVersion, Rate

_COLUMNS: Final = ("input", "cache_read", "output")

_FILES = click.argument(
    "files", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[FILE|DIRECTORY]…"
)
_PROVIDERS = click.option("--provider", "providers", multiple=True, help="Only this provider's.")


@click.group("price")
def price_command() -> None:
    """Import, compare, publish and list prices; re-rate usage.

    A price is never changed: it is followed by another from a later date.
    """


price_command.add_command(markup_command)


@price_command.command("list")
@click.option("--provider", help="Only this provider's.")
@click.option("--at", type=Moment(), help="The prices of another moment.")
@json_option
@click.pass_obj
def list_(here: Installation, provider: str | None, at: datetime | None, *, as_json: bool) -> None:
    """List the prices in force, in USD: tokens for a million of them, all else for one.

    A plus sign says that it costs more beyond some length of input; `price show` says when.
    """
    from tollkeeper.base.clock import SystemClock
    from tollkeeper.operator import PriceOut

    book = _load_book(here)
    found = [
        version
        for version in book.priced(at or SystemClock().now())
        if provider in (None, version.provider)
    ]
    if as_json:
        print_json([PriceOut.of(version) for version in found])
        return
    rows = [_row(version) for version in found]
    print_rows(rows, ("provider", "model", "since", *_COLUMNS, "others"), as_json=False)


@price_command.command("show")
@click.argument("provider")
@click.argument("model")
@json_option
@click.pass_obj
def show(here: Installation, provider: str, model: str, *, as_json: bool) -> None:
    """Show every version of a model's price, past and to come, as a price file."""
    from tollkeeper.base.errors import NotFound
    from tollkeeper.operator import PriceOut
    from tollkeeper.pricing import write_price_file

    found = _load_book(here).schedule(provider, model)
    if not found:
        raise NotFound(f"The price book has no {provider}/{model}")
    if as_json:
        print_json([PriceOut.of(version) for version in found])
    else:
        click.echo(write_price_file(found), nl=False)


@price_command.command("diff")
@_FILES
@_PROVIDERS
@json_option
@click.pass_obj
def diff_(
    here: Installation, files: tuple[Path, ...], providers: tuple[str, ...], *, as_json: bool
) -> None:
    """Compare price files with the price book; without files, those that come with Tollkeeper."""
    from tollkeeper.base.clock import SystemClock
    from tollkeeper.pricing import compare

    versions = [
        version for version in _read(files) if not providers or version.provider in providers
    ]
    _show_diff(compare(_load_book(here), versions, SystemClock().now()), as_json=as_json)


@price_command.command("publish")
@_FILES
@click.option("--backdate", is_flag=True, help="Allow prices that hold from a moment past.")
@click.option("--why", default="", help="Why, for the audit log.")
@json_option
@click.pass_obj
def publish(
    here: Installation, files: tuple[Path, ...], why: str, *, backdate: bool, as_json: bool
) -> None:
    """Add price files to the price book; without files, those that come with Tollkeeper.

    What is in the book already stays as it is. Servers sell by it within a second.
    """
    versions = _read(files)
    added = _publish(here, versions, why, backdate=backdate)
    _show_added(added, as_json=as_json)


@price_command.command("import")
@_PROVIDERS
@click.option("--publish", "publishes", is_flag=True, help="Publish what differs, from now on.")
@click.option("--end-missing", is_flag=True, help="End models that the source no longer has.")
@click.option("--write", type=click.Path(file_okay=False, path_type=Path), help="Write files here.")
@click.option("--why", default="", help="Why, for the audit log.")
@json_option
@click.pass_obj
def import_(
    here: Installation,
    providers: tuple[str, ...],
    write: Path | None,
    why: str,
    *,
    publishes: bool,
    end_missing: bool,
    as_json: bool,
) -> None:
    """Compare the genai-prices library with the price book.

    Prints what differs. With --write it becomes price files, to be edited and published; with
    --publish it is published as it is. Nothing is fetched: upgrade the library for newer prices.
    """
    from tollkeeper import pricing
    from tollkeeper.base.clock import SystemClock
    from tollkeeper.operator import compare_with_library

    diff = compare_with_library(_load_book(here), providers or None, SystemClock().now())
    if write is not None:
        write.mkdir(parents=True, exist_ok=True)
        for path in pricing.write_price_files(diff.to_publish(end_missing=end_missing), write):
            say(f"Wrote {path}")
    if publishes:
        versions = diff.to_publish(end_missing=end_missing)
        _show_added(_publish(here, versions, why, backdate=False), as_json=as_json)
        return
    _show_diff(diff, as_json=as_json)


@price_command.command("rerate")
@click.option("--why", default="It has a price now", show_default=True, help="For the audit log.")
@json_option
@click.pass_obj
def rerate(here: Installation, why: str, *, as_json: bool) -> None:
    """Charge usage that had no price when it was recorded and has one now.

    Each call is charged once, by an adjusting entry; what still has no price is left and counted.
    """
    from tollkeeper.base.clock import SystemClock
    from tollkeeper.cli.naming import who
    from tollkeeper.cli.rerating import rerate_all
    from tollkeeper.operator import Act

    act = Act(who=who(), why=why, at=SystemClock().now())
    progress = Progress("calls looked at")
    done = here.run(lambda database: rerate_all(database, act, progress))
    progress.end()
    print_record({"charged": done.charged, "stillUnpriced": done.unpriced}, as_json=as_json)


def _row(version: PriceVersion) -> Row:
    shown = {unit: _price(rate) for unit, rate in version.rates.items()}
    others = ", ".join(f"{unit} {price}" for unit, price in shown.items() if unit not in _COLUMNS)
    since = version.effective_from
    return {
        "provider": version.provider,
        "model": version.model,
        "since": "always" if since.timestamp() == 0 else f"{since:%Y-%m-%d}",
        **{unit: shown.get(unit, "-") for unit in _COLUMNS},
        "others": others,
    }


def _price(rate: Rate) -> str:
    from tollkeeper.base.money import Money

    return f"{Money(rate.price_nanos)}{'+' if rate.above else ''}"


def _load_book(here: Installation) -> Book:
    from tollkeeper import pricing

    async def act(database: Database) -> Book:
        async with database.connection() as connection:
            return await pricing.load_book(connection)

    return here.run(act)


def _read(files: Sequence[Path]) -> Sequence[PriceVersion]:
    from tollkeeper import pricing

    if not files:
        return pricing.read_catalogue()
    found: list[PriceVersion] = []
    for path in files:
        if path.is_dir():
            found += pricing.read_catalogue(path)
        else:
            found += pricing.read_price_file(_text_of(path), path.name)
    return found


def _text_of(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise click.BadParameter(f"{path} is not text in UTF-8", param_hint="FILE") from error


def _publish(
    here: Installation, versions: Sequence[PriceVersion], why: str, *, backdate: bool
) -> list[PriceVersion]:
    from tollkeeper import operator
    from tollkeeper.base.clock import SystemClock
    from tollkeeper.cli.naming import who
    from tollkeeper.operator import Act

    async def act(database: Database) -> list[PriceVersion]:
        async with database.transaction() as tx:
            by = Act(who=who(), why=why, at=SystemClock().now())
            return await operator.publish_prices(tx, by, versions, backdate=backdate)

    return here.run(act)


def _show_added(added: Sequence[PriceVersion], *, as_json: bool) -> None:
    from tollkeeper.operator import PriceOut

    if as_json:
        print_json([PriceOut.of(version) for version in added])
        return
    for version in added:
        click.echo(f"{version.provider}/{version.model} from {version.effective_from:%Y-%m-%d}")
    say(f"{len(added)} versions published")


def _show_diff(diff: Diff, *, as_json: bool) -> None:
    from tollkeeper.pricing import diff_to_json, render_diff

    if as_json:
        print_json(diff_to_json(diff))
    else:
        click.echo(render_diff(diff))
