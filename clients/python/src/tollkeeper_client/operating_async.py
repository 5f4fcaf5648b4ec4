"""What operators ask with theirs. `operating_sync.py` is written from this file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Unpack

from tollkeeper_client.answers import Purchase
from tollkeeper_client.answers_billing import Invoice
from tollkeeper_client.answers_operator import (
    AuditEntry,
    Dispute,
    NewOrganization,
    Organization,
    Posted,
    Refund,
    WalletBalance,
    WalletBalances,
)
from tollkeeper_client.asking import Amount, GrantTerms, OnBalance
from tollkeeper_client.selling_async import ORGANIZATIONS, AsyncSelling
from tollkeeper_client.trying import below


class AsyncOperator(AsyncSelling):
    """Every act is written into the audit log, with its `reason`."""

    def organizations(self) -> AsyncIterator[Organization]:
        return self._toll.each(Organization, ORGANIZATIONS)

    async def get_organization(self, organization_id: str) -> Organization:
        path = below(ORGANIZATIONS, organization_id)
        return await self._toll.request(Organization, "GET", path)

    async def create_organization(
        self,
        name: str,
        *,
        project_name: str | None = None,
        reason: str | None = None,
        idempotency_key: str | None = None,
    ) -> NewOrganization:
        """With a project and an ADMIN key, whose `secret` is shown this once."""
        said = {"name": name, "project_name": project_name, "reason": reason}
        return await self._toll.request(
            NewOrganization, "POST", ORGANIZATIONS, said, idempotency_key=idempotency_key
        )

    async def balances(self, organization_id: str) -> list[WalletBalance]:
        path = below(ORGANIZATIONS, organization_id, "/balances")
        return (await self._toll.request(WalletBalances, "GET", path)).data

    async def grant(
        self,
        organization_id: str,
        amount: Amount,
        reason: str,
        *,
        idempotency_key: str | None = None,
        **terms: Unpack[GrantTerms],
    ) -> Posted:
        """Give credit, for ever or until `expires_at`."""
        said = {"amount": amount, "reason": reason, **terms}
        return await self._post(Posted, organization_id, "/grants", said, idempotency_key)

    async def adjust(
        self,
        organization_id: str,
        amount: Amount,
        reason: str,
        *,
        idempotency_key: str | None = None,
        **balance: Unpack[OnBalance],
    ) -> Posted:
        """Correct a balance, upwards or with a negative amount downwards."""
        said = {"amount": amount, "reason": reason, **balance}
        return await self._post(Posted, organization_id, "/adjustments", said, idempotency_key)

    async def refund_usage(
        self,
        organization_id: str,
        amount: Amount,
        reason: str,
        *,
        lot_id: str | None = None,
        idempotency_key: str | None = None,
        **balance: Unpack[OnBalance],
    ) -> Posted:
        """Give credit back that was spent; money goes back by `refund_purchase`."""
        said = {"amount": amount, "reason": reason, "lot_id": lot_id, **balance}
        return await self._post(Posted, organization_id, "/refunds", said, idempotency_key)

    async def refund_purchase(
        self,
        organization_id: str,
        purchase_id: str,
        reason: str,
        *,
        amount: Amount | None = None,
        force: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Refund:
        """Pay money back by the way it came: all that can be, or `amount`."""
        said = {"reason": reason, "amount": amount, "force": force}
        act = below("/purchases", purchase_id, "/refunds")
        return await self._post(Refund, organization_id, act, said, idempotency_key)

    async def set_overdraft(
        self, organization_id: str, amount: Amount, reason: str, **balance: Unpack[OnBalance]
    ) -> WalletBalance:
        path = below(ORGANIZATIONS, organization_id, "/overdraft")
        said = {"amount": amount, "reason": reason, **balance}
        return await self._toll.request(WalletBalance, "PUT", path, said)

    async def freeze(
        self, organization_id: str, reason: str, **balance: Unpack[OnBalance]
    ) -> WalletBalance:
        """Stop all spending of a balance until `unfreeze`."""
        said = {"reason": reason, **balance}
        return await self._post(WalletBalance, organization_id, "/freeze", said)

    async def unfreeze(
        self, organization_id: str, reason: str, **balance: Unpack[OnBalance]
    ) -> WalletBalance:
        said = {"reason": reason, **balance}
        return await self._post(WalletBalance, organization_id, "/unfreeze", said)

    def purchases(self, organization_id: str, *, livemode: bool = True) -> AsyncIterator[Purchase]:
        path = below(ORGANIZATIONS, organization_id, "/purchases")
        return self._toll.each(Purchase, path, {"livemode": livemode})

    def invoices(self, organization_id: str) -> AsyncIterator[Invoice]:
        return self._toll.each(Invoice, below(ORGANIZATIONS, organization_id, "/invoices"))

    def disputes(self, *, status: str | None = None) -> AsyncIterator[Dispute]:
        return self._toll.each(Dispute, "/operator/disputes", {"status": status})

    def audit_log(self) -> AsyncIterator[AuditEntry]:
        return self._toll.each(AuditEntry, "/operator/audit-log")
