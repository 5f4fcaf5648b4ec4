"""What the menu offers, and to whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tollkeeper.console.model import Session


@dataclass(frozen=True, slots=True)
class Entry:
    """A page in the menu, at `/console/{name}`. Its words are `menu.{name}` of the texts."""

    name: str
    money: bool = False
    managers: bool = False

    def is_for(self, session: Session) -> bool:
        if self.money and not session.sees_money:
            return False
        return session.manages or not self.managers


@dataclass(frozen=True, slots=True)
class Group:
    """Entries under a heading, `menu.group_{name}` of the texts."""

    name: str
    entries: Sequence[Entry]


CUSTOMER: Final = (
    Group(
        "billing",
        (
            Entry("credits", money=True),
            Entry("auto-top-up", money=True),
            Entry("payment-methods", money=True),
            Entry("transactions", money=True),
            Entry("invoices", money=True),
            Entry("billing-profile", money=True),
        ),
    ),
    Group(
        "usage",
        (
            Entry("analytics"),
            Entry("usage"),
            Entry("limits", money=True),
            Entry("plan"),
            Entry("playground"),
        ),
    ),
    Group(
        "organization",
        (
            Entry("keys", managers=True),
            Entry("projects", managers=True),
            Entry("members", managers=True),
            Entry("notifications", money=True),
            Entry("webhooks", managers=True),
        ),
    ),
)


def menu_of(session: Session) -> list[Group]:
    """The entries that are for somebody, without groups that hold nothing for them."""
    offered = (
        Group(group.name, [one for one in group.entries if one.is_for(session)])
        for group in CUSTOMER
    )
    return [group for group in offered if group.entries]


# The operator's pages, at `/console/staff/{name}`; their words are `staff_menu.{name}`.
STAFF: Final = (
    Group("today", (Entry("overview"),)),
    Group(
        "customers",
        (Entry("organizations"), Entry("grants"), Entry("refunds"), Entry("disputes")),
    ),
    Group("product", (Entry("plans"), Entry("prices"), Entry("providers"))),
    Group(
        "system",
        (
            Entry("jobs"),
            Entry("inbox"),
            Entry("audit"),
            Entry("settings"),
            Entry("staff"),
            Entry("design"),
        ),
    ),
)


def staff_menu() -> list[Group]:
    return [group for group in STAFF if group.entries]
