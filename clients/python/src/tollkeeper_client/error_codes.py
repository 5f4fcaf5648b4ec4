"""Written by `generate.py` from docs/reference/errors.md."""

from __future__ import annotations

from tollkeeper_client.errors import (
    Conflict,
    InvalidRequest,
    NotFound,
    PaymentRequired,
    RateLimited,
    TollkeeperError,
    Unavailable,
    Unprocessable,
)


class InvalidPrices(InvalidRequest):
    """A price file or a published price is not valid."""

    codes = ("invalid_prices",)


class UnboundedRequest(InvalidRequest):
    """Nothing limits what this request could cost."""

    codes = ("unbounded_request",)


class WebhookSignatureInvalid(InvalidRequest):
    """The signature of this webhook is not valid."""

    codes = ("webhook_signature_invalid",)


class AllowanceExhausted(PaymentRequired):
    """What the plan includes is used up."""

    codes = ("allowance_exhausted",)


class ApiKeySpendLimitExceeded(PaymentRequired):
    """This API key's spending limit is reached."""

    codes = ("api_key_spend_limit_exceeded",)


class CapacityExceeded(PaymentRequired):
    """The plan has no room for more."""

    codes = ("capacity_exceeded",)


class EndUserBudgetExceeded(PaymentRequired):
    """This end user's budget is reached."""

    codes = ("end_user_budget_exceeded",)


class MemberBudgetExceeded(PaymentRequired):
    """This member's budget is reached."""

    codes = ("member_budget_exceeded",)


class ModelBudgetExceeded(PaymentRequired):
    """The budget for this model is reached."""

    codes = ("model_budget_exceeded",)


class OrganizationBudgetExceeded(PaymentRequired):
    """The organization's budget is reached."""

    codes = ("organization_budget_exceeded",)


class ProjectBudgetExceeded(PaymentRequired):
    """This project's budget is reached."""

    codes = ("project_budget_exceeded",)


class ProviderBudgetExceeded(PaymentRequired):
    """The budget for this provider is reached."""

    codes = ("provider_budget_exceeded",)


class TagBudgetExceeded(PaymentRequired):
    """The budget for this tag is reached."""

    codes = ("tag_budget_exceeded",)


class BudgetNotFound(NotFound):
    """There is no such budget."""

    codes = ("budget_not_found",)


class CodeUnknown(NotFound):
    """There is no such code."""

    codes = ("code_unknown",)


class ModelNotFound(NotFound):
    """There is no such model here."""

    codes = ("model_not_found",)


class NoPaidSubscription(NotFound):
    """There is no subscription that is paid for."""

    codes = ("no_paid_subscription",)


class NotOffered(NotFound):
    """This endpoint, or this model through it, is not offered here."""

    codes = ("not_offered",)


class PlanNotFound(NotFound):
    """There is no such plan."""

    codes = ("plan_not_found",)


class SubscriptionNotFound(NotFound):
    """There is no subscription."""

    codes = ("subscription_not_found",)


class WebhookNotFound(NotFound):
    """There is no such webhook."""

    codes = ("webhook_not_found",)


class MethodNotAllowed(InvalidRequest):
    """This path does not take that method."""

    codes = ("method_not_allowed",)


class AlreadySubscribed(Conflict):
    """This organization has a plan already."""

    codes = ("already_subscribed",)


class AutoTopUpNeedsMethod(Conflict):
    """Auto top-up needs a payment method on file."""

    codes = ("auto_top_up_needs_method",)


class CodeAlreadyRedeemed(Conflict):
    """This organization has redeemed the code before."""

    codes = ("code_already_redeemed",)


class CodeExpired(Conflict):
    """The code can no longer be redeemed."""

    codes = ("code_expired",)


class CodeForNewOrganizations(Conflict):
    """The code is for new organizations."""

    codes = ("code_for_new_organizations",)


class CodeNotYetValid(Conflict):
    """The code cannot be redeemed yet."""

    codes = ("code_not_yet_valid",)


class CodeTaken(Conflict):
    """There is a campaign with this code already."""

    codes = ("code_taken",)


class CodeUsedUp(Conflict):
    """The code has been redeemed as often as it may be."""

    codes = ("code_used_up",)


class CreditNoteRefused(Conflict):
    """This document cannot be credited like that."""

    codes = ("credit_note_refused",)


class DemoRefused(Conflict):
    """This database is no place for a demo."""

    codes = ("demo_refused",)


class DuplicateMember(Conflict):
    """A member with this email address exists already."""

    codes = ("duplicate_member",)


class DuplicateOrganization(Conflict):
    """This organization was made before."""

    codes = ("duplicate_organization",)


class DuplicateProject(Conflict):
    """A project of this name exists already."""

    codes = ("duplicate_project",)


