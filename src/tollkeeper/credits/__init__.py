"""Money becomes credit."""

from tollkeeper.credits.buyers import buyer_of, keep_buyer
from tollkeeper.credits.errors import (
    AmountOutOfRange,
    AutoTopUpNeedsMethod,
    PaymentsNotConfigured,
    PurchaseInProgress,
)
from tollkeeper.credits.foretelling import foretelling_schedules
from tollkeeper.credits.granting import (
    CampaignOut,
    Ending,
    NewCampaign,
    NewRecurringGrant,
    RecurringGrantOut,
    RedemptionOut,
    Welcome,
    campaign_from,
    campaigns,
    give_to_newcomer,
    granting_chores,
    granting_routes,
    recurring,
    recurring_from,
)
from tollkeeper.credits.granting.store import each_period as given_each_period
from tollkeeper.credits.granting.store import list_campaigns as newest_campaigns
from tollkeeper.credits.granting.store import list_recurring as newest_recurring_grants
from tollkeeper.credits.granting.store import list_redemptions as newest_redemptions
from tollkeeper.credits.introducing import introduce_later, introduction_jobs
from tollkeeper.credits.model import (
    Buyer,
    Order,
    Origin,
    Price,
    Purchase,
    PurchaseRules,
    PurchaseStatus,
    PurchaseSucceeded,
    Shop,
    tax_on,
)
from tollkeeper.credits.opening import open_shop
from tollkeeper.credits.purchases import begin_purchase, buy, find_purchase, purchase_of
from tollkeeper.credits.purchases import cancel as cancel_purchase
from tollkeeper.credits.purchases import resume as resume_purchase
from tollkeeper.credits.reconciling import (
    Difference,
    Reconciliation,
    ReconciliationOut,
    Window,
    compare_as_usual,
    reconcile,
    reconciliation_chores,
    reconciliation_routes,
    reconciliation_schedules,
    usual_window,
)
from tollkeeper.credits.reconciling.store import last_of_each as last_reconciliations
from tollkeeper.credits.reconciling.store import newest as newest_reconciliations
from tollkeeper.credits.returning import (
    Refundable,
    RefundOrder,
    begin_refund,
    read_refundable,
)
from tollkeeper.credits.revenue import (
    RevenueMonth,
    months_of,
    read_month,
    revenue,
    revenue_routes,
    revenue_rows,
)
from tollkeeper.credits.routes import list_purchases, purchase_routes
from tollkeeper.credits.shapes import PurchaseOut
from tollkeeper.credits.store import Sold, sold, wallets_bought_for
from tollkeeper.credits.store import page as newest_purchases
from tollkeeper.credits.topping_up.acts import TopUps
from tollkeeper.credits.topping_up.model import TopUp, TopUpState
from tollkeeper.credits.topping_up.opening import open_top_ups, top_up_jobs, top_up_pages
from tollkeeper.credits.topping_up.routes import top_up_routes
from tollkeeper.credits.topping_up.setting import (
    AutoTopUp,
    NewAutoTopUp,
    foresee_top_up,
    recovery_link,
    set_top_up,
    show_top_up,
)
from tollkeeper.credits.topping_up.store import failing as failing_top_ups
from tollkeeper.credits.topping_up.store import read as read_top_up
from tollkeeper.credits.topping_up.watching import top_up_chores
from tollkeeper.credits.transactions import Transaction, transaction_of
from tollkeeper.credits.watching_store import Buying, watch_purchases

__all__ = [
    "AmountOutOfRange",
    "AutoTopUp",
    "AutoTopUpNeedsMethod",
    "Buyer",
    "Buying",
    "CampaignOut",
    "Difference",
    "Ending",
    "NewAutoTopUp",
    "NewCampaign",
    "NewRecurringGrant",
    "Order",
    "Origin",
    "PaymentsNotConfigured",
    "Price",
    "Purchase",
    "PurchaseInProgress",
    "PurchaseOut",
    "PurchaseRules",
    "PurchaseStatus",
    "PurchaseSucceeded",
    "Reconciliation",
    "ReconciliationOut",
    "RecurringGrantOut",
    "RedemptionOut",
    "RefundOrder",
    "Refundable",
    "RevenueMonth",
    "Shop",
    "Sold",
    "TopUp",
    "TopUpState",
    "TopUps",
    "Transaction",
    "Welcome",
    "Window",
    "begin_purchase",
    "begin_refund",
    "buy",
    "buyer_of",
    "campaign_from",
    "campaigns",
    "cancel_purchase",
    "compare_as_usual",
    "failing_top_ups",
    "find_purchase",
    "foresee_top_up",
    "foretelling_schedules",
    "give_to_newcomer",
    "given_each_period",
    "granting_chores",
    "granting_routes",
    "introduce_later",
    "introduction_jobs",
    "keep_buyer",
    "last_reconciliations",
    "list_purchases",
    "months_of",
    "newest_campaigns",
    "newest_purchases",
    "newest_reconciliations",
    "newest_recurring_grants",
    "newest_redemptions",
    "open_shop",
    "open_top_ups",
    "purchase_of",
    "purchase_routes",
    "read_month",
    "read_refundable",
    "read_top_up",
    "reconcile",
    "reconciliation_chores",
    "reconciliation_routes",
    "reconciliation_schedules",
    "recovery_link",
    "recurring",
    "recurring_from",
    "resume_purchase",
    "revenue",
    "revenue_routes",
    "revenue_rows",
    "set_top_up",
    "show_top_up",
    "sold",
    "tax_on",
    "top_up_chores",
    "top_up_jobs",
    "top_up_pages",
    "top_up_routes",
    "transaction_of",
    "usual_window",
    "wallets_bought_for",
    "watch_purchases",
]
