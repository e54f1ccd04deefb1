"""No hint installs anything of this project by name: whoever has the name on an index would run what they like."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from conftest import REPO_ROOT

NOT_OURS = re.compile(
    r"(?:pip|pipx|uv|uvx|npm|npx|poetry)\b[^\n`]*\b(?:install|add|i|tool)\b[^\n`]*?"
    r"(?<![\w./-])(?:@tribrid/[\w-]+|[\w-]*tribrid[\w-]*)(?!\S*\.whl)(?![\w./-])"
)
PATTERNS = (
    "*.md",
    "Makefile",
    "benchmarks/*.py",
    "deploy/*",
    "docs/**/*.md",
    "findings/*",
    "packages/**/*.md",
    "packages/**/*.py",
    "packages/*/src/*.ts",
    "packages/**/pyproject.toml",
    "src/**/*.py",
    "src/**/*.html",
)
BY_NAME = ("pip install tribrid", "pip install 'tribrid[pdf]'", "npm i @tribrid/client", "uv add langchain-tribrid")
FROM_A_FOLDER = (
    "pip install '.[train]' in Tribrid's source",
    "pip install ./packages/tribrid-client",
    "npm install ./packages/tribrid-typescript/tribrid-client-0.1.0.tgz",
    "pip install pypdf",
)


def read() -> Iterator[Path]:
    """Everything that a user reads or runs."""
    for pattern in PATTERNS:
        yield from (path for path in REPO_ROOT.glob(pattern) if path.is_file())


def test_no_hint_installs_a_name_that_is_not_ours() -> None:
    assert all(NOT_OURS.search(hint) for hint in BY_NAME)
    assert not any(NOT_OURS.search(hint) for hint in FROM_A_FOLDER)
    paths = list(read())
    assert len(paths) > 300
    found = [
        f"{path.relative_to(REPO_ROOT)}: {hint[0]}"
        for path in paths
        for hint in NOT_OURS.finditer(path.read_text("utf-8"))
    ]
    assert not found
