"""Money in the outside world: processors, payment methods, payments, refunds, disputes, events."""

from tollkeeper.payments.errors import (
    PaymentMethodDeclined,
    PaymentMethodInUse,
    PaymentMethodNotFound,
    PaymentsNotConfigured,
    ProcessorRefused,
    ProcessorUnavailable,
    RefundRefused,
    WebhookSignatureInvalid,
)
from tollkeeper.payments.handlers import Handlers
from tollkeeper.payments.inbox.handling import Which, catch_up, handle_pending, replay
from tollkeeper.payments.inbox.store import EventState
from tollkeeper.payments.inbox.store import newest as newest_events
from tollkeeper.payments.landing import BILLING_PATH, plain_page
from tollkeeper.payments.methods.customers import describe as describe_customer
from tollkeeper.payments.methods.customers import ensure as customer_ref
from tollkeeper.payments.methods.keeping import (
    Owner,
    add_by_token,
    default_method,
    expiring_methods,
    get_method,
    list_methods,
)
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
    payments_of,
    payments_settled,
    read_payments,
    refunds_of,
)
from tollkeeper.payments.till import Till
from tollkeeper.payments.unfinished import settle_unfinished

__all__ = [
    "BILLING_PATH",
    "AmountNotPayable",
    "Chore",
    "EventState",
    "Handlers",
    "NewRefund",
    "Owner",
    "PaymentMethodDeclined",
    "PaymentMethodInUse",
    "PaymentMethodNotFound",
    "Payments",
    "PaymentsNotConfigured",
    "ProcessorRefused",
    "ProcessorUnavailable",
    "RefundRefused",
    "Till",
    "WebhookSignatureInvalid",
    "Which",
    "add_by_token",
    "ask",
    "ask_refund",
    "cancel",
    "catch_up",
    "charge",
    "customer_ref",
    "default_method",
    "describe_customer",
    "disputes_of",
    "expiring_methods",
    "get_method",
    "get_payment",
    "get_refund",
    "handle_pending",
    "intend_payment",
    "intend_refund",
    "list_methods",
    "newest_disputes",
    "newest_events",
    "open_page",
    "open_payments",
    "payments_of",
    "payments_settled",
    "plain_page",
    "read_payments",
    "refund",
    "refunds_of",
    "replay",
    "resume",
    "settle_unfinished",
    "show_minor",
    "to_minor",
    "to_nanos",
]
