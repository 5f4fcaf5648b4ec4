"""Names, places and people. None of them exists; the domains are reserved for examples."""

from __future__ import annotations

from typing import Final, NamedTuple


class Home(NamedTuple):
    """Where an organization is: its address as profiles take it, and how far its day is off."""

    address: dict[str, str]
    tax_id: tuple[str, str] | None
    hours_from_utc: int


HOMES: Final = (
    Home(
        {
            "country": "US",
            "line1": "548 Market Street",
            "city": "San Francisco",
            "state": "CA",
            "postalCode": "94104",
        },
        None,
        -8,
    ),
    Home(
        {"country": "DE", "line1": "Torstraße 140", "city": "Berlin", "postalCode": "10119"},
        ("eu_vat", "DE136695976"),
        1,
    ),
    Home(
        {
            "country": "US",
            "line1": "230 Park Avenue",
            "city": "New York",
            "state": "NY",
            "postalCode": "10169",
        },
        None,
        -5,
    ),
    Home(
        {
            "country": "NL",
            "line1": "Keizersgracht 391",
            "city": "Amsterdam",
            "postalCode": "1016 EJ",
        },
        ("eu_vat", "NL004495445B01"),
        1,
    ),
    Home(
        {
            "country": "IE",
            "line1": "4 Grand Canal Square",
            "city": "Dublin",
            "postalCode": "D02 X525",
        },
        ("eu_vat", "IE6433435F"),
        0,
    ),
    Home(
        {
            "country": "AU",
            "line1": "11 York Street",
            "city": "Sydney",
            "state": "NSW",
            "postalCode": "2000",
        },
        ("au_abn", "83914571673"),
        10,
    ),
    Home(
        {"country": "FR", "line1": "58 rue de Rivoli", "city": "Paris", "postalCode": "75004"},
        None,
        1,
    ),
)

FIRST_WORDS: Final = (
    "Acorn", "Bluefin", "Cedar", "Driftwood", "Ember", "Fathom", "Granite", "Harbor", "Inkwell",
    "Juniper", "Kestrel", "Lantern", "Meridian", "Northgate", "Orchard", "Pinecone", "Quill",
    "Riverbend", "Saltmarsh", "Thimble", "Umbra", "Verdant", "Willow", "Yarrow", "Zephyr",
)  # fmt: skip
SECOND_WORDS: Final = (
    "Analytics", "Care", "Commerce", "Desk", "Foods", "Health", "Labs", "Legal", "Logistics",
    "Media", "Robotics", "Software", "Studio", "Systems", "Travel", "Works",
)  # fmt: skip
GIVEN_NAMES: Final = (
    "Ada", "Amara", "Ben", "Chloe", "Dario", "Elif", "Farah", "Grace", "Hugo", "Ines", "Jonas",
    "Keiko", "Liam", "Mina", "Noah", "Olga", "Priya", "Quentin", "Rosa", "Sofia", "Tomas", "Uma",
    "Viktor", "Wanda", "Yusuf", "Zoe",
)  # fmt: skip
FAMILY_NAMES: Final = (
    "Abbott", "Brandt", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Haddad", "Ito",
    "Jensen", "Kowalski", "Larsen", "Moreau", "Novak", "Okafor", "Patel", "Quinn", "Rossi",
    "Schmidt", "Tanaka", "Ueda", "Vargas", "Weber", "Yilmaz", "Zhang",
)  # fmt: skip
PROJECTS: Final = ("Production", "Staging", "Research", "Mobile app", "Back office")
FEATURES: Final = ("answers", "search", "summaries", "drafts", "triage")
PROMPTS: Final = (
    "Where is my order?",
    "Summarize this conversation for the next agent.",
    "Draft a friendly reply to the customer.",
    "Classify this ticket by urgency.",
    "Extract the invoice number, date and total.",
    "Translate the paragraph into German.",
    "Which of these clauses limits our liability?",
    "Write three subject lines for this newsletter.",
    "Explain the failing test and suggest a fix.",
    "Find the cheapest flight under these conditions.",
)
