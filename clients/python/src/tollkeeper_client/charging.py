"""A call that is held, on its way to be settled."""

from __future__ import annotations

from typing import Unpack

from tollkeeper_client.answers import Hold, Receipt
from tollkeeper_client.asking import SettledStory, Usage


class Charge:
    """Until `used` says otherwise, the estimate is what was used. `receipt` is there at the end."""

    def __init__(self, hold: Hold, estimate: Usage | None) -> None:
        self.hold = hold
        self.usage = estimate
        self.told = False
        self.story: SettledStory = {}
        self.receipt: Receipt | None = None

    def used(self, usage: Usage, **story: Unpack[SettledStory]) -> None:
        """Say what it used, and what the customer shall read of it in the log."""
        self.usage = usage
        self.story = story
        self.told = True

    def known_usage(self) -> Usage:
        if self.usage is None:
            raise ValueError("Held by amount: say charge.used(…) before the end of the block")
        return self.usage
