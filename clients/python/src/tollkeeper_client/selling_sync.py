"""Written by `generate.py` from `selling_async.py`: change that one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import NoneType
from typing import Any, BinaryIO, Final, TypeVar, Unpack

from tollkeeper_client.answers import Page
from tollkeeper_client.answers_selling import (
    Campaign,
    Margins,
    PlanVersion,
    RecurringGrant,
    Redemption,
    RevenueMonth,
)
from tollkeeper_client.answers_spending import (
    Allowances,
    Budget,
    BudgetCounter,
    CostRow,
    CurrentPlan,
)
from tollkeeper_client.asking import (
    Amount,
    BudgetEdit,
    BudgetTerms,
    CampaignTerms,
    CostFilter,
    PlanTerms,
    RecurringTerms,
)
from tollkeeper_client.calling_sync import Calling
from tollkeeper_client.trying import below

T = TypeVar("T")
ORGANIZATIONS: Final = "/operator/organizations"
_RECURRING: Final = "/operator/recurring-grants"
_CAMPAIGNS: Final = "/operator/campaigns"


class Selling:
    def __init__(self, toll: Calling) -> None:
        self._toll = toll

    def plans(self) -> list[PlanVersion]:
        """Every version of every plan."""
        return (self._toll.request(Page[PlanVersion], "GET", "/operator/plans")).data

    def publish_plan(self, plan: Mapping[str, Any], reason: str) -> PlanVersion:
        """`plan` is what a plan file has, with its names: `feeMinor`, `consumables`, …"""
        said = {"plan": plan, "reason": reason}
        return self._toll.request(PlanVersion, "POST", "/operator/plans", said)

    def retire_plan(self, code: str, reason: str, *, retired: bool = True) -> None:
        """Sell it no more, or again; whoever has it keeps it."""
        path = below("/operator/plans", code, "/retired")
        self._toll.request(NoneType, "PUT", path, {"reason": reason, "retired": retired})

    def get_plan(self, organization_id: str, *, livemode: bool = True) -> CurrentPlan:
        return self._get(CurrentPlan, organization_id, "/plan", {"livemode": livemode})

    def set_plan(
        self, organization_id: str, plan: str, reason: str, **terms: Unpack[PlanTerms]
    ) -> CurrentPlan:
        """By hand: no fee is billed for it."""
        path = below(ORGANIZATIONS, organization_id, "/plan")
        said = {"plan": plan, "reason": reason, **terms}
        return self._toll.request(CurrentPlan, "PUT", path, said)

    def cancel_plan(
        self,
        organization_id: str,
        reason: str,
        *,
        when: str | None = None,
        livemode: bool = True,
    ) -> CurrentPlan:
        """`when` is `cycle_end`, unless `now`."""
        said = {"reason": reason, "when": when, "livemode": livemode}
        return self._post(CurrentPlan, organization_id, "/plan/cancel", said)

    def allowances(self, organization_id: str, *, livemode: bool = True) -> Allowances:
        return self._get(Allowances, organization_id, "/allowances", {"livemode": livemode})

    def costs(
        self,
        organization_id: str,
        group_by: str | Sequence[str] | None = None,
        *,
        livemode: bool = True,
        **asked: Unpack[CostFilter],
    ) -> Iterator[CostRow]:
        said = {"group_by": group_by, "livemode": livemode, **asked}
        return self._toll.each(CostRow, below(ORGANIZATIONS, organization_id, "/costs"), said)

    def budgets(self, organization_id: str, *, livemode: bool = True) -> Iterator[Budget]:
        path = below(ORGANIZATIONS, organization_id, "/budgets")
        return self._toll.each(Budget, path, {"livemode": livemode})

    def create_budget(
        self,
        organization_id: str,
        name: str,
        amount: Amount,
        period: str,
        reason: str,
        **terms: Unpack[BudgetTerms],
    ) -> Budget:
        said = {"name": name, "amount": amount, "period": period, "reason": reason, **terms}
        return self._post(Budget, organization_id, "/budgets", said)

    def update_budget(
        self, organization_id: str, budget_id: str, reason: str, **change: Unpack[BudgetEdit]
    ) -> Budget:
        path = _budget(organization_id, budget_id)
        return self._toll.request(Budget, "PATCH", path, {"reason": reason, **change})

    def remove_budget(self, organization_id: str, budget_id: str, reason: str) -> None:
        path = _budget(organization_id, budget_id)
        self._toll.request(NoneType, "DELETE", path, query={"reason": reason})

    def reset_budget(
        self,
        organization_id: str,
        budget_id: str,
        reason: str,
        *,
        subject: str | None = None,
        livemode: bool = True,
    ) -> Budget:
        said = {"reason": reason, "subject": subject, "livemode": livemode}
        path = _budget(organization_id, budget_id, "/reset")
        return self._toll.request(Budget, "POST", path, said)

    def budget_counters(
        self, organization_id: str, budget_id: str, *, livemode: bool = True
    ) -> Iterator[BudgetCounter]:
        path = _budget(organization_id, budget_id, "/counters")
        return self._toll.each(BudgetCounter, path, {"livemode": livemode})

    def recurring_grants(self, *, organization_id: str | None = None) -> Iterator[RecurringGrant]:
        return self._toll.each(RecurringGrant, _RECURRING, {"organization_id": organization_id})

    def create_recurring_grant(
        self,
        amount: Amount,
        every: str,
        reason: str,
        *,
        idempotency_key: str | None = None,
        **terms: Unpack[RecurringTerms],
    ) -> RecurringGrant:
        """Give credit again each `day`, `week` or `month`; what is left of the last one lapses."""
        said = {"amount": amount, "every": every, "reason": reason, **terms}
        return self._toll.request(
            RecurringGrant, "POST", _RECURRING, said, idempotency_key=idempotency_key
        )

    def end_recurring_grant(self, grant_id: str, reason: str) -> RecurringGrant:
        path = below(_RECURRING, grant_id, "/end")
        return self._toll.request(RecurringGrant, "POST", path, {"reason": reason})

    def campaigns(self) -> Iterator[Campaign]:
        return self._toll.each(Campaign, _CAMPAIGNS)

    def create_campaign(
        self, code: str, amount: Amount, reason: str, **terms: Unpack[CampaignTerms]
    ) -> Campaign:
        """Define a code that brings credit to who redeems it, each organization once."""
        said = {"code": code, "amount": amount, "reason": reason, **terms}
        return self._toll.request(Campaign, "POST", _CAMPAIGNS, said)

    def end_campaign(self, campaign_id: str, reason: str) -> Campaign:
        path = below(_CAMPAIGNS, campaign_id, "/end")
        return self._toll.request(Campaign, "POST", path, {"reason": reason})

    def redemptions(self, campaign_id: str) -> Iterator[Redemption]:
        return self._toll.each(Redemption, below(_CAMPAIGNS, campaign_id, "/redemptions"))

    def revenue(
        self,
        *,
        start: str | None = None,
        end: str | None = None,
        livemode: bool = True,
        organization_id: str | None = None,
    ) -> Iterator[RevenueMonth]:
        """What was deferred, earned and lapsed by month, from `2026-01` to `2026-11`."""
        asked = {"from": start, "to": end, "livemode": livemode, "organization_id": organization_id}
        return self._toll.each(RevenueMonth, "/operator/revenue", asked)

    def margin(
        self,
        group_by: str | None = None,
        *,
        start: datetime | str | None = None,
        end: datetime | str | None = None,
        organization_id: str | None = None,
    ) -> Margins:
        """By `model`, unless `organization`, `provider` or `day`."""
        asked = {"group_by": group_by, "organization_id": organization_id, "from": start, "to": end}
        return self._toll.request(Margins, "GET", "/operator/margin", query=asked)

    def export(
        self,
        kind: str,
        file: BinaryIO,
        *,
        organization_id: str | None = None,
        start: datetime | str | None = None,
        end: datetime | str | None = None,
        format: str = "csv",  # noqa: A002 (the API's own word)
    ) -> int:
        """Write the `usage`, `entries` or `invoices` of one organization or of all."""
        asked = {"organization_id": organization_id, "from": start, "to": end, "format": format}
        return self._toll.download(below("/operator/exports", kind), file, asked)

    def _get(self, kind: type[T], organization_id: str, what: str, asked: dict[str, Any]) -> T:
        path = below(ORGANIZATIONS, organization_id, what)
        return self._toll.request(kind, "GET", path, query=asked)

    def _post(
        self,
        kind: type[T],
        organization_id: str,
        act: str,
        said: dict[str, Any],
        key: str | None = None,
    ) -> T:
        path = below(ORGANIZATIONS, organization_id, act)
        return self._toll.request(kind, "POST", path, said, idempotency_key=key)


def _budget(organization_id: str, budget_id: str, act: str = "") -> str:
    return below(below(ORGANIZATIONS, organization_id, "/budgets"), budget_id, act)
