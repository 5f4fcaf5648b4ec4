"""`tollkeeper recurring`, `campaign` and `revenue`: what the operator API does, by command."""

from __future__ import annotations

from commands import Command


def test_credit_is_given_by_rule_and_told_of_by_month(command: Command) -> None:
    command("org", "create", "Acme")
    options = ("--every", "month", "--time-zone", "Europe/Berlin", "--why", "plan", "--json")
    made = command("recurring", "create", "10", *options).json
    assert (made["amount"], made["every"], made["organizationId"]) == (10, "month", None)
    (listed,) = command("recurring", "list", "--json").json
    assert listed == made
    bad = command(
        "recurring", "create", "10", "--every", "day", "--time-zone", "X", "--why", "x", status=2
    )
    assert "timeZone" in bad.err
    ended = command("recurring", "end", made["id"], "--why", "over", "--json").json
    assert (ended["nextAt"], ended["endedAt"] is None) == (None, False)

    code = command(
        "campaign", "create", "launch", "5", "--most", "3", "--lot-days", "30",
        "--why", "launch", "--json",
    ).json  # fmt: skip
    assert (code["code"], code["mostRedemptions"], code["lotDays"]) == ("LAUNCH", 3, 30)
    taken = command("campaign", "create", "Launch", "5", "--why", "again", status=3)
    assert "LAUNCH" in taken.err
    assert command("campaign", "redemptions", "LAUNCH", "--json").json == []
    assert "LAUNCH" in command("campaign", "list").out
    assert command("campaign", "end", "launch", "--why", "over", "--json").json["endedAt"]
    assert "There is no code" in command("campaign", "end", "other", "--why", "x", status=3).err

    command("grant", "7", "--why", "hello", "--org", "Acme")
    *_, month = command("revenue", "--json").json
    assert (month["granted"], month["closing"], month["complete"]) == (7, 7, False)
    assert command("revenue", "--csv").out.startswith("month,currency,complete,opening,")
    assert command("revenue", "--from", "2026", status=2).err
