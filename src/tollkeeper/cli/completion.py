"""`tollkeeper completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from tollkeeper.cli.frame import PROGRAM, tollkeeper


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    """Print the shell's completion script.

    Bash and zsh: `eval "$(tollkeeper completion bash)"` in their start-up file; fish:
    `tollkeeper completion fish > ~/.config/fish/completions/tollkeeper.fish`.
    """
    class_ = get_completion_class(shell)
    if class_ is None:
        raise click.ClickException(f"There is no completion for {shell}.")
    click.echo(class_(tollkeeper, {}, PROGRAM, "_TOLLKEEPER_COMPLETE").source())
