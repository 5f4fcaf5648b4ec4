"""The pages of customers, the links that lead to them, and who is signed in."""

from tollkeeper.console.doors import Door
from tollkeeper.console.model import Link, Pass
from tollkeeper.console.opening import console_pages
from tollkeeper.console.portal_routes import portal_routes
from tollkeeper.console.sessions import make_link
from tollkeeper.console.shelves import Shelves
from tollkeeper.console.theme import Theme, read_theme

__all__ = [
    "Door",
    "Link",
    "Pass",
    "Shelves",
    "Theme",
    "console_pages",
    "make_link",
    "portal_routes",
    "read_theme",
]
