"""Makes the pictures of the tour: `./dev tour [NAME …]`; `./dev tour looks`, those of the tests.

A database of its own is filled with a small year (the same customers each time), the product is
started on it, and every page is opened in Chromium. Names of pictures, such as `credits`, make only
those. The README beside this file is written from `stops.py`.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import furnish
import visit
from camera import open_camera, picture_of
from stops import PARTS

HOME: Final = Path(__file__).resolve().parent
_TOLLKEEPER: Final = [sys.executable, "-m", "tollkeeper"]
_LOOKS: Final = "looks"
_DEMO: Final = [
    *("demo", "--organizations", "9", "--calls", "60000"),
    *("--months", "3", "--seed", "1", "--json"),
]


def main(arguments: list[str]) -> int:
    known = {stop.name for _, stops in PARTS for stop in stops}
    if strange := sorted(set(arguments) - known - {_LOOKS}):
        print(f"tour: there is no picture {', '.join(strange)}", file=sys.stderr)
        return 2
    if arguments == [_LOOKS]:
        command = [sys.executable, "-m", "pytest", "-q", "tests/console/browser/test_looks.py"]
        kept = {**os.environ, "TOLLKEEPER_TESTS_KEEP_LOOKS": "1"}
        return subprocess.run(command, env=kept, check=False).returncode
    with tempfile.TemporaryDirectory(prefix="tollkeeper-tour-") as place:
        made = json.loads(fill(Path(place)))
        with served(Path(place)) as said:
            asyncio.run(take(said, made, set(arguments) or known))
    (HOME / "README.md").write_text(page(), "utf-8")
    return 0


def fill(place: Path) -> str:
    subprocess.run(
        [*_TOLLKEEPER, "migrate"], cwd=place, env=environment(), stdout=sys.stderr, check=True
    )
    done = subprocess.run(
        [*_TOLLKEEPER, *_DEMO],
        cwd=place,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


@contextmanager
def served(place: Path) -> Generator[Any]:
    command = [*_TOLLKEEPER, "up", "--json", "--port", "0"]
    with (
        (place / "log").open("w") as log,
        subprocess.Popen(
            command, cwd=place, env=environment(), stdout=subprocess.PIPE, stderr=log, text=True
        ) as server,
    ):
        try:
            line = server.stdout.readline() if server.stdout else ""
            if not line:
                raise RuntimeError(f"It did not start: {(place / 'log').read_text('utf-8')}")
            yield json.loads(line)
        finally:
            server.terminate()


def environment() -> dict[str, str]:
    """The same wherever it is run: what this machine has set for itself is not shown."""
    own = ("TOLLKEEPER_", "DATABASE_URL")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    return {**kept, "TOLLKEEPER_WEBHOOKS__PRIVATE_TARGETS": "true"}


async def take(said: Any, made: Any, wanted: set[str]) -> None:
    root = said["baseUrl"].removesuffix("/api/v1")
    async with (
        aiohttp.ClientSession() as session,
        furnish.receiving() as receiver,
        open_camera(root, HOME, wanted.__contains__) as camera,
    ):
        api = furnish.Api(said["baseUrl"], said["operatorKey"], session)
        customers = await furnish.furnish(api, made, receiver)
        await visit.arrive(camera, said["operatorConsole"])
        await visit.be_customer(camera, api, customers)
        await visit.run_out(camera, api, customers)
        await visit.be_staff(camera, customers)


def page() -> str:
    """The tour as a document."""
    lines = [
        "# A tour of the pages",
        "",
        "Every page, with the made-up customers of `tollkeeper demo`. `./dev tour` makes these",
        "pictures: it starts the product and opens each page in Chromium.",
        "",
    ]
    for title, stops in PARTS:
        lines += [f"## {title}", ""]
        for stop in stops:
            lines += [stop.said, ""]
            for kind in ("light", *stop.kinds.split()):
                shown = {"light": "", "dark": ", in the dark", "phone": ", on a phone"}[kind]
                picture = picture_of(stop.name, kind)
                lines.append(f'<img src="{picture}" alt="{words(stop.name)}{shown}"{width(kind)}>')
            lines.append("")
    return "\n".join(lines)


def words(name: str) -> str:
    return name.replace("-", " ").capitalize()


def width(kind: str) -> str:
    return ' width="240"' if kind == "phone" else ' width="720"'


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
