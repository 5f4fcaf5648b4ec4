"""Every link in every document leads somewhere, and every page of docs/ can be found."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SKIPPED = {".venv", ".cache", "node_modules", ".git", ".hypothesis", ".pytest_cache"}
PAGES = sorted(
    path for path in ROOT.rglob("*.md") if not SKIPPED & set(path.relative_to(ROOT).parts)
)
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
OUTSIDE = re.compile(r"^[a-z]+:")


def links_of(page: Path) -> Iterator[str]:
    yield from LINK.findall(FENCE.sub("", page.read_text("utf-8")))


def anchors_of(page: Path) -> set[str]:
    """Name the headings as GitHub does."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower().replace("`", "")).strip().replace(" ", "-")
        for heading in headings
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken: list[str] = []
    for link in links_of(page):
        if OUTSIDE.match(link):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            broken.append(link)
    assert broken == []


def test_every_page_of_the_documentation_can_be_found() -> None:
    docs = ROOT / "docs"
    found = {docs / "README.md"}
    waiting = [docs / "README.md"]
    while waiting:
        page = waiting.pop()
        for link in links_of(page):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and docs in target.parents and target not in found:
                found.add(target)
                waiting.append(target)
    lost = sorted(str(page.relative_to(docs)) for page in docs.rglob("*.md") if page not in found)
    assert lost == []


def test_the_front_page_leads_to_the_others() -> None:
    linked = {link.partition("#")[0] for link in links_of(ROOT / "README.md")}
    assert {
        "docs/README.md",
        "docs/start/first-call.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "LICENSE",
    } <= linked


def test_the_architecture_names_every_room() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    rooms = [path.parent.name for path in (ROOT / "src" / "tollkeeper").glob("*/__init__.py")]
    assert [room for room in rooms if not re.search(rf"\b{room}\b", text)] == []
