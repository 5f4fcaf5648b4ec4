"""Tells whether a webhook comes from Tollkeeper (Standard Webhooks)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Final

from tollkeeper_client.answers import Message
from tollkeeper_client.wire import read_json, shape

_TOLERANCE_SECONDS: Final = 300
_PREFIX: Final = "whsec_"


class WebhookNotVerified(Exception):
    """This is not from Tollkeeper, or too old to be believed: answer 400, and do nothing."""


def verify_webhook(
    secret: str, headers: Mapping[str, str], body: bytes, *, now: float | None = None
) -> Message:
    """Return the message. `body` is the bytes as they came; `now` is in seconds since 1970.

    Raises WebhookNotVerified.
    """
    known = {name.lower(): value for name, value in headers.items()}
    message_id, sent = known.get("webhook-id", ""), known.get("webhook-timestamp", "")
    if not message_id or not (sent.isascii() and sent.isdigit()):
        raise WebhookNotVerified("webhook-id and webhook-timestamp are missing or wrong")
    wanted = _signature(secret, f"{message_id}.{sent}.".encode() + body)
    if not _is_among(wanted, known.get("webhook-signature", "")):
        raise WebhookNotVerified("no signature fits")
    if abs((time.time() if now is None else now) - int(sent)) > _TOLERANCE_SECONDS:
        raise WebhookNotVerified("sent more than five minutes ago, or ahead")
    return shape(Message, {**read_json(dict, body), "id": message_id})


def _signature(secret: str, signed: bytes) -> bytes:
    try:
        key = base64.b64decode(f"{secret.removeprefix(_PREFIX)}==")
    except binascii.Error:
        key = b""
    if not key:
        raise ValueError("This is no webhook secret: it begins with whsec_")
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256))


def _is_among(wanted: bytes, signatures: str) -> bool:
    """While a secret is being exchanged, a message carries two."""
    offered = (text.partition(",") for text in signatures.split(" "))
    return any(
        version == "v1" and hmac.compare_digest(wanted, signature.encode())
        for version, _, signature in offered
    )
