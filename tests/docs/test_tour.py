"""The tour shows every picture that is there, and each is small."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
TOUR = ROOT / "docs" / "tour"
PICTURES = sorted(TOUR.glob("*.png"))
LARGEST = 200_000
SHOWN = re.compile(r'<img src="([^"]+)" alt="[^"]+"')


def shown_in(page: Path) -> list[str]:
    return SHOWN.findall(page.read_text("utf-8"))


def parts() -> Any:
    spec = importlib.util.spec_from_file_location("stops_of_the_tour", TOUR / "stops.py")
    assert spec is not None
    assert spec.loader is not None
    stops = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stops)
    return stops.PARTS


def test_every_stop_has_its_pictures_and_is_shown() -> None:
    shown = shown_in(TOUR / "README.md")
    assert sorted(shown) == [picture.name for picture in PICTURES]
    stops = [stop for _, members in parts() for stop in members]
    text = (TOUR / "README.md").read_text("utf-8")
    for stop in stops:
        assert stop.said in text
        kinds = [f"{stop.name}-{kind}.png" for kind in stop.kinds.split()]
        assert {f"{stop.name}.png", *kinds} <= set(shown), stop.name


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_is_small(picture: Path) -> None:
    assert picture.stat().st_size <= LARGEST
    with Image.open(picture) as opened:
        assert opened.mode == "P"


def test_the_front_page_shows_some_of_them() -> None:
    shown = shown_in(ROOT / "README.md")
    assert shown
    assert [name for name in shown if not (ROOT / name).exists()] == []
