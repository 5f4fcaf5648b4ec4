"""Organizations, projects, members, keys and credit from the command line, as they are printed."""

from __future__ import annotations

from commands import Command


def test_an_organization_from_its_first_day(command: Command) -> None:
    assert command("org", "create", "Acme", "--why", "signed").shape == (
        "organizationId  org_…\n"
        "projectId  prj_…\n"
        "liveAdminKey  tk_live_<secret>\n"
        "testAdminKey  tk_test_<secret>"
    )
    assert command("org", "list").shape == "id  name  createdAt\norg_…  Acme  <time>"
    assert command("org", "show").shape == (
        "id  org_…\n"
        "name  Acme\n"
        "createdAt  <time>\n"
        "\n"
        "mode  currency  posted  held  available  overdraft  lifetimeAdded  lifetimeSpent  frozen\n"
        "live  USD  0  0  0  0  0  0  -\n"
        "test  USD  100  0  100  0  0  0  -"
    )
    shown = command("org", "show", "Acme", "--json").json
    assert shown["balances"][1]["posted"] == 100
    (noted,) = [row for row in audit(command) if row["what"] == "organization.create"]
    assert noted["why"] == "signed"
    assert noted["who"].startswith("cli:")


def test_an_organization_is_named_by_id_or_by_a_name_of_its_own(command: Command) -> None:
    assert "There is no organization yet" in command("org", "show", status=3).err
    first = command("org", "create", "Twin", "--json").json["organizationId"]
    command("org", "create", "Twin")
    ambiguous = command("org", "show", "Twin", status=3)
    assert "several organizations named 'Twin'; say which by its id" in ambiguous.err
    assert command("org", "show", first, "--json").json["id"] == first
    assert "is not an id of the form org_" in command("org", "show", "org_x", status=3).err
    assert "several organizations; say which" in command("key", "list", status=3).err


def test_projects_and_members(command: Command) -> None:
    command("org", "create", "Acme")
    command("project", "create", "Search")
    assert command("project", "list").shape == (
        "id  name  createdAt\nprj_…  Default  <time>\nprj_…  Search  <time>"
    )
    again = command("project", "create", "Search", status=3)
    assert "There is a project named 'Search' already" in again.err
    ada = command("member", "add", "Ada@Example.com", "--name", "Ada", "--role", "owner", "--json")
    assert ada.json["email"] == "ada@example.com"
    command("member", "add", "bo@example.com")
    assert command("member", "list").shape == (
        "id  name  email  role  createdAt\n"
        "mem_…  Ada  ada@example.com  owner  <time>\n"
        "mem_…  bo@example.com  bo@example.com  member  <time>"
    )
    last = command("member", "remove", ada.json["id"], status=3)
    assert "Make somebody else an owner first" in last.err
    assert command("member", "add", "nobody", status=2).err.endswith("is no email address\n")


def test_keys_are_shown_once_and_revoked_for_ever(command: Command) -> None:
    command("org", "create", "Acme")
    made = command("key", "create", "CI", "--test", "--clamp", "--expires", "30d", "--json").json
    assert made["secret"].startswith("tk_test_")
    assert (made["kind"], made["mode"], made["clamp"]) == ("INFERENCE", "test", True)
    admin = command("key", "create", "Boss", "--admin", "--json").json
    assert (admin["kind"], admin["mode"], admin["expiresAt"]) == ("ADMIN", "live", None)
    command("key", "revoke", made["id"])
    rows = {row["name"]: row for row in command("key", "list", "--json").json}
    assert rows["CI"]["revokedAt"] is not None
    assert rows["Boss"]["revokedAt"] is None
    assert "secret" not in rows["Boss"]
    assert command("key", "list").shape.splitlines()[0] == (
        "id  name  prefix  kind  mode  lastUsedAt  expiresAt  revokedAt"
    )
    command("project", "create", "Two")
    unclear = command("key", "create", "x", status=3)
    assert "Say which project with --project: Default, Two" in unclear.err
    past = command("key", "create", "x", "--project", "Two", "--expires", "2020-01-01", status=3)
    assert "must lie ahead" in past.err


def test_operator_keys(command: Command) -> None:
    made = command("key", "create", "on call", "--operator", "--json").json
    assert made["secret"].startswith("tk_op_")
    assert command("key", "list", "--operator").shape == (
        "id  name  prefix  lastUsedAt  expiresAt  revokedAt\nopk_…  on call  tk_op_<4>  -  -  -"
    )
    assert command("key", "revoke", made["id"], "--json").json["revokedAt"] is not None


def test_credit_moved_by_hand(command: Command) -> None:
    command("org", "create", "Acme")
    assert command("grant", "12.5", "--why", "welcome").shape == (
        "id  ent_…\n"
        "organization  Acme\n"
        "mode  live\n"
        "kind  grant\n"
        "amount  12.5\n"
        "balanceAfter  12.5\n"
        "currency  USD\n"
        "postedAt  <time>"
    )
    down = command("adjust", "-2.000000001", "--why", "typing error", "--json")
    assert '"balanceAfter":10.499999999' in down.out
    assert command("refund", "10", "--why", "asked", "--json").json["kind"] == "refund"
    too_much = command("refund", "1", "--why", "asked", status=3)
    assert "Only 0.499999999 USD is left to be refunded" in too_much.err
    command("grant", "3", "--test", "--expires", "4w", "--label", "Trial", "--why", "trial")
    balances = command("org", "show", "--json").json["balances"]
    assert [balance["posted"] for balance in balances] == [0.499999999, 103]
    acts = [(row["what"], row["why"]) for row in audit(command)]
    assert acts[:4] == [
        ("credit.grant", "trial"),
        ("credit.refund", "asked"),
        ("credit.adjust", "typing error"),
        ("credit.grant", "welcome"),
    ]


def test_credit_in_another_currency_opens_its_balance(command: Command) -> None:
    command("org", "create", "Acme")
    diem = {"TOLLKEEPER_CURRENCIES__DIEM__USD_VALUE": "0.1"}
    granted = command("grant", "5", "--currency", "DIEM", "--why", "a gift", "--json", **diem)
    assert (granted.json["currency"], granted.json["balanceAfter"]) == ("DIEM", 5)
    balances = command("org", "show", "--json").json["balances"]
    live = {b["currency"]: b["posted"] for b in balances if b["mode"] == "live"}
    assert live == {"DIEM": 5, "USD": 0}


def test_credit_that_makes_no_sense_is_refused(command: Command) -> None:
    command("org", "create", "Acme")
    assert "is not a plain decimal" in command("grant", "1e3", "--why", "x", status=2).err
    assert "Missing option '--why'" in command("grant", "1", status=2).err
    assert "must be above 0" in command("grant", "0", "--why", "x", status=3).err
    euros = command("grant", "1", "--currency", "EUR", "--why", "x", status=2)
    assert "'EUR' is not one of USD" in euros.err
    past = command("grant", "1", "--expires", "2020-01-01", "--why", "x", status=3)
    assert "must lie ahead" in past.err
    assert "is no time" in command("grant", "1", "--expires", "soon", "--why", "x", status=2).err


def audit(command: Command) -> list[dict[str, str]]:
    """Newest first."""
    return command("export", "audit", "--format", "ndjson").ndjson
