"""Budgets from the command line."""

from __future__ import annotations

from commands import Command


def test_a_budget_from_its_first_day_to_its_last(command: Command) -> None:
    command("org", "create", "Acme")
    made = command(
        *("budget", "add", "Research", "12.50", "--model", "gpt-*", "--each", "endUser"),
        *("--time-zone", "Europe/Berlin", "--alert", "90", "--tolerance", "5", "--json"),
    ).json
    assert made["amount"] == 12.5
    assert (made["period"], made["timeZone"]) == ("month", "Europe/Berlin")
    assert (made["model"], made["each"], made["alertPercents"]) == ("gpt-*", "endUser", [90])
    rate = ("budget", "add", "Rate", "60", "--measure", "requests", "--period", "minute")
    command(*rate, "--soft", "--why", "bursts")
    (first, second) = command("budget", "list", "--json").json
    assert first == made
    assert (second["measure"], second["enforcement"], second["used"]) == ("requests", "soft", 0)
    assert command("budget", "list").out.split()[:4] == ["id", "name", "measure", "amount"]
    begun = command("budget", "reset", second["id"], "--test", "--json").json
    assert begun["livemode"] is False
    assert begun["periodStart"] > second["periodStart"]
    command("budget", "reset", made["id"], "--subject", "nobody", status=3)
    command("budget", "remove", made["id"], "--why", "over")
    assert [row["name"] for row in command("budget", "list", "--json").json] == ["Rate"]
    noted = command("export", "audit", "--format", "ndjson").ndjson
    acts = [(row["what"], row["why"]) for row in noted if row["what"].startswith("budget.")]
    assert sorted(acts) == [
        ("budget.create", ""),
        ("budget.create", "bursts"),
        ("budget.delete", "over"),
        ("budget.reset", ""),
    ]


def test_what_is_wrong_is_said(command: Command) -> None:
    command("org", "create", "Acme")
    assert "is no amount" in command("budget", "add", "x", "ten", status=2).err
    fraction = command("budget", "add", "x", "1.5", "--measure", "tokens", status=3).err
    assert "whole number" in fraction
    wrong = command("budget", "add", "x", "1", "--time-zone", "Mars", "--tag", "t=", status=3).err
    assert "timeZone" in wrong
    assert "There is no budget" in command("budget", "remove", "bud_" + "0" * 32, status=3).err
