"""`make site`: every page is in it once, its links hold, and nothing is loaded from elsewhere."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from conftest import REPO_ROOT

_LOADED = re.compile(
    r"""<[a-z]+ class="mermaid"|<(?:script|img|iframe|link rel="stylesheet")[^>]*(?:src|href)="(https?:)?//"""
)


@pytest.fixture
def website(monkeypatch: pytest.MonkeyPatch) -> Any:
    """docs/website.py as a module."""
    monkeypatch.syspath_prepend(str(REPO_ROOT / "docs"))
    return importlib.import_module("website")


def test_every_page_is_in_the_navigation_once(website: Any) -> None:
    named = [page for section in website.navigation(REPO_ROOT) for found in section.values() for page in found]
    listed = [path for page in named for path in page.values()]
    assert sorted(listed) == website.pages(REPO_ROOT)


@pytest.mark.slow
def test_it_can_be_made_and_loads_nothing_from_elsewhere(website: Any, tmp_path: Path) -> None:
    website.build(tmp_path)
    made = {str(page.relative_to(tmp_path / "site")): page.read_text("utf-8") for page in tmp_path.rglob("*.html")}
    wanted = {page.replace(".md", ".html").replace("README.html", "index.html") for page in website.pages(REPO_ROOT)}
    assert wanted <= made.keys()
    assert not [name for name, text in made.items() if _LOADED.search(text)]
    searched = json.loads((tmp_path / "site/search.json").read_text("utf-8"))
    assert "docs/concepts.html" in json.dumps(searched)
