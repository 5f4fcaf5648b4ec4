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
    outage = unavailable(error)
    if isinstance(error, SettingsError):
        return _say(str(error), WRONG)
    if outage is not None:
        # Customers are not told the driver's words; whoever runs the command needs them.
        reason = error.__cause__ if error is outage else error
        return _say(f"{outage.detail}: {reason}".strip(), UNREACHABLE)
    if isinstance(error, _UNREACHABLE):
        return _say(str(error), UNREACHABLE)
    if isinstance(error, InvalidRequest):
        said = [f"{place}: {text}" for place, texts in error.faults.items() for text in texts]
        return _say("\n  ".join([error.detail, *(said if len(said) > 1 else [])]), REFUSED)
    if isinstance(error, TollkeeperError):
        return _say(error.detail, REFUSED)
    if isinstance(error, WorkerFailed):
        # The worker has said why.
        return error.status if error.status > 0 else FAULT
    traceback.print_exception(error)
    return _say("This is a fault of Tollkeeper; please report the lines above.", FAULT)


def _say(sentence: str, status: int) -> int:
    click.echo(f"tollkeeper: {sentence}", err=True)
    return status
