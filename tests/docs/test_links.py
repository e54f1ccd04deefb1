"""Links between the pages lead somewhere, every page is found from the front page, and none tells of one machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
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


def prose(page: Path) -> str:
    return _FENCED.sub("", page.read_text("utf-8"))


def links(page: Path) -> list[str]:
    return [target for target in _LINK.findall(prose(page)) if not target.startswith(_ELSEWHERE)]


def anchors(page: Path) -> set[str]:
    """The names under which a page's headings can be linked to, as GitHub makes them."""
    headings = [re.sub(r"[^\w\- ]", "", heading.strip().lower()) for heading in _HEADING.findall(prose(page))]
    return {heading.replace(" ", "-") for heading in headings}


def lost_links(page: Path) -> Iterator[str]:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


def paths_of_a_machine(page: Path) -> Iterator[str]:
    yield from _OF_A_MACHINE.findall(page.read_text("utf-8"))


def words_that_belittle(page: Path) -> Iterator[str]:
    text = prose(page).lower()
    yield from (word for word in ("simply", "just works", "easily", "obviously") if re.search(rf"\b{word}\b", text))


Rule = Callable[[Path], Iterator[str]]
rules = pytest.mark.parametrize(
    "rule", [lost_links, paths_of_a_machine, words_that_belittle], ids=lambda rule: rule.__name__
)


@rules
def test_no_page_has(rule: Rule) -> None:
    assert PAGES
    found = [f"{page.relative_to(ROOT)}: {fault}" for page in PAGES for fault in rule(page)]
    assert not found, "\n" + "\n".join(found)


@rules
def test_a_page_that_has_it_is_told(rule: Rule, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n[a](#title) [b](page.md#title)\n", "utf-8")
    assert not list(rule(page))
    page.write_text("Simply [read](gone.md), [that](#gone), [this](page.md#gone) in /tmp/a.\n", "utf-8")
    told = {"lost_links": ["gone.md", "#gone", "page.md#gone"], "paths_of_a_machine": ["/tmp/a."]}
    assert list(rule(page)) == told.get(rule.__name__, ["simply"])


def pages_that_no_link_leads_to(front: Path) -> list[str]:
    """Pages in the folder of this one and in those below it."""
    linked = {(front.parent / link.partition("#")[0]).resolve() for link in links(front)}
    return [page.name for page in sorted(front.parent.rglob("*.md")) if page not in {front, *linked}]


def test_every_page_is_on_the_front_page() -> None:
    assert not pages_that_no_link_leads_to(DOCS / "index.md")


def test_a_page_that_no_link_leads_to_is_told(tmp_path: Path) -> None:
    for name in ("a.md", "b.md"):
        (tmp_path / name).touch()
    front = tmp_path / "index.md"
    front.write_text("[a](a.md#x)", "utf-8")
    assert pages_that_no_link_leads_to(front) == ["b.md"]
