"""An installation of its own for each journey."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from running import Site, site


@pytest.fixture
def place(reachable_dir: Path) -> Iterator[Site]:
    with site(reachable_dir) as made:
        yield made
