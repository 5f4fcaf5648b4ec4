"""`tollkeeper staff`: a way in, and a way back in."""

from __future__ import annotations

import re

from commands import Command

LINK = re.compile(r"https://pay\.example\.com/console/(invitation|reset)/[\w-]{64}")


def test_links_are_printed_for_the_address_that_people_use(command: Command) -> None:
    where = {"TOLLKEEPER_SERVER__PUBLIC_URL": "https://pay.example.com/"}
    made = command("staff", "invite", "Boss@Example.com", "--json", **where).json
    assert (made["email"], made["role"]) == ("Boss@Example.com", "admin")
    assert LINK.fullmatch(made["link"])
    again = command("staff", "invite", "boss@example.com", "--role", "viewer", **where)
    assert LINK.search(again.out)
    assert command("staff", "list", "--json").json == []
    command("staff", "reset", "boss@example.com", status=3)
    command("staff", "disable", "boss@example.com", status=3)
    assert "no email address" in command("staff", "invite", "boss", status=2).err
    noted = command("export", "audit", "--format", "ndjson").ndjson
    acts = [row for row in noted if row["what"] == "staff.invite"]
    assert sorted(row["details"]["role"] for row in acts) == ["admin", "viewer"]
    assert made["link"].rsplit("/", 1)[1] not in str(noted)
