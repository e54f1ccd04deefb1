"""A class as a document of its own: its methods' bodies taken out, because each method is a document already."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_Method = ast.FunctionDef | ast.AsyncFunctionDef


def class_outline(source: str) -> str:
    """The class with its attributes and its methods' signatures.

    Args:
        source: one class definition, valid Python, no docstrings.

    Raises:
        SyntaxError: it is not.
    """
    lines = source.encode("utf-8").splitlines(keepends=True)
    for method in sorted(_methods(ast.parse(source)), key=lambda found: found.lineno, reverse=True):
        first, last = method.body[0], method.end_lineno or method.lineno
        start = min([first.lineno, *(decorator.lineno for decorator in getattr(first, "decorator_list", ()))])
        if start > method.lineno:
            indent = b" " * first.col_offset
            lines[start - 1 : last] = [indent + b"...\n"]
    return b"".join(lines).decode("utf-8").rstrip()


def _methods(parent: ast.AST) -> Iterator[_Method]:
    """Methods of the class and of the classes in it, wherever in their bodies; not functions inside methods."""
    for child in ast.iter_child_nodes(parent):
        if isinstance(child, _Method):
            yield child
        elif isinstance(child, ast.ClassDef | ast.stmt | ast.excepthandler | ast.match_case):
            yield from _methods(child)
