"""Plans that are paid for: the processor bills their fees, and plans follow what is paid."""

from tollkeeper.subscriptions.choosing import Effect, Prospect, foresee
from tollkeeper.subscriptions.following import end_overdue, hear_of_subscriptions
from tollkeeper.subscriptions.model import FeeDesk, Subscriber, Wish, plan_of, product_of
from tollkeeper.subscriptions.opening import desk_of, subscription_chores
from tollkeeper.subscriptions.routes import subscription_routes
from tollkeeper.subscriptions.subscribing import cancel, change, subscribe

__all__ = [
    "Effect",
    "FeeDesk",
    "Prospect",
    "Subscriber",
    "Wish",
    "cancel",
    "change",
    "desk_of",
    "end_overdue",
    "foresee",
    "hear_of_subscriptions",
    "plan_of",
    "product_of",
    "subscribe",
    "subscription_chores",
    "subscription_routes",
]
