"""The frame of the command line: finds the command, and turns what goes wrong into a sentence."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final, NoReturn

import click

PROGRAM: Final = "tollkeeper"

# Each command with its file and its line in --help, so that neither needs to be read for the list.
COMMANDS: Final = {
    "up": ("up", "Start everything on this machine and print how to call it."),
    "serve": ("serve", "Serve requests, with a database that is there and migrated."),
    "worker": ("serve", "Run the background jobs alone."),
    "migrate": ("migrate", "Bring the database to the newest schema."),
    "org": ("org", "Create, list and show organizations."),
    "project": ("project", "Create and list projects."),
    "member": ("member", "Add, list and remove members."),
    "staff": ("staff", "Let your team into the console, and who is locked out back in."),
    "key": ("key", "Create, list and revoke API keys and operator keys."),
    "budget": ("budget", "Add, list, begin anew and remove budgets and rate limits."),
    "grant": ("credit", "Give an organization credit."),
    "adjust": ("credit", "Correct a balance by an entry."),
    "refund": ("credit", "Take refunded credit off a balance."),
    "recurring": ("recurring", "Give credit again each period."),
    "campaign": ("campaign", "Define codes that bring credit."),
    "revenue": ("revenue", "Say what was deferred, earned and lapsed, month by month."),
    "purchase": ("purchase", "List what was bought, and give money back."),
    "invoice": ("invoice", "List, show, download and credit invoices."),
    "plan": ("plan", "Publish and list plans; give an organization one."),
    "price": ("price", "Import, compare, publish and list prices; re-rate usage."),
    "reconcile": ("reconcile", "Compare the payment processor's books with ours."),
    "webhooks": ("webhooks", "List what processors told us, and have it handled again."),
    "verify": ("verify", "Prove the books: replay every entry and every cost."),
    "rollups": ("rollups", "Make the sums behind costs and analytics again."),
    "export": ("export", "Write usage, entries, invoices or the audit log as CSV or NDJSON."),
    "margin": ("margin", "Say what was earned: charged, less what providers charge."),
    "provider-costs": ("provider_costs", "Import what providers charge, and compare it."),
    "demo": ("demo", "Fill the database with a year of believable data."),
    "backup": ("backup", "Write the whole database to a file."),
    "restore": ("backup", "Read a backup into an empty database."),
    "doctor": ("doctor", "Check this installation and say what to do."),
    "completion": ("completion", "Print the shell's completion script."),
}


class Commands(click.Group):
    """Reads a command's file when it is called, not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 (click's signature)
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"tollkeeper.cli.{COMMANDS[cmd_name][0]}")
        return getattr(module, f"{cmd_name.replace('-', '_')}_command")

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 (click's signature)
        formatter: click.HelpFormatter,
    ) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.command(PROGRAM, cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Settings file, instead of TOLLKEEPER_CONFIG or ./tollkeeper.toml.",
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Data directory, instead of the setting database.data_dir.",
)
@click.version_option(package_name=PROGRAM, prog_name=PROGRAM)
@click.pass_context
def tollkeeper(context: click.Context, config: Path | None, data_dir: Path | None) -> None:
    """Prepaid credits for AI APIs.

    Begin with `tollkeeper up`. Exit status: 0 done; 1 `verify`, `reconcile` or `doctor` found
    something; 2 the command line or the settings are wrong; 3 refused, or there is no such thing;
    4 the database or the address cannot be had; 5 a fault of Tollkeeper; 130 stopped by Ctrl-C.
    """
    from tollkeeper.cli.installation import Installation

    given = {"TOLLKEEPER_DATABASE__DATA_DIR": str(data_dir)} if data_dir is not None else {}
    context.obj = Installation(config, {**os.environ, **given})


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run a command and exit with its status."""
    # Until something that can stop in order is running, leave by every `finally` all the same.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status; errors are one clear sentence each."""
    try:
        status: Any = tollkeeper.main(arguments, PROGRAM, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough; the interpreter's last flush must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 (the last place where one can be told)
        from tollkeeper.cli.failures import report

        return report(error)
    return status if isinstance(status, int) else 0
