"""A year of believable data to try things with. Read `README.md` for what it is and is not."""

from tollkeeper.demo.making import DemoRefused, Report, fill
from tollkeeper.demo.model import Wish
from tollkeeper.demo.world import plan

__all__ = ["DemoRefused", "Report", "Wish", "fill", "plan"]
