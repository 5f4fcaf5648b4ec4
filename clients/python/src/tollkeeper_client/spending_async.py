"""What customers ask of costs, budgets and plans. `spending_sync.py` is written from this file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime
from types import NoneType
from typing import BinaryIO, Unpack

from tollkeeper_client.answers import Page
from tollkeeper_client.answers_spending import (
    Allowances,
    Budget,
    BudgetCounter,
    CostRow,
    CurrentPlan,
    Forecast,
    Plan,
    PlanFee,
    Redeemed,
    UsageAnalytics,
)
from tollkeeper_client.asking import Amount, BudgetEdit, BudgetTerms, CostFilter
from tollkeeper_client.calling_async import AsyncCalling
from tollkeeper_client.trying import below

_SUBSCRIPTION = "/billing/subscription"


class AsyncSpending(AsyncCalling):
    def costs(
        self, group_by: str | Sequence[str] | None = None, **asked: Unpack[CostFilter]
    ) -> AsyncIterator[CostRow]:
        """Sum up the last 30 days, or the days asked for, by up to five dimensions: `project`,
        `apiKey`, `member`, `model`, `provider`, `operation`, `endUser`, `sku`, `tag:<name>`."""
        return self.each(CostRow, "/billing/costs", {"group_by": group_by, **asked})

    async def forecast(self, *, currency: str | None = None) -> Forecast:
        """Say how long credit will last."""
        return await self._get(Forecast, "/billing/forecast", {"currency": currency})

    async def usage_analytics(
        self,
        *,
        lookback: str | None = None,
        start_date: date | str | None = None,
        end_date: date | str | None = None,
    ) -> UsageAnalytics:
        """For `lookback` (`7d`) up to today, or from day to day, both included."""
        asked = {"lookback": lookback, "start_date": start_date, "end_date": end_date}
        return await self._get(UsageAnalytics, "/billing/usage-analytics", asked)

    async def export(
        self,
        kind: str,
        file: BinaryIO,
        *,
        start: datetime | str | None = None,
        end: datetime | str | None = None,
        format: str = "csv",  # noqa: A002 (the API's own word)
    ) -> int:
        """Write all `usage`, `entries` or `invoices` of a time into `file`, as `csv` or `ndjson`.

        Returns how many bytes they are. `start` and `end` (exclusive) are moments.
        """
        asked = {"from": start, "to": end, "format": format}
        return await self.download(below("/billing/exports", kind), file, asked)

    def budgets(self) -> AsyncIterator[Budget]:
        return self.each(Budget, "/budgets")

    async def create_budget(
        self, name: str, amount: Amount, period: str, **terms: Unpack[BudgetTerms]
    ) -> Budget:
        """`period` is `minute`, `hour`, `day`, `week`, `month`, `billing_cycle` or `lifetime`."""
        said = {"name": name, "amount": amount, "period": period, **terms}
        return await self._post(Budget, "/budgets", said)

    async def get_budget(self, budget_id: str) -> Budget:
        return await self._get(Budget, below("/budgets", budget_id))

    async def update_budget(self, budget_id: str, **change: Unpack[BudgetEdit]) -> Budget:
        """What has been used stays used."""
        return await self.request(Budget, "PATCH", below("/budgets", budget_id), change)

    async def remove_budget(self, budget_id: str) -> None:
        await self.request(NoneType, "DELETE", below("/budgets", budget_id))

    async def reset_budget(self, budget_id: str, *, subject: str | None = None) -> Budget:
        """Count anew from now on; of one `subject` only, where each is counted apart."""
        path = below("/budgets", budget_id, "/reset")
        return await self._post(Budget, path, {"subject": subject})

    def budget_counters(self, budget_id: str) -> AsyncIterator[BudgetCounter]:
        """What a budget with `each` has counted, by subject."""
        return self.each(BudgetCounter, below("/budgets", budget_id, "/counters"))

    async def plans(self) -> list[Plan]:
        """All that are sold."""
        return (await self._get(Page[Plan], "/plans")).data

    async def allowances(self) -> Allowances:
        """What is left of the plan in this cycle."""
        return await self._get(Allowances, "/allowances")

    async def subscription(self) -> CurrentPlan:
        return await self._get(CurrentPlan, _SUBSCRIPTION)

    async def subscribe(
        self,
        plan: str,
        *,
        payment_method: str | None = None,
        return_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> PlanFee:
        """By the default payment method, unless another is to become it."""
        said = {"plan": plan, "payment_method_id": payment_method, "return_url": return_url}
        return await self._post(PlanFee, _SUBSCRIPTION, said, idempotency_key)

    async def change_plan(
        self,
        plan: str,
        *,
        payment_method: str | None = None,
        return_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> PlanFee:
        """To a dearer one at once, to a cheaper one with the next period."""
        said = {"plan": plan, "payment_method_id": payment_method, "return_url": return_url}
        return await self.request(
            PlanFee, "PATCH", _SUBSCRIPTION, said, idempotency_key=idempotency_key
        )

    async def cancel_plan(self, *, now: bool = False) -> PlanFee:
        """At the end of what is paid, or `now`."""
        return await self.request(PlanFee, "DELETE", _SUBSCRIPTION, query={"now": now})

    async def redeem(self, code: str, *, idempotency_key: str | None = None) -> Redeemed:
        """Take the credit of a code, once."""
        return await self._post(Redeemed, "/billing/redemptions", {"code": code}, idempotency_key)
