"""The pages of customers, the links that lead to them, and who is signed in."""

from tollkeeper.console.customer.live_page import open_live
from tollkeeper.console.doors import Door
from tollkeeper.console.live import Live
from tollkeeper.console.model import Link, Pass
from tollkeeper.console.opening import console_pages, door_of
from tollkeeper.console.policies import with_policies
from tollkeeper.console.portal_routes import portal_routes
from tollkeeper.console.sessions import make_link
from tollkeeper.console.shelves import Shelves
from tollkeeper.console.signing_in.links.making import first_run_or_sign_in
from tollkeeper.console.signing_in.opening import signing_in_jobs
from tollkeeper.console.theme import Theme, read_theme

__all__ = [
    "Door",
    "Link",
    "Live",
    "Pass",
    "Shelves",
    "Theme",
    "console_pages",
    "door_of",
    "first_run_or_sign_in",
    "make_link",
    "open_live",
    "portal_routes",
    "read_theme",
    "signing_in_jobs",
    "with_policies",
]
