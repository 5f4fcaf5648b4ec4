"""What is written down about rooms and dependencies keeps up with what is there."""

from __future__ import annotations

import re
import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "tollkeeper"
ROOMS = {path.name for path in PACKAGE.iterdir() if any(path.glob("*.py"))}

# Their files are entered one by one: there is no inside to protect.
OPEN_ROOMS = {"base", "http"}
# The place that knows everyone, and that nobody may import.
TOP_ROOMS = {"cli"}
MONEY_COMING_IN = {"payments", "credits", "invoices"}

PINNED = re.compile(r"^([\w.-]+)==(\S+)[^\n]*\\\n +--hash=sha256:", re.MULTILINE)


@pytest.fixture
def contracts() -> ConfigParser:
    parser = ConfigParser()
    parser.read(ROOT / ".importlinter")
    return parser


def test_every_room_has_a_front_door(contracts: ConfigParser) -> None:
    wanted = ROOMS - OPEN_ROOMS - TOP_ROOMS
    sections = set(contracts.sections())
    assert {f"importlinter:contract:{room}-front-door" for room in wanted} - sections == set()


def test_the_hot_path_knows_nothing_of_money_coming_in(contracts: ConfigParser) -> None:
    forbidden = contracts.get("importlinter:contract:hot-path", "forbidden_modules", fallback="")
    there = {f"tollkeeper.{room}" for room in ROOMS & MONEY_COMING_IN}
    assert there - set(forbidden.split()) == set()


def test_every_dependency_is_pinned_with_a_hash_and_without_an_address() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    for name, wanted in [
        ("requirements.txt", project["project"]["dependencies"]),
        ("requirements-dev.txt", project["dependency-groups"]["dev"]),
        ("requirements-build.txt", project["build-system"]["requires"]),
    ]:
        text = (ROOT / name).read_text("utf-8")
        assert "://" not in text
        pinned = dict(PINNED.findall(text))
        for line in wanted:
            requirement = Requirement(line)
            version = pinned.get(requirement.name.lower())
            assert version, f"{name} lacks {requirement.name}: run ./dev pin"
            assert requirement.specifier.contains(version), f"{name}: run ./dev pin"
