"""`tollkeeper reconcile` and `tollkeeper webhooks`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from commands import Command

from tollkeeper.base.ids import show_id, uuid7

ORG, PAYMENT, PURCHASE = uuid7(), uuid7(), uuid7()
INSERT_PAYMENT = """
INSERT INTO payment (
    org_id, payment_id, livemode, processor, subject_id, status, amount_minor, currency,
    description, return_url, page, off_session, save_method, ref, intended_at, settled_at
) VALUES (%s, %s, false, 'sandbox', %s, 'succeeded', 2500, 'USD', 'Credit', 'https://a.test',
          'hosted', false, false, 'sbpay_1', %s, %s)
"""
INSERT_EVENT = """
INSERT INTO inbox_event (
    processor, livemode, event_id, type, created_at, received_at, body, state, handled_at
) VALUES ('sandbox', false, %s, %s, now(), now(), '', %s, now())
"""


@pytest.fixture
def owner(owner_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(owner_url, autocommit=True) as connection:
        yield connection


def test_clean_books(command: Command) -> None:
    done = command("reconcile")
    assert done.out.startswith("sandbox (test), ")
    assert done.err == "The books agree\n"
    (made,) = command("reconcile", "--json").json
    assert (made["clean"], made["differences"]) == (True, [])


def test_differences_are_named_with_what_to_do(command: Command, owner: psycopg.Connection) -> None:
    at = datetime.now(UTC) - timedelta(hours=5)
    owner.execute(INSERT_PAYMENT.encode(), (ORG, PAYMENT, PURCHASE, at, at))
    done = command("reconcile", status=1)
    name = show_id("pay", PAYMENT)
    assert f"missing_at_processor  payment {name}: paid here (2500 USD, sbpay_1)" in done.out
    assert f"payment_without_credit  payment {name}: paid (2500 USD), no entry" in done.out
    assert "Look it up at the processor by its reference." in done.out
    header = next(line for line in done.out.splitlines() if line.startswith("day"))
    assert header.split()[:5] == ["day", "currency", "payments", "paid", "booked"]
    assert "25.00 USD" in done.out
    (made,) = command("reconcile", "--json", status=1).json
    kinds = {one["kind"] for one in made["differences"]}
    assert {"missing_at_processor", "payment_without_credit"} <= kinds
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    assert command("reconcile", "--since", tomorrow, "--until", "2099-01-01").status == 0
    command("reconcile", "--since", "2026-01-02", "--until", "2026-01-01", status=2)


def test_events_are_listed_and_replayed(command: Command, owner: psycopg.Connection) -> None:
    for name, kind, state in (
        ("evt_1", "payment.succeeded", "handled"),
        ("evt_2", "weather.changed", "not_understood"),
    ):
        owner.execute(INSERT_EVENT.encode(), (name, kind, state))
    listed = command("webhooks", "list", "--processor", "sandbox", "--json").json
    assert {event["id"]: event["state"] for event in listed} == {
        "evt_1": "handled",
        "evt_2": "not_understood",
    }
    assert "weather.changed" in command("webhooks", "list", "--processor", "sandbox").out
    replay = ("webhooks", "replay", "--processor", "sandbox")
    assert command(*replay, status=2).err
    assert command(*replay, "--state", "not_understood", "--json").json == {"replayed": 1}
    assert command(*replay, "evt_1", "evt_9", "--json").json == {"replayed": 1}
    assert command(*replay, "--since", "2099-01-01", "--json").json == {"replayed": 0}
    states = owner.execute("SELECT DISTINCT state FROM inbox_event").fetchall()
    assert states == [("pending",)]