class LastOwner(Conflict):
    """An organization that has an owner keeps one."""

    codes = ("last_owner",)


class LastStaffAdmin(Conflict):
    """The staff must keep somebody who may act."""

    codes = ("last_staff_admin",)


class PaymentMethodInUse(Conflict):
    """This payment method is needed."""

    codes = ("payment_method_in_use",)


class PlanBilled(Conflict):
    """The payment processor bills this plan: it is changed and cancelled by its customer."""

    codes = ("plan_billed",)


class RefundRefused(Conflict):
    """This payment cannot be refunded like that."""

    codes = ("refund_refused",)


class RequestInProgress(Conflict):
    """A request with this idempotency key is still running."""

    codes = ("request_in_progress",)


class SubscriptionBusy(Conflict):
    """The subscription is being changed just now."""

    codes = ("subscription_busy",)


class SubscriptionExists(Conflict):
    """There is a subscription already."""

    codes = ("subscription_exists",)


class TooManyBudgets(Conflict):
    """There are as many budgets as an organization may have."""

    codes = ("too_many_budgets",)


class TooManyWebhooks(Conflict):
    """There are as many webhooks as an organization may have."""

    codes = ("too_many_webhooks",)


class WebhookDisabled(Conflict):
    """This webhook is switched off."""

    codes = ("webhook_disabled",)


class PayloadTooLarge(InvalidRequest):
    """The body is larger than this endpoint takes."""

    codes = ("payload_too_large",)


class UnsupportedMediaType(InvalidRequest):
    """The body is of a type this endpoint does not take."""

    codes = ("unsupported_media_type",)


class AlreadyReversed(Unprocessable):
    """This entry has been reversed before."""

    codes = ("already_reversed",)


class AnswerNotKept(Unprocessable):
    """The answer was too large to be kept."""

    codes = ("answer_not_kept",)


class BalanceTooLarge(Unprocessable):
    """The balance would become too large to keep."""

    codes = ("balance_too_large",)


class InvoiceCauseReused(Unprocessable):
    """This cause has already issued another document."""

    codes = ("invoice_cause_reused",)


class PaymentsNotConfigured(Unprocessable):
    """No payment processor is configured here."""

    codes = ("payments_not_configured",)


class PlanRetired(Unprocessable):
    """This plan is not sold any more."""

    codes = ("plan_retired",)


class PlanVersionConflict(Unprocessable):
    """This plan has another version from that moment on, or a later one."""

    codes = ("plan_version_conflict",)


class PriceVersionConflict(Unprocessable):
    """Another price is already published for this model and moment."""

    codes = ("price_version_conflict",)


class SourceReused(Unprocessable):
    """This cause has already posted another entry."""

    codes = ("source_reused",)


class SubscriptionFixed(Unprocessable):
    """A subscription cannot be changed like that."""

    codes = ("subscription_fixed",)


class RequestExceedsRateLimit(RateLimited):
    """One request asks for more than a minute allows."""

    codes = ("request_exceeds_rate_limit",)


class ClientLeft(TollkeeperError):
    """The client left, and the provider was not finished in time."""

    codes = ("client_left",)


class InternalError(Unavailable):
    """Something went wrong."""

    codes = ("internal_error",)


class StatementDoesNotAddUp(Unavailable):
    """The statement does not add up with the ledger."""

    codes = ("statement_does_not_add_up",)


class PaymentProcessorRefused(Unavailable):
    """The payment processor refuses this request."""

    codes = ("payment_processor_refused",)


class UpstreamBroken(Unavailable):
    """The provider broke off in the middle of its answer."""

    codes = ("upstream_broken",)


class UpstreamBrokenOff(Unavailable):
    """The provider broke off in the middle of its answer."""

    codes = ("upstream_broken_off",)


class UpstreamFailed(Unavailable):
    """The provider could not be reached, or did not answer."""

    codes = ("upstream_failed",)


class UpstreamInvalidAnswer(Unavailable):
    """The provider's answer could not be read."""

    codes = ("upstream_invalid_answer",)


class UpstreamNoAnswer(Unavailable):
    """The provider closed the connection without an answer."""

    codes = ("upstream_no_answer",)


class UpstreamTooLarge(Unavailable):
    """The provider's answer is larger than this gateway takes."""

    codes = ("upstream_too_large",)


class UpstreamUnreachable(Unavailable):
    """The provider could not be reached."""

    codes = ("upstream_unreachable",)


class CallTimeout(Unavailable):
    """The call took longer than calls may take here."""

    codes = ("call_timeout",)


class UpstreamTimeout(Unavailable):
    """The provider did not answer in time."""

    codes = ("upstream_timeout",)
