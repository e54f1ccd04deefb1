"""Errors on the command line name commands: every route that a message below the HTTP edge names has one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tribrid
from tribrid.cli.spoken import spoken

PACKAGE = Path(tribrid.__file__).parent
OTHER_READERS = {"answers", "api", "cli", "mcp", "studio"}
"""These describe or answer HTTP, or are the command line itself."""
ROUTE = re.compile(r"\b(GET|POST|PUT|PATCH|DELETE) /[a-z]")
NOT_OURS = ("POST /v1/decisions", "POST /v1/systemone")


def messages(tree: ast.AST) -> Iterator[str]:
    """Texts of the code with {x} as X; docstrings are statements of their own, and left out."""
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(map(written, node.values))
            told |= {id(part) for part in node.values}
        elif isinstance(node, ast.Constant) and id(node) not in told:
            yield written(node)


def written(part: ast.AST) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else "X"


def naming_routes() -> list[str]:
    files = [path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] not in OTHER_READERS]
    found = [text for path in files for text in messages(ast.parse(path.read_text(encoding="utf-8")))]
    return [text for text in found if ROUTE.search(text) and not any(other in text for other in NOT_OURS)]


def test_every_route_that_a_message_names_has_a_command() -> None:
    found = naming_routes()
    assert any("GET /reranker/models" in text for text in found)  # it sees them
    assert [text for text in found if ROUTE.search(spoken(text))] == []


@pytest.mark.parametrize(
    ("said", "spoken_as"),
    [
        ("There is none. GET /reranker/models lists them.", "There is none. `tribrid models CORPUS` lists them."),
        ("Create it with POST /corpora or `tribrid index`.", "Create it with `tribrid index`."),
        ("Do `tribrid index --rebuild`, or POST /corpora/a.b/index.", "Do `tribrid index --rebuild`."),
        ("Set it: PATCH /config, or `tribrid config a=b` there.", "Set it: `tribrid config a=b` there."),
        ("Put one with PUT /corpora/a.b/eval_dataset, or else.", "Put one with `tribrid evalset put a.b`, or else."),
        ("Post /etc/passwd is no route.", "Post /etc/passwd is no route."),
    ],
)
def test_a_route_is_said_as_the_command(said: str, spoken_as: str) -> None:
    assert spoken(said) == spoken_as
