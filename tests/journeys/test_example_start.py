"""An example is started by one line; its commands are run once, and what they made stays."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from running import EXAMPLES, Site
from tollkeeper.cli.frame import COMMANDS
from walking import walk

ROOT = EXAMPLES.parent
NAMES = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())


def test_the_second_start_is_the_first_one_s(place: Site) -> None:
    # Not the example's business: the database of somebody else.
    place.settings["DATABASE__URL"] = "postgresql://nobody@127.0.0.1:1/"
    with walk(place, "wren") as first:
        del place.settings["DATABASE__URL"]
        keys, lots = first.keys, first.lists("/billing/lots")
    with walk(place, "wren") as second:
        assert second.organization_id == first.organization_id
        assert second.keys == keys
        after = second.lists("/billing/lots")
    assert {lot["id"] for lot in lots} <= {lot["id"] for lot in after}
    assert [lot["label"] for lot in after].count("Free credits") == 1


@pytest.mark.parametrize("name", NAMES)
def test_its_folder_has_what_the_table_says(name: str) -> None:
    folder = EXAMPLES / name
    text = (folder / "README.md").read_text("utf-8")
    assert f"./dev example {name}" in text
    assert (folder / "tollkeeper.toml").exists()
    assert f"[{name}]({name}/README.md)" in (EXAMPLES / "README.md").read_text("utf-8")
    assert (Path(__file__).parent / f"test_example_{name}.py").exists()
    for line in (folder / "set-up.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            program, command, *_ = shlex.split(line)
            assert program == "tollkeeper"
            assert command in COMMANDS


def test_dev_lists_them() -> None:
    refused = subprocess.run([ROOT / "dev", "example"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert ", ".join(NAMES) in refused.stderr
