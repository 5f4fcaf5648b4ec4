"""An operator's acts on credit: each posted once and noted, or refused in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tollkeeper.base.ids import show_id, uuid7
from tollkeeper.db import Connection
from whole import Customer, Whole


async def balances(whole: Whole, customer: Customer) -> dict[str, Any]:
    answer = await whole.operate("GET", f"/organizations/{customer.id}/balances")
    assert answer.status == 200
    return {f"{b['livemode']} {b['currency']}": b for b in answer.json["data"]}


async def audits(whole: Whole, what: str) -> list[dict[str, Any]]:
    answer = await whole.operate("GET", "/audit-log", limit="100")
    return [row for row in answer.json["data"] if row["what"] == what]


def grants(customer: Customer) -> str:
    return f"/organizations/{customer.id}/grants"


async def test_a_new_organization_has_its_balances_and_its_sandbox_credit(whole: Whole) -> None:
    made = await whole.operate("POST", "/organizations", {"name": "Acme", "reason": "signed"})
    assert made.status == 201
    answer = await whole.operate("GET", f"/organizations/{made.json['id']}/balances")
    live, test = sorted(answer.json["data"], key=lambda b: not b["livemode"])
    assert (live["posted"], test["posted"]) == (0, 100)
    (noted,) = await audits(whole, "organization.create")
    assert noted["why"] == "signed"
    assert noted["organizationId"] == made.json["id"]
    assert noted["who"].endswith(" tests")


async def test_a_grant_adds_credit_and_says_who_and_why(whole: Whole, customer: Customer) -> None:
    body = {"amount": 12.5, "reason": "welcome", "label": "Welcome"}
    answer = await whole.operate("POST", grants(customer), body)
    assert answer.status == 201
    assert answer.json["kind"] == "grant"
    assert (answer.json["amount"], answer.json["balanceAfter"]) == ("12.5", "12.5")
    assert (await balances(whole, customer))["True USD"]["available"] == "12.5"
    (noted,) = await audits(whole, "credit.grant")
    assert noted["why"] == "welcome"
    assert noted["details"] == {"amount": "12.5", "entryId": answer.json["id"]}


async def test_a_repeated_grant_is_answered_again_and_posted_once(
    whole: Whole, customer: Customer
) -> None:
    body, key = {"amount": 3, "reason": "once"}, str(uuid4())
    first = await whole.operate("POST", grants(customer), body, idempotency_key=key)
    again = await whole.operate("POST", grants(customer), body, idempotency_key=key)
    assert again.text == first.text
    assert again.headers["idempotent-replayed"] == "true"
    assert (await balances(whole, customer))["True USD"]["posted"] == 3
    assert len(await audits(whole, "credit.grant")) == 1
    other = {"amount": 4, "reason": "once"}
    reused = await whole.operate("POST", grants(customer), other, idempotency_key=key)
    assert (reused.status, reused.json["code"]) == (422, "idempotency_key_reused")


async def test_a_grant_whose_answer_was_lost_is_posted_once(
    whole: Whole, customer: Customer, owner: Connection
) -> None:
    """The process died after the commit: the key is still there, its answer is not."""
    body, key = {"amount": 3, "reason": "once"}, str(uuid4())
    first = await whole.operate("POST", grants(customer), body, idempotency_key=key)
    await owner.execute(
        "UPDATE idempotency SET state = 'running', status = NULL, leased_until = now()"
        " WHERE key = %s",
        (key,),
    )
    again = await whole.operate("POST", grants(customer), body, idempotency_key=key)
    assert again.json == first.json
    assert (await balances(whole, customer))["True USD"]["posted"] == 3
    assert len(await audits(whole, "credit.grant")) == 1


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"amount": 0, "reason": "r"}, "amount"),
        ({"amount": -1, "reason": "r"}, "amount"),
        ({"amount": 1}, "reason"),
        ({"amount": 1, "reason": ""}, "reason"),
        ({"amount": 1, "reason": "r", "currency": "EUR"}, "currency"),
        ({"amount": 1, "reason": "r", "expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt"),
        ({"amount": 1, "reason": "r", "amout": 1}, "amout"),
    ],
)
async def test_a_grant_that_makes_no_sense_is_refused(
    whole: Whole, customer: Customer, body: dict[str, Any], place: str
) -> None:
    answer = await whole.operate("POST", grants(customer), body)
    assert (answer.status, answer.json["code"]) == (400, "invalid_request")
    assert place in answer.json["details"]
    assert (await balances(whole, customer))["True USD"]["posted"] == 0


async def test_an_organization_that_is_not_there_is_not_found(whole: Whole) -> None:
    nobody = show_id("org", uuid7())
    body = {"amount": 1, "reason": "r"}
    answer = await whole.operate("POST", f"/organizations/{nobody}/grants", body)
    assert answer.status == 404
    assert await audits(whole, "credit.grant") == []


async def test_a_correction_goes_either_way_and_below_zero(
    whole: Whole, customer: Customer
) -> None:
    path = f"/organizations/{customer.id}/adjustments"
    down = await whole.operate("POST", path, {"amount": -2.25, "reason": "r"})
    assert (down.json["kind"], down.json["balanceAfter"]) == ("adjustment", "-2.25")
    up = await whole.operate("POST", path, {"amount": 5, "reason": "r"})
    assert up.json["balanceAfter"] == "2.75"
    none = await whole.operate("POST", path, {"amount": 0, "reason": "r"})
    assert (none.status, none.json["details"]["amount"]["_errors"]) == (400, ["must not be 0"])
    assert len(await audits(whole, "credit.adjust")) == 2


async def test_a_refund_takes_what_is_left_and_no_more(whole: Whole, customer: Customer) -> None:
    await whole.operate("POST", grants(customer), {"amount": 5, "reason": "r"})
    path = f"/organizations/{customer.id}/refunds"
    refused = await whole.operate("POST", path, {"amount": 5.01, "reason": "r"})
    assert (refused.status, refused.json["code"]) == (402, "insufficient_credits")
    assert (refused.json["required"], refused.json["available"]) == ("5.01", 5)
    key = str(uuid4())
    body = {"amount": 5, "reason": "asked for it"}
    first = await whole.operate("POST", path, body, idempotency_key=key)
    assert (first.json["kind"], first.json["amount"]) == ("refund", -5)
    again = await whole.operate("POST", path, body, idempotency_key=key)
    assert again.text == first.text
    assert (await balances(whole, customer))["True USD"]["posted"] == 0


async def test_a_frozen_balance_refuses_calls_until_it_is_thawed(
    whole: Whole, customer: Customer
) -> None:
    org = f"/organizations/{customer.id}"
    on_test = {"livemode": False, "reason": "chargeback"}
    frozen = await whole.operate("POST", f"{org}/freeze", on_test)
    assert (frozen.status, frozen.json["frozenReason"]) == (200, "chargeback")
    assert (await call(whole, customer)).status == 402
    thawed = await whole.operate("POST", f"{org}/unfreeze", {**on_test, "reason": "settled"})
    assert thawed.json["frozenReason"] is None
    assert (await call(whole, customer)).status == 200
    assert [row["why"] for row in await audits(whole, "balance.unfreeze")] == ["settled"]


async def test_an_overdraft_may_be_spent(whole: Whole) -> None:
    customer = await whole.customer(sandbox_credit=0)
    assert (await call(whole, customer)).status == 402
    path = f"/organizations/{customer.id}/overdraft"
    body = {"livemode": False, "amount": 1, "reason": "good customer"}
    answer = await whole.operate("PUT", path, body)
    assert (answer.status, answer.json["overdraft"]) == (200, 1)
    assert (await call(whole, customer)).status == 200
    (noted,) = await audits(whole, "balance.overdraft")
    assert (noted["details"]["before"], noted["details"]["overdraft"]) == ("0", "1")


async def test_credit_with_a_last_day_is_gone_after_it(whole: Whole, customer: Customer) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1)
    body = {"amount": 1, "reason": "r", "expiresAt": soon.isoformat()}
    answer = await whole.operate("POST", grants(customer), body)
    assert answer.status == 201
    assert answer.json["lotId"].startswith("lot_")


async def test_only_an_operator_key_opens_these_doors(whole: Whole, customer: Customer) -> None:
    for key in (None, customer.keys["live ADMIN"], "tk_op_" + "x" * 43):
        answer = await whole.ask(
            "POST", f"/operator{grants(customer)}", key, {"amount": 1, "reason": "r"}
        )
        assert answer.status == 401


async def call(whole: Whole, customer: Customer) -> Any:
    body = {"model": "sandbox-small", "messages": [{"role": "user", "content": "Hi"}]}
    return await whole.ask("POST", "/chat/completions", customer.keys["test INFERENCE"], body)
