"""What can go wrong with money outside, each in one sentence for the customer."""

from __future__ import annotations

from tollkeeper.base.errors import InvalidRequest, NotFound, TollkeeperError, Unavailable


class PaymentsNotConfigured(TollkeeperError):
    """No payment processor is configured here"""

    code = "payments_not_configured"
    status = 422


class ProcessorUnavailable(Unavailable):
    """The payment processor does not answer just now"""

    code = "payment_processor_unavailable"


class ProcessorRefused(TollkeeperError):
    """The payment processor refuses this request"""

    # Not the customer's fault, and not mended by asking again: our key, our settings, our request.
    code = "payment_processor_refused"
    status = 502


class PaymentMethodNotFound(NotFound):
    """There is no such payment method"""

    code = "payment_method_not_found"


class PaymentMethodDeclined(TollkeeperError):
    """This payment method cannot be used"""

    code = "payment_method_declined"
    status = 422


class PaymentMethodInUse(TollkeeperError):
    """This payment method is needed"""

    code = "payment_method_in_use"
    status = 409


class SubscriptionExists(TollkeeperError):
    """There is a subscription already"""

    code = "subscription_exists"
    status = 409


class NoPaidSubscription(NotFound):
    """There is no subscription that is paid for"""

    code = "no_paid_subscription"


class SubscriptionBusy(TollkeeperError):
    """The subscription is being changed just now"""

    code = "subscription_busy"
    status = 409


class SubscriptionFixed(TollkeeperError):
    """A subscription cannot be changed like that"""

    code = "subscription_fixed"
    status = 422


class RefundRefused(TollkeeperError):
    """This payment cannot be refunded like that"""

    code = "refund_refused"
    status = 409


class WebhookSignatureInvalid(InvalidRequest):
    """The signature of this webhook is not valid"""

    code = "webhook_signature_invalid"
