"""Python source to its functions and classes, each with its docstring taken out.

What the code-search demo indexes, and where the docstring-to-function heuristic finds its pairs: the docstring
is the query, so nothing of it, nor of an inner function's docstring, may stay in the text that is searched.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tribrid.errors import InvalidInput

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

# A full stop that ends a sentence: not the one in "e.g." or "3.5".
_SENTENCE_END = re.compile(r"(?<!\.\w)[.!?](?=\s|$)")


@dataclass(frozen=True, slots=True)
class CodeUnit:
    """A function, method or class of a module.

    `qualname` is dotted from the module down and not always unique (overloads, conditional definitions);
    `lineno` is the line of its `def` or `class`, from 1. `source_without_docstring` has its decorators, no
    docstring at any depth and no common indentation. `docstring` is cleaned of indentation, None if absent.
    """

    name: str
    qualname: str
    lineno: int
    source_without_docstring: str
    docstring: str | None
    kind: Literal["function", "class"] = "function"


def python_functions(path_or_source: Path | str, module_path: str) -> Iterator[CodeUnit]:
    """The functions, methods and classes of a module in source order; those inside functions are left out.

    Args:
        path_or_source: a Path to read, in the encoding it declares, or the source itself as a string.
        module_path: the module's dotted name, which every qualname begins with.

    Raises:
        InvalidInput: the file cannot be read or the source is not valid Python; names module and line.
    """
    source = _read(path_or_source, module_path) if isinstance(path_or_source, Path) else path_or_source
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    tree = _parse(source, module_path)
    # Lines as the parser counts them, in the UTF-8 bytes that its columns count.
    lines = source.encode("utf-8").splitlines(keepends=True)
    return _units(tree, lines, module_path)


def first_sentence(docstring: str) -> str:
    """The first sentence of a docstring's first paragraph, on one line, without its full stop."""
    paragraph = " ".join(re.split(r"\n\s*\n", docstring.strip(), maxsplit=1)[0].split())
    end = _SENTENCE_END.search(paragraph)
    return paragraph[: end.start()] if end else paragraph


def _read(path: Path, module_path: str) -> str:
    try:
        data = path.read_bytes()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return data.decode(encoding)
    except (OSError, SyntaxError, UnicodeDecodeError, LookupError) as error:
        raise InvalidInput(f"{module_path}: cannot be read as Python source: {error}", module=module_path) from error


def _parse(source: str, module_path: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            # Another's source: an invalid escape in it is not ours to warn about.
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except SyntaxError as error:
        raise InvalidInput(
            f"{module_path}, line {error.lineno}: not valid Python: {error.msg}", module=module_path, line=error.lineno
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise InvalidInput(f"{module_path}: not valid Python: {error}", module=module_path) from error


def _units(parent: ast.Module | ast.ClassDef, lines: list[bytes], prefix: str) -> Iterator[CodeUnit]:
    for node in _definitions(parent):
        qualname = f"{prefix}.{node.name}"
        yield CodeUnit(
            name=node.name,
            qualname=qualname,
            lineno=node.lineno,
            source_without_docstring=_without_docstrings(node, lines),
            docstring=ast.get_docstring(node),
            kind="class" if isinstance(node, ast.ClassDef) else "function",
        )
        if isinstance(node, ast.ClassDef):
            yield from _units(node, lines, qualname)


def _definitions(parent: ast.AST) -> Iterator[_Definition]:
    """Definitions in a body, also under `if`, `try` and `with`, but not inside other definitions."""
    for child in ast.iter_child_nodes(parent):
        if isinstance(child, _Definition):
            yield child
        elif isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield from _definitions(child)


def _without_docstrings(node: _Definition, lines: list[bytes]) -> str:
    """The definition's source, docstrings cut out from the last to the first so that positions stay right."""
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    last = node.end_lineno or node.lineno
    kept = lines[first - 1 : last]
    for inner in sorted(_docstrings(node), key=lambda found: found[0].lineno, reverse=True):
        _cut(kept, inner[0], offset=first, alone=inner[1])
    indent = node.col_offset
    text = b"".join(line if line[:indent].strip() else line[indent:] or b"\n" for line in kept)
    return text.decode("utf-8").rstrip()


def _docstrings(node: _Definition) -> Iterator[tuple[ast.stmt, bool]]:
    """Docstring statements at any depth, each with whether it is the whole body."""
    for inner in ast.walk(node):
        if isinstance(inner, _Definition) and ast.get_docstring(inner, clean=False) is not None:
            yield inner.body[0], len(inner.body) == 1


def _cut(lines: list[bytes], statement: ast.stmt, *, offset: int, alone: bool) -> None:
    """Take a statement out of the lines, and its lines with it if nothing else stands on them.

    A body that held nothing else gets a `pass`, so that the rest still is Python.
    """
    start, end = statement.lineno - offset, (statement.end_lineno or statement.lineno) - offset
    before = lines[start][: statement.col_offset]
    after = lines[end][statement.end_col_offset :]
    if alone:
        lines[start : end + 1] = [before + b"pass" + after]
    elif before.strip() or after.strip():
        lines[start : end + 1] = [before + after.lstrip(b" \t;")]
    else:
        del lines[start : end + 1]
