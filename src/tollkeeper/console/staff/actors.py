"""Who did something, as people call them; the audit log keeps ids beside names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tollkeeper.console.rendering import say

_KEY: Final = re.compile(r"(opk|key)_[0-9a-f]{32}(?: (?P<name>.+))?", re.DOTALL)
_SESSION: Final = re.compile(r"console ses_[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """`kind` says what a name is of that is no person's; `exact` is what was kept."""

    name: str
    kind: str
    exact: str


def actor_of(who: str) -> Actor:
    if (key := _KEY.fullmatch(who)) is not None:
        kind = say("staff_audit.operator_key" if key[1] == "opk" else "staff_audit.api_key")
        return Actor(name=key["name"] or f"{who[:12]}…", kind=kind, exact=who)
    if _SESSION.fullmatch(who) is not None:
        return Actor(name=say("staff_audit.portal"), kind=say("staff_audit.session"), exact=who)
    return Actor(name=who, kind="", exact=who)
