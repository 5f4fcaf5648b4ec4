"""What went wrong, as one sentence on standard error and an exit status."""

from __future__ import annotations

import traceback
from typing import Final

import click

from tollkeeper.base.errors import InvalidRequest, TollkeeperError
from tollkeeper.base.settings_source import SettingsError
from tollkeeper.cli.installation import NoDatabase
from tollkeeper.db import BackupError, EmbeddedServerError, MigrationError, unavailable
from tollkeeper.ops.server import AddressInUse
from tollkeeper.ops.supervisor import WorkerFailed

FOUND: Final = 1
WRONG: Final = 2
REFUSED: Final = 3
UNREACHABLE: Final = 4
FAULT: Final = 5

_UNREACHABLE: Final = (
    AddressInUse,
    BackupError,
    EmbeddedServerError,
    MigrationError,
    NoDatabase,
)


def report(error: Exception) -> int:
    """Say what is wrong and return the exit status for it."""
    if isinstance(error, WorkerFailed):
        # The worker has said why.
        return error.status if error.status > 0 else FAULT
    known = _outage(error) or _refusal(error)
    if known is None:
        traceback.print_exception(error)
        known = "This is a fault of Tollkeeper; please report the lines above.", FAULT
    sentence, status = known
    click.echo(f"tollkeeper: {sentence}", err=True)
    return status


def _outage(error: Exception) -> tuple[str, int] | None:
    outage = unavailable(error)
    if outage is not None:
        # Customers are not told the driver's words; whoever runs the command needs them.
        reason = error.__cause__ if error is outage else error
        said = f"{outage.detail}: {reason}" if reason is not None else outage.detail
        return said.strip(), UNREACHABLE
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}", UNREACHABLE
    return (str(error), UNREACHABLE) if isinstance(error, _UNREACHABLE) else None


def _refusal(error: Exception) -> tuple[str, int] | None:
    if isinstance(error, SettingsError):
        return str(error), WRONG
    if isinstance(error, InvalidRequest):
        said = [f"{place}: {text}" for place, texts in error.faults.items() for text in texts]
        return "\n  ".join([error.detail, *(said if len(said) > 1 else [])]), REFUSED
    return (error.detail, REFUSED) if isinstance(error, TollkeeperError) else None
