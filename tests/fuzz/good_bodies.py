"""A request that is taken, for every endpoint that takes a body, with every field it may have."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Final
from uuid import uuid4

_REPORT: Final[dict[str, Any]] = {
    "provider": "sandbox",
    "model": "sandbox-small",
    "operation": "search",
    "usage": {"input": 1, "output": 2},
    "input": "select 1",
    "threadId": "t",
    "endUser": "u",
    "status": 200,
    "durationMs": 5,
    "tags": {"team": "search"},
    "error": "none",
}
_CHAT: Final[dict[str, Any]] = {
    "model": "sandbox-small",
    "messages": [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "name": "Ada", "content": [{"type": "text", "text": "Hello"}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function"}]},
        {"role": "user", "content": "And?"},
    ],
    "max_tokens": 9,
    "n": 1,
    "temperature": 0.5,
    "stop": ["x"],
    "stream": False,
    "user": "u",
    "metadata": {"team": "search"},
    "service_tier": "default",
    "response_format": {"type": "text"},
    "logit_bias": {"50256": -100},
    "seed": 1,
}
_MESSAGES: Final[dict[str, Any]] = {
    "model": "sandbox-small",
    "max_tokens": 9,
    "system": [{"type": "text", "text": "Be brief", "cache_control": {"type": "ephemeral"}}],
    "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
    "metadata": {"user_id": "u"},
    "stop_sequences": ["x"],
    "temperature": 0.5,
}

# By method and path; `{…}` is filled in by whoever sends it.
GOOD: Final[dict[str, Any]] = {
    "post /api-keys": {"name": "k", "kind": "INFERENCE", "livemode": False, "clamp": True},
    "post /projects": {"name": "p"},
    "patch /projects/{project_id}": {"name": "Default"},
    "post /members": {"name": "Ada", "email": "ada@example.com", "role": "member"},
    "post /budgets": {
        "name": "Research",
        "measure": "cost",
        "amount": 12.5,
        "period": "month",
        "timeZone": "Europe/Berlin",
        "endUser": "u",
        "provider": "sandbox",
        "model": "sandbox-*",
        "tag": "team=search",
        "each": "tag:team",
        "enforcement": "soft",
        "tolerancePercent": 5,
        "alertPercents": [50, 100],
    },
    "post /billing/quotes": {"amount": 10, "currency": "USD"},
    "post /billing/subscription": {"plan": "pro"},
    "patch /billing/subscription": {"plan": "pro"},
    "post /billing/purchases": {"amount": 10, "currency": "USD"},
    "post /metering/charges": {**_REPORT, "requestId": "r"},
    "post /metering/estimate": {k: _REPORT[k] for k in ("provider", "model", "usage")},
    "post /metering/holds": {
        **{k: _REPORT[k] for k in ("provider", "model", "operation")},
        "estimate": {"input": 1},
        "requestId": "r",
        "ttlSeconds": 5,
    },
    "post /metering/events": [{**_REPORT, "id": "e", "source": "s", "time": None}],
    "put /metering/levels": {
        "organizationId": f"org_{7:032x}",
        "livemode": False,
        "name": "storage-gb-hours",
        "level": 12.5,
        "since": None,
    },
    "post /operator/provider-costs": {
        "content": "date,model,cost\n2026-01-01,m,1.5\n",
        "provider": "up",
        "reason": "why",
    },
    "post /operator/portal-sessions": {
        "organizationId": "{organization_id}",
        "role": "billing",
        "livemode": False,
    },
    "post /operator/organizations": {"name": "o", "projectName": "p", "reason": "why"},
    "post /operator/organizations/{organization_id}/invoices/{invoice_id}/credit-notes": {
        "amount": 1,
        "reason": "why",
    },
    "post /operator/organizations/{organization_id}/grants": {
        "amount": 1,
        "reason": "why",
        "livemode": True,
        "currency": "USD",
        "priority": 100,
        "label": "l",
        "expiresAt": "2100-01-01T00:00:00Z",
    },
    "post /operator/recurring-grants": {
        "amount": 1,
        "every": "month",
        "reason": "why",
        "livemode": True,
        "currency": "USD",
        "timeZone": "Europe/Berlin",
        "priority": 50,
        "label": "l",
        "startAt": "2100-01-01T00:00:00Z",
    },
    "post /operator/campaigns": {
        "code": "CODE",
        "amount": 1,
        "reason": "why",
        "livemode": True,
        "currency": "USD",
        "validFrom": "2100-01-01T00:00:00Z",
        "validUntil": "2101-01-01T00:00:00Z",
        "mostRedemptions": 1,
        "lotDays": 30,
        "newDays": 7,
        "priority": 50,
        "label": "l",
    },
    "post /billing/redemptions": {"code": "CODE"},
    "post /operator/organizations/{organization_id}/adjustments": {
        "amount": 1,
        "reason": "why",
        "livemode": True,
        "currency": "USD",
    },
    "put /operator/organizations/{organization_id}/overdraft": {
        "amount": 0,
        "reason": "why",
        "livemode": True,
        "currency": "USD",
    },
    "post /operator/plans": {
        "plan": {
            "code": "fuzz",
            "name": "Fuzz",
            "interval": "month",
            "feeMinor": 4900,
            "currency": "USD",
            "consumables": [
                {
                    "code": "tokens",
                    "name": "Tokens",
                    "covers": [{"sku": "*", "units": ["tokens"], "provider": "acme"}],
                    "included": 1000,
                    "unitSize": 60,
                    "overagePrice": 0.5,
                    "overagePer": 1000,
                    "overageAllowed": True,
                }
            ],
            "capacities": {"seats": 3},
            "effectiveFrom": "2100-01-01T00:00:00Z",
        },
        "reason": "why",
    },
    "put /operator/plans/{code}/retired": {"reason": "why", "retired": False},
    "put /operator/organizations/{organization_id}/plan": {
        "plan": "fuzz",
        "reason": "why",
        "livemode": False,
        "when": "now",
        "timezone": "Europe/Berlin",
        "anchor": "2026-01-31T00:00:00Z",
    },
    "post /operator/organizations/{organization_id}/plan/cancel": {
        "reason": "why",
        "livemode": False,
        "when": "cycle_end",
    },
    "post /operator/prices": {
        "file": {
            "provider": "fuzz",
            "source": "s",
            "checked_on": "2026-01-01",
            "models": {"m": {"prices": [{"from": "2100-01-01", "rates": {"input": 1}}]}},
        },
        "reason": "why",
        "backdate": False,
    },
    "post /chat/completions": _CHAT,
    "post /messages": _MESSAGES,
    "post /responses": {
        "model": "sandbox-small",
        "max_output_tokens": 16,
        "instructions": "Be brief",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hello"}]}],
        "metadata": {"team": "search"},
        "user": "u",
    },
    "post /embeddings": {"model": "sandbox-embed", "input": ["a", "b"], "dimensions": 3},
    "post /images/generations": {
        "model": "sandbox-image",
        "prompt": "a cat",
        "n": 1,
        "size": "1024x1024",
    },
    "post /audio/speech": {"model": "sandbox-small", "input": "Hello", "voice": "alloy"},
}


def leaves(body: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the place of every value in a body that holds no other."""
    inside = body.items() if isinstance(body, dict) else enumerate(body)
    for name, value in inside:
        if isinstance(value, dict | list) and value:
            yield from leaves(value, (*at, name))
        else:
            yield (*at, name)


def with_value(body: Any, place: tuple[Any, ...], value: Any) -> Any:
    """Copy a body with another value there, and names of its own where each must be new."""
    changed = deepcopy(body)
    _make_new(changed[0] if isinstance(changed, list) else changed)
    inside = changed
    for name in place[:-1]:
        inside = inside[name]
    inside[place[-1]] = value
    return changed


def with_name(body: Any, place: tuple[Any, ...], name: str) -> Any:
    """Copy a body with this name in place of the one at the end of a place."""
    changed = with_value(body, place, None)
    inside = changed
    for step in place[:-1]:
        inside = inside[step]
    inside[name] = inside.pop(place[-1])
    return changed


def _make_new(members: dict[str, Any]) -> None:
    for name in members.keys() & {"requestId", "id", "email"}:
        members[name] = f"{uuid4().hex}{'@example.com' if name == 'email' else ''}"
    if members.get("name") == "p":
        members["name"] = uuid4().hex
