"""Which files of a folder are wanted: those that git would not ignore, and that the caller did not leave out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tribrid.config.sections import IndexingConfig
from tribrid.corpus.choosing import ALL, Choice
from tribrid.corpus.files import read_folder
from tribrid.corpus.folders import LeftOut, count
from tribrid.errors import InvalidInput
from tribrid.types import Document

SETTINGS = IndexingConfig.model_validate({})


def make(root: Path, *names: str, **ignores: str) -> Path:
    """Files, and the .gitignore of folders (`here`: of the root)."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"text of {name}")
    for folder, lines in ignores.items():
        (root / ("." if folder == "here" else folder) / ".gitignore").write_text(lines)
    return root


def read(root: Path, choice: Choice = ALL) -> set[str]:
    return {item.doc_id for item in read_folder(root, SETTINGS, choice) if isinstance(item, Document)}


def left_out(root: Path, choice: Choice = ALL) -> dict[str | None, str]:
    found = read_folder(root, SETTINGS, choice)
    return {item.doc_id: item.reason for item in found if isinstance(item, LeftOut)}


def test_what_git_ignores_is_left_out(tmp_path: Path) -> None:
    make(tmp_path, "a.md", "a.txt", "keep.txt", "build/x.md", "sub/a.txt", "sub/b.md", "sub/c.md", "sub/build/y.md")
    make(tmp_path, here="# made\n*.txt\n!keep.txt\n/build/\n", sub="b.md\n!a.txt\n")
    assert read(tmp_path) == {"a.md", "keep.txt", "sub/a.txt", "sub/c.md", "sub/build/y.md"}
    assert left_out(tmp_path) == {"a.txt": ".gitignore", "build": ".gitignore", "sub/b.md": ".gitignore"}
    assert count(tmp_path) == 5


def test_the_rules_of_the_repository_hold_in_its_folders(tmp_path: Path) -> None:
    repository = make(tmp_path / "r", "docs/a.md", "docs/made/b.md", "docs/deep/c.md", here="/docs/made/\nc.md\n")
    make(tmp_path, here="*.md\n")
    assert read(repository / "docs") == {"a.md", "made/b.md", "deep/c.md"}, "it is in no repository"
    (repository / ".git").mkdir()
    assert read(repository / "docs") == {"a.md"}
    assert read(repository) == {"docs/a.md"}, "above the repository nothing holds"


def test_a_folder_that_is_ignored_is_read_when_it_is_named(tmp_path: Path) -> None:
    make(tmp_path, "data/book/a.md", "data/book/b.md", here="data/\n")
    make(tmp_path / "data" / "book", here="b.md\n")
    (tmp_path / ".git").mkdir()
    assert read(tmp_path) == set()
    assert read(tmp_path / "data" / "book") == {"a.md"}


def test_a_caller_says_what_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a.md", "a.txt", "drafts/b.md", "docs/c.md", "docs/drafts/d.md", "docs/e.html", here="docs/c.md\n")
    assert read(tmp_path, Choice(include=("*.md",))) == {"a.md", "drafts/b.md", "docs/drafts/d.md"}
    assert read(tmp_path, Choice(exclude=("drafts/", "*.html"))) == {"a.md", "a.txt"}
    assert read(tmp_path, Choice(include=("/docs/",), exclude=("drafts",))) == {"docs/e.html"}
    assert left_out(tmp_path, Choice(("*.md",), ("/drafts",))) == {
        "a.txt": "not included",
        "docs/c.md": ".gitignore",
        "docs/e.html": "not included",
        "drafts": "excluded",
    }
    monkeypatch.chdir(tmp_path)
    assert read(Path(), Choice(exclude=("/docs",))) == {"a.md", "a.txt", "drafts/b.md"}


@pytest.mark.parametrize("pattern", ["!", "\\", "[z-a]"])
def test_a_pattern_that_is_none_is_refused_at_once_and_passed_over_in_a_file(tmp_path: Path, pattern: str) -> None:
    make(tmp_path, "a.md", "b.md", here=f"{pattern}\nb.md\n")
    with pytest.raises(InvalidInput, match="exclude"):
        read_folder(tmp_path, SETTINGS, Choice(exclude=(pattern,)))
    assert read(tmp_path) == {"a.md"}


def test_a_line_of_many_wildcards_takes_no_time(tmp_path: Path) -> None:
    make(tmp_path, "a" * 200 + ".md", here="*a" * 30 + "b\n")
    assert len(read(tmp_path)) == 1


def test_a_file_of_rules_that_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    make(tmp_path, "a.md", "sub/b.md")
    (tmp_path / ".gitignore").mkdir()
    (tmp_path / "sub" / ".gitignore").write_bytes(b"\xff\nb.md\n")
    assert read(tmp_path) == {"a.md"}


def test_a_web_page_that_says_the_same_as_one_before_is_left_out(tmp_path: Path) -> None:
    page = "<title>{}</title><p>How to renew a certificate."
    for name, title in {"a.html": "A", "a.html?print=1": "A, to print", "sub/b.htm": "B"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(page.format(title))
    make(tmp_path, "x.txt", "y.txt")
    (tmp_path / "y.txt").write_text((tmp_path / "x.txt").read_text())
    assert read(tmp_path) == {"a.html", "x.txt", "y.txt"}
    assert left_out(tmp_path) == {"a.html?print=1": "says the same as a.html", "sub/b.htm": "says the same as a.html"}
