"""Plans from the command line: from a file to an organization and back."""

from __future__ import annotations

from pathlib import Path

from commands import Command

PRO = """
code = "pro"
name = "Pro"
feeMinor = 4900
[[consumables]]
code = "llm_tokens"
covers = [{ units = ["tokens"] }]
included = 5_000_000
overagePrice = 3.50
overagePer = 1_000_000
"""


def test_a_plan_from_its_file_to_a_customer_and_back(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "pro.toml"
    file.write_text(PRO)
    published = command("plan", "publish", str(file), "--json").json
    assert published[0]["plan"]["consumables"][0]["overagePrice"] == 3.5
    command("org", "create", "Acme")
    made = command("plan", "subscribe", "pro", "--why", "sold", "--json").json
    assert (made["plan"], made["status"]) == ("pro", "active")
    ended = command("plan", "cancel", "--why", "left", "--when", "now", "--json").json
    assert (ended["subscription"], ended["status"]) == (made["subscription"], "cancelled")
    assert (
        "There is no plan gold" in command("plan", "subscribe", "gold", "--why", "x", status=3).err
    )
    command("plan", "retire", "pro", "--why", "old")
    assert "retired" in command("plan", "list").out


def test_everything_that_is_wrong_with_a_file_is_said(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text('code = "Pro"\n[[consumables]]\ncode = "c"\nincluded = 1\n')
    said = command("plan", "publish", str(file), status=3).err
    assert "code:" in said
    assert "name:" in said
    assert "consumables.0.covers:" in said
