"""How the fake fails when told to: before anything is done, or after all of it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum


class How(Enum):
    WELL = "well"
    """As it should be; with `after`, a plan may count on it."""
    HANGS_BEFORE = "hangs_before"
    """No answer, nothing done; the client's time runs out."""
    HANGS_AFTER = "hangs_after"
    """All done, and no answer."""
    LOST_BEFORE = "lost_before"
    """The connection breaks, nothing done."""
    LOST_AFTER = "lost_after"
    """All done, and the connection breaks before the answer."""
    CUT_SHORT = "cut_short"
    """All done, and the connection breaks within the answer."""
    ERROR_BEFORE = "error_before"
    """500, nothing done, and not remembered."""
    ERROR_AFTER = "error_after"
    """500 though all is done; the same key gets the same 500, as at Stripe."""
    TOO_MANY = "too_many"
    """429, nothing done."""
    GARBAGE = "garbage"
    """200 with a page of a proxy in place of an answer; nothing done."""


@dataclass
class Plan:
    method: str
    path: re.Pattern[str]
    how: How
    times: int
    after: int

    def applies(self, method: str, path: str) -> bool:
        if method != self.method or self.path.fullmatch(path) is None or self.times == 0:
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.times -= 1
        return True
