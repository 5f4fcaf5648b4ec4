"""What limits say no with: one code for each thing a budget can be about."""

from __future__ import annotations

from typing import Final

from tollkeeper.base.errors import NotFound, RateLimited, TollkeeperError
from tollkeeper.limits.model import Kind


class ApiKeySpendLimitExceeded(TollkeeperError):
    """This API key's spending limit is reached"""

    code = "api_key_spend_limit_exceeded"
    status = 402


class EndUserBudgetExceeded(TollkeeperError):
    """This end user's budget is reached"""

    code = "end_user_budget_exceeded"
    status = 402


class MemberBudgetExceeded(TollkeeperError):
    """This member's budget is reached"""

    code = "member_budget_exceeded"
    status = 402


class ProjectBudgetExceeded(TollkeeperError):
    """This project's budget is reached"""

    code = "project_budget_exceeded"
    status = 402


class ModelBudgetExceeded(TollkeeperError):
    """The budget for this model is reached"""

    code = "model_budget_exceeded"
    status = 402


class ProviderBudgetExceeded(TollkeeperError):
    """The budget for this provider is reached"""

    code = "provider_budget_exceeded"
    status = 402


class TagBudgetExceeded(TollkeeperError):
    """The budget for this tag is reached"""

    code = "tag_budget_exceeded"
    status = 402


class OrganizationBudgetExceeded(TollkeeperError):
    """The organization's budget is reached"""

    code = "organization_budget_exceeded"
    status = 402


class RequestExceedsRateLimit(TollkeeperError):
    """One request asks for more than a minute allows"""

    # Waiting does not help, so it is not retryable as its sibling, `rate_limit_exceeded`, is.
    code = "request_exceeds_rate_limit"
    status = 429


class BudgetNotFound(NotFound):
    """There is no such budget"""

    code = "budget_not_found"


class TooManyBudgets(TollkeeperError):
    """There are as many budgets as an organization may have"""

    code = "too_many_budgets"
    status = 409


EXCEEDED: Final[dict[Kind, type[TollkeeperError]]] = {
    Kind.API_KEY: ApiKeySpendLimitExceeded,
    Kind.END_USER: EndUserBudgetExceeded,
    Kind.MEMBER: MemberBudgetExceeded,
    Kind.PROJECT: ProjectBudgetExceeded,
    Kind.MODEL: ModelBudgetExceeded,
    Kind.PROVIDER: ProviderBudgetExceeded,
    Kind.TAG: TagBudgetExceeded,
    Kind.ORGANIZATION: OrganizationBudgetExceeded,
}

# What a call may hear.
REFUSALS: Final = (*EXCEEDED.values(), RequestExceedsRateLimit, RateLimited)
