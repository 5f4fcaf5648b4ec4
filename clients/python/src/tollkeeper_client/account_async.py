"""What an organization has beside credit. `account_sync.py` is written from this file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from types import NoneType
from typing import Unpack

from tollkeeper_client.answers_account import (
    ApiKey,
    Delivery,
    Member,
    NewApiKey,
    NewWebhook,
    Notice,
    Project,
    Webhook,
)
from tollkeeper_client.asking import KeyTerms, NoticeFilter
from tollkeeper_client.calling_async import AsyncCalling
from tollkeeper_client.trying import below


class AsyncAccount(AsyncCalling):
    def api_keys(self) -> AsyncIterator[ApiKey]:
        return self.each(ApiKey, "/api-keys")

    async def create_api_key(
        self, name: str, project_id: str, **terms: Unpack[KeyTerms]
    ) -> NewApiKey:
        """Its `secret` is shown this once, and on a retry with the same Idempotency-Key."""
        said = {"name": name, "project_id": project_id, **terms}
        return await self._post(NewApiKey, "/api-keys", said)

    async def revoke_api_key(self, key_id: str) -> None:
        await self.request(NoneType, "DELETE", below("/api-keys", key_id))

    def projects(self) -> AsyncIterator[Project]:
        return self.each(Project, "/projects")

    async def create_project(self, name: str) -> Project:
        return await self._post(Project, "/projects", {"name": name})

    def members(self) -> AsyncIterator[Member]:
        return self.each(Member, "/members")

    def notices(self, **asked: Unpack[NoticeFilter]) -> AsyncIterator[Notice]:
        return self.each(Notice, "/notifications", asked)

    def webhooks(self) -> AsyncIterator[Webhook]:
        return self.each(Webhook, "/webhooks")

    async def create_webhook(
        self, url: str, *, types: Sequence[str] | None = None, description: str | None = None
    ) -> NewWebhook:
        """Without `types` it is told of everything. `secret` is what `verify_webhook` takes."""
        said = {"url": url, "types": types, "description": description}
        return await self._post(NewWebhook, "/webhooks", said)

    async def delete_webhook(self, webhook_id: str) -> None:
        await self.request(NoneType, "DELETE", below("/webhooks", webhook_id))

    def deliveries(self, webhook_id: str, *, status: str | None = None) -> AsyncIterator[Delivery]:
        path = below("/webhooks", webhook_id, "/deliveries")
        return self.each(Delivery, path, {"status": status})
