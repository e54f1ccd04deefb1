"""Links between the pages lead somewhere, every page is found from the front page, and none tells of one machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]

_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!\\)\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_ELSEWHERE = ("http://", "https://", "mailto:")
# Folders of somebody's machine. Those of the deployment guide (/etc, /opt, /var) are every machine's.
_OF_A_MACHINE = re.compile(r"(?<![\w.])/(?:home|root|tmp|work|Users|mnt|usr/local)/\S*")

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def prose(page: Path) -> str:
    return _FENCED.sub("", page.read_text("utf-8"))


def links(page: Path) -> list[str]:
    return [target for target in _LINK.findall(prose(page)) if not target.startswith(_ELSEWHERE)]


def anchors(page: Path) -> set[str]:
    """The names under which a page's headings can be linked to, as GitHub makes them."""
    headings = [re.sub(r"[^\w\- ]", "", heading.strip().lower()) for heading in _HEADING.findall(prose(page))]
    return {heading.replace(" ", "-") for heading in headings}


@pages
def test_links_lead_somewhere(page: Path) -> None:
    lost = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link)
    assert not lost


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.relative_to(DOCS).as_posix())
def test_every_page_is_on_the_front_page(page: Path) -> None:
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in links(DOCS / "index.md")}
    assert page == DOCS / "index.md" or page in linked


@pages
def test_no_path_of_a_machine(page: Path) -> None:
    assert not _OF_A_MACHINE.findall(page.read_text("utf-8"))


@pages
def test_the_words_are_plain(page: Path) -> None:
    text = prose(page).lower()
    assert not [word for word in ("simply", "just works", "easily", "obviously") if re.search(rf"\b{word}\b", text)]
