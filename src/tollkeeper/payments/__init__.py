"""Money in the outside world: processors, payment methods, payments, refunds, disputes, events."""

from tollkeeper.payments.errors import (
    NoPaidSubscription,
    PaymentMethodDeclined,
    PaymentMethodInUse,
    PaymentMethodNotFound,
    PaymentsNotConfigured,
    ProcessorRefused,
    ProcessorUnavailable,
    RefundRefused,
    SubscriptionBusy,
    SubscriptionExists,
    SubscriptionFixed,
    WebhookSignatureInvalid,
)
from tollkeeper.payments.handlers import Handlers
from tollkeeper.payments.inbox.handling import Which, catch_up, handle_pending, replay, replay_in
from tollkeeper.payments.inbox.store import EventState
from tollkeeper.payments.inbox.store import find as find_event
from tollkeeper.payments.inbox.store import newest as newest_events
from tollkeeper.payments.landing import BILLING_PATH, land, plain_page
from tollkeeper.payments.methods.customers import describe as describe_customer
from tollkeeper.payments.methods.customers import ensure as customer_ref
from tollkeeper.payments.methods.keeping import (
    Owner,
    add_by_token,
    default_method,
    expiring_methods,
    get_method,
    list_methods,
    make_default,
    open_setup_page,
    portal_link,
)
from tollkeeper.payments.methods.keeping import remove as remove_method
from tollkeeper.payments.methods.keeping import sync as sync_methods
from tollkeeper.payments.minor import AmountNotPayable, show_minor, to_minor, to_nanos
from tollkeeper.payments.opening import Chore, Payments, open_payments
from tollkeeper.payments.paying import (
    ask,
    cancel,
    charge,
    get_payment,
    intend_payment,
    open_page,
    resume,
)
from tollkeeper.payments.refunding import (
    NewRefund,
    ask_refund,
    get_refund,
    intend_refund,
    refund,
)
from tollkeeper.payments.store import (
    disputes_of,
    newest_disputes,
    newest_refunds,
    payments_of,
    payments_settled,
    read_payments,
    refunds_of,
)
from tollkeeper.payments.subscribing.acting import (
    check_change,
    get_subscription,
    intend_act,
    intend_change,
    intend_subscription,
    pursue,
)
from tollkeeper.payments.subscribing.store import fees_of as subscription_fees
from tollkeeper.payments.subscribing.store import lock_open as lock_subscription
from tollkeeper.payments.subscribing.store import overdue as overdue_subscriptions
from tollkeeper.payments.subscribing.store import read_open as open_subscription
from tollkeeper.payments.subscription import (
    FeePaid,
    Interval,
    NewSubscription,
    Price,
    Subscription,
    SubscriptionAct,
    SubscriptionChanged,
    SubscriptionFeePaid,
    SubscriptionStatus,
)
from tollkeeper.payments.till import Till
from tollkeeper.payments.unfinished import settle_unfinished

__all__ = [
    "BILLING_PATH",
    "AmountNotPayable",
    "Chore",
    "EventState",
    "FeePaid",
    "Handlers",
    "Interval",
    "NewRefund",
    "NewSubscription",
    "NoPaidSubscription",
    "Owner",
    "PaymentMethodDeclined",
    "PaymentMethodInUse",
    "PaymentMethodNotFound",
    "Payments",
    "PaymentsNotConfigured",
    "Price",
    "ProcessorRefused",
    "ProcessorUnavailable",
    "RefundRefused",
    "Subscription",
    "SubscriptionAct",
    "SubscriptionBusy",
    "SubscriptionChanged",
    "SubscriptionExists",
    "SubscriptionFeePaid",
    "SubscriptionFixed",
    "SubscriptionStatus",
    "Till",
    "WebhookSignatureInvalid",
    "Which",
    "add_by_token",
    "ask",
    "ask_refund",
    "cancel",
    "catch_up",
    "charge",
    "check_change",
    "customer_ref",
    "default_method",
    "describe_customer",
    "disputes_of",
    "expiring_methods",
    "find_event",
    "get_method",
    "get_payment",
    "get_refund",
    "get_subscription",
    "handle_pending",
    "intend_act",
    "intend_change",
    "intend_payment",
    "intend_refund",
    "intend_subscription",
    "land",
    "list_methods",
    "lock_subscription",
    "make_default",
    "newest_disputes",
    "newest_events",
    "newest_refunds",
    "open_page",
    "open_payments",
    "open_setup_page",
    "open_subscription",
    "overdue_subscriptions",
    "payments_of",
    "payments_settled",
    "plain_page",
    "portal_link",
    "pursue",
    "read_payments",
    "refund",
    "refunds_of",
    "remove_method",
    "replay",
    "replay_in",
    "resume",
    "settle_unfinished",
    "show_minor",
    "subscription_fees",
    "sync_methods",
    "to_minor",
    "to_nanos",
]
