"""Where the tour stops, in order: the page, what else it is shown in, and what is said of it."""

from __future__ import annotations

from typing import Final, NamedTuple


class Stop(NamedTuple):
    """`path` lies below `/console`; `kinds` are pictures beside the one in the light. Stops
    without a path are come to by what somebody does, see make.py."""

    name: str
    path: str
    kinds: str
    said: str


ARRIVING: Final = (
    Stop(
        "first-run", "", "", "The first start prints a link; who opens it makes the first account."
    ),
    Stop("sign-in", "", "phone", "Afterwards people sign in, with a password or at your provider."),
)
CUSTOMER: Final = (
    Stop(
        "credits",
        "credits",
        "dark phone",
        "What is left, how long it will last, what came and went.",
    ),
    Stop(
        "add-credits", "credits/add", "phone", "The total follows what is typed, with fee and tax."
    ),
    Stop("purchase", "", "dark", "The credit is there at once, and so is the invoice."),
    Stop(
        "auto-top-up", "auto-top-up", "phone", "A sentence says what will happen, before it does."
    ),
    Stop("payment-methods", "payment-methods", "", "Cards, kept by the payment processor."),
    Stop("transactions", "transactions", "dark phone", "Every purchase with its invoice."),
    Stop("invoices", "invoices", "", "Invoices, credit notes and monthly statements."),
    Stop(
        "billing-profile", "billing-profile", "", "Who invoices are made out to, and their tax IDs."
    ),
    Stop(
        "analytics",
        "analytics",
        "dark phone",
        "What calls cost over time; a bar leads to its calls.",
    ),
    Stop(
        "usage", "usage", "dark phone", "Each call with its cost, filtered, live, and to download."
    ),
    Stop("record", "", "phone", "How a cost came about: units, price version, formula."),
    Stop("limits", "limits", "", "Budgets for projects, keys, models and end users."),
    Stop(
        "plan", "plan", "dark", "What the plan includes, what is used of it, and what others cost."
    ),
    Stop("playground", "", "dark phone", "A chat that says what each answer cost."),
    Stop("keys", "keys", "phone", "Keys with their limits."),
    Stop("key-new", "keys/new", "", "A key may have limits of its own."),
    Stop("key-made", "", "dark", "Its secret is shown once."),
    Stop("projects", "projects", "", "Projects share one balance."),
    Stop("members", "members", "", "Who may see and do what."),
    Stop("notifications", "notifications", "", "What happened, and who is mailed about it."),
    Stop("webhooks", "webhooks", "", "Your servers hear of it, too."),
    Stop("webhook", "", "dark", "Every delivery, and what was answered; sent again by a button."),
    Stop("confirm", "", "", "What destroys asks for the name."),
)
AT_THE_END: Final = (
    Stop("low-balance", "credits", "", "Credit that is nearly gone says so on every page."),
    Stop("out-of-credits", "", "dark phone", "When it is gone, the chat says what to do."),
    Stop("no-money", "credits", "", "Members do not see money."),
    Stop("not-found", "nowhere", "", "A page that is not there."),
)
STAFF: Final = (
    Stop(
        "overview",
        "staff/overview?mode=test",
        "dark phone",
        "What needs you, what was sold, who spends most.",
    ),
    Stop("checks", "staff/overview/checks?mode=test", "", "Whether the books add up."),
    Stop(
        "earned",
        "staff/overview/earned?mode=test",
        "",
        "What was deferred, earned and lapsed, month by month.",
    ),
    Stop(
        "organizations",
        "staff/organizations?mode=test",
        "dark phone",
        "Every customer, found by name, person or key.",
    ),
    Stop(
        "organization",
        "",
        "dark",
        "One of them: balances, people, purchases, and what can be done.",
    ),
    Stop("grants", "staff/grants", "", "Credit that is given again each month, and by codes."),
    Stop("refunds", "staff/refunds", "", "Money that went back."),
    Stop("disputes", "staff/disputes", "", "Payments that banks take back."),
    Stop("plans", "staff/plans", "", "What is sold by the month."),
    Stop("prices", "staff/prices", "phone", "The price book: dated facts with their source."),
    Stop("price", "", "", "Every version of a price."),
    Stop("price-change", "", "dark", "What would change is seen before it does."),
    Stop("providers", "staff/providers", "", "Whose models are sold."),
    Stop("jobs", "staff/jobs", "", "Work in the background."),
    Stop("inbox", "staff/inbox", "", "What the payment processor told us."),
    Stop("audit", "staff/audit", "dark phone", "Who did what, when, and why."),
    Stop("settings", "staff/settings", "", "What this process runs with."),
    Stop("staff", "staff/staff", "", "Your team."),
    Stop("account", "account", "", "Where you are signed in."),
    Stop("design", "staff/design", "dark phone", "What all of these pages are made of."),
)
PARTS: Final = (
    ("Arriving", ARRIVING),
    ("What customers see", CUSTOMER),
    ("When credit ends, and what is not for everybody", AT_THE_END),
    ("What your team sees", STAFF),
)
