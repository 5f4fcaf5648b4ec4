"""Start one of the examples beside this file: `python examples/start.py NAME [options of up]`.

`tollkeeper up` in the example's folder, with its settings and a database of its own. Before the
first time, the commands in its `set-up.txt` are run; each is noted in the data directory, and not
run again.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

EXAMPLES: Final = Path(__file__).resolve().parent
TOLLKEEPER: Final = [sys.executable, "-m", "tollkeeper"]
STEPS: Final = "set-up.txt"


def main(arguments: list[str]) -> int:
    known = sorted(path.parent.name for path in EXAMPLES.glob("*/tollkeeper.toml"))
    parser = argparse.ArgumentParser(
        prog="./dev example", epilog="Other options go to `tollkeeper up`.", allow_abbrev=False
    )
    parser.add_argument("name", choices=known)
    parser.add_argument("--data-dir", type=Path, help="Unless said, .tollkeeper in its folder.")
    asked, options = parser.parse_known_args(arguments)
    folder = EXAMPLES / asked.name
    data_dir = (asked.data_dir or folder / ".tollkeeper").absolute()
    os.chdir(folder)
    # It is what its files say, with a database of its own, whatever else runs on this machine.
    for name in [name for name in os.environ if name.startswith(("TOLLKEEPER_", "DATABASE_URL"))]:
        del os.environ[name]
    os.environ["TOLLKEEPER_CONFIG"] = str(folder / "tollkeeper.toml")
    os.environ["TOLLKEEPER_DATABASE__DATA_DIR"] = str(data_dir)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        set_up(folder / STEPS, data_dir / STEPS)
    except subprocess.CalledProcessError as error:
        say(f"`{shlex.join(error.cmd[2:])}` failed, see above")
        return error.returncode
    say(f"what to try is in examples/{asked.name}/README.md")
    return become([*TOLLKEEPER, "up", *options])


def set_up(steps: Path, done: Path) -> None:
    """Run the commands that were not run yet, beside a server that makes what they need."""
    lines = steps.read_text("utf-8").splitlines() if steps.exists() else []
    noted = done.read_text("utf-8").splitlines() if done.exists() else []
    wanted = [line for line in lines if line and not line.startswith("#") and line not in noted]
    if not wanted:
        return
    with first_server():
        for line in wanted:
            say(line)
            command = [*TOLLKEEPER, *shlex.split(line.removeprefix("tollkeeper "))]
            subprocess.run(command, stdout=sys.stderr, check=True)
            with done.open("a", encoding="utf-8") as notes:
                notes.write(f"{line}\n")


@contextmanager
def first_server() -> Generator[None]:
    """Run `tollkeeper up` at a free port: the first time, it makes organization and keys."""
    command = [*TOLLKEEPER, "up", "--json", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        try:
            if not (server.stdout and server.stdout.readline()):
                raise subprocess.CalledProcessError(server.wait() or 1, command)
            yield
        finally:
            server.terminate()


def say(text: str) -> None:
    print(f"example: {text}", file=sys.stderr, flush=True)


def become(command: list[str]) -> NoReturn:
    os.execv(command[0], command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
