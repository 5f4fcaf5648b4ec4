"""Written by `generate.py` from `account_async.py`: change that one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from tollkeeper_client.calling_sync import Calling
from tollkeeper_client.trying import below


class Account(Calling):
    def api_keys(self) -> Iterator[ApiKey]:
        return self.each(ApiKey, "/api-keys")

    def create_api_key(self, name: str, project_id: str, **terms: Unpack[KeyTerms]) -> NewApiKey:
        """Its `secret` is shown this once, and on a retry with the same Idempotency-Key."""
        said = {"name": name, "project_id": project_id, **terms}
        return self._post(NewApiKey, "/api-keys", said)

    def revoke_api_key(self, key_id: str) -> None:
        self.request(NoneType, "DELETE", below("/api-keys", key_id))

    def projects(self) -> Iterator[Project]:
        return self.each(Project, "/projects")

    def create_project(self, name: str) -> Project:
        return self._post(Project, "/projects", {"name": name})

    def members(self) -> Iterator[Member]:
        return self.each(Member, "/members")

    def notices(self, **asked: Unpack[NoticeFilter]) -> Iterator[Notice]:
        return self.each(Notice, "/notifications", asked)

    def webhooks(self) -> Iterator[Webhook]:
        return self.each(Webhook, "/webhooks")

    def create_webhook(
        self, url: str, *, types: Sequence[str] | None = None, description: str | None = None
    ) -> NewWebhook:
        """Without `types` it is told of everything. `secret` is what `verify_webhook` takes."""
        said = {"url": url, "types": types, "description": description}
        return self._post(NewWebhook, "/webhooks", said)

    def delete_webhook(self, webhook_id: str) -> None:
        self.request(NoneType, "DELETE", below("/webhooks", webhook_id))

    def deliveries(self, webhook_id: str, *, status: str | None = None) -> Iterator[Delivery]:
        path = below("/webhooks", webhook_id, "/deliveries")
        return self.each(Delivery, path, {"status": status})
