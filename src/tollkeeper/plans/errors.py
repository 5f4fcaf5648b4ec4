"""What goes wrong with plans."""

from __future__ import annotations

from tollkeeper.base.errors import TollkeeperError


class PlanNotFound(TollkeeperError):
    """There is no such plan"""

    code = "plan_not_found"
    status = 404


class PlanRetired(TollkeeperError):
    """This plan is not sold any more"""

    code = "plan_retired"
    status = 422


class PlanVersionConflict(TollkeeperError):
    """This plan has another version from that moment on, or a later one"""

    code = "plan_version_conflict"
    status = 422


class SubscriptionNotFound(TollkeeperError):
    """There is no subscription"""

    code = "subscription_not_found"
    status = 404


class AlreadySubscribed(TollkeeperError):
    """This organization has a plan already"""

    code = "already_subscribed"
    status = 409


class PlanBilled(TollkeeperError):
    """The payment processor bills this plan: it is changed and cancelled by its customer"""

    code = "plan_billed"
    status = 409


class AllowanceExhausted(TollkeeperError):
    """What the plan includes is used up"""

    code = "allowance_exhausted"
    status = 402


class CapacityExceeded(TollkeeperError):
    """The plan has no room for more"""

    code = "capacity_exceeded"
    status = 402
