"""The Python client takes what the Standard Webhooks library signs, and nothing else."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from tollkeeper_client import WebhookNotVerified, verify_webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SAID = {
    "type": "credit_balance_low",
    "timestamp": "2026-11-21T12:00:00Z",
    "organizationId": "org_1",
    "livemode": True,
    "data": {"available": 4.9, "message": "Zürich"},
}
BODY = json.dumps(SAID, ensure_ascii=False)


def signed(secret: str = SECRET, at: datetime = NOW, *, before: str = "") -> dict[str, str]:
    return {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": f"{before}{Webhook(secret).sign('msg_1', at, BODY)}",
    }


def verify(headers: dict[str, str], body: bytes = BODY.encode()) -> str:
    return verify_webhook(SECRET, headers, body, now=NOW.timestamp()).id


def test_a_message_of_the_library_is_read() -> None:
    message = verify_webhook(SECRET, signed(), BODY.encode(), now=NOW.timestamp())
    assert (message.id, message.type, message.timestamp) == ("msg_1", "credit_balance_low", NOW)
    assert (message.organization_id, message.livemode) == ("org_1", True)
    assert str(message.data["available"]) == "4.9"


def test_one_of_two_signatures_is_enough() -> None:
    old = Webhook(OTHER).sign("msg_1", NOW, BODY)
    assert verify(signed(before=f"{old} v1a,abc ")) == "msg_1"


@pytest.mark.parametrize("minutes", [-4.9, 4.9])
def test_clocks_may_differ_a_little(minutes: float) -> None:
    assert verify(signed(at=NOW + timedelta(minutes=minutes))) == "msg_1"


@pytest.mark.parametrize(
    "headers",
    [
        signed(OTHER),
        signed(at=NOW - timedelta(minutes=6)),
        signed(at=NOW + timedelta(minutes=6)),
        {**signed(), "Webhook-Id": "msg_2"},
        {**signed(), "Webhook-Id": ""},
        {**signed(), "Webhook-Timestamp": "soon"},
        {**signed(), "Webhook-Timestamp": "²"},
        {**signed(), "Webhook-Signature": "v1,ü"},
        {**signed(), "Webhook-Signature": signed()["Webhook-Signature"].replace("v1,", "v2,")},
        {},
    ],
)
def test_nothing_else_is(headers: dict[str, str]) -> None:
    with pytest.raises(WebhookNotVerified):
        verify(headers)


def test_a_changed_body_is_not() -> None:
    with pytest.raises(WebhookNotVerified):
        verify(signed(), BODY.encode() + b" ")


@pytest.mark.parametrize("secret", ["", "whsec_"])
def test_a_secret_that_is_none_is_said(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        verify_webhook(secret, signed(), BODY.encode())
