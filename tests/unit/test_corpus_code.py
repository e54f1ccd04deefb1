"""Python source to functions and classes without their docstrings."""

from __future__ import annotations

import ast
import sysconfig
from pathlib import Path

import pytest

from tribrid.corpus.code import CodeUnit, first_sentence, python_functions
from tribrid.errors import InvalidInput

SOURCE = '''"""Module."""
import functools


@functools.cache
def area(r: float) -> float:  # in m
    """Return the area of a circle. Slow."""
    return 3.14 * r * r  # é


class Reader(object):
    """Reads."""

    async def read(self):
        r"""Read it
        all.
        """

        def inner():
            """Hidden."""
            return 1
        return inner

    def bare(self): pass

    def only(self):
        "Nothing else."


def one_line(): "Doc."; return 2


if True:
    def guarded():
        """Under an if."""
        text = """
not indented"""
        return text
'''


def units(source: str = SOURCE) -> dict[str, CodeUnit]:
    return {unit.qualname: unit for unit in python_functions(source, "pkg.mod")}


def test_functions_methods_and_classes_in_source_order() -> None:
    found = list(python_functions(SOURCE, "pkg.mod"))
    assert [(unit.qualname, unit.name, unit.kind) for unit in found] == [
        ("pkg.mod.area", "area", "function"),
        ("pkg.mod.Reader", "Reader", "class"),
        ("pkg.mod.Reader.read", "read", "function"),
        ("pkg.mod.Reader.bare", "bare", "function"),
        ("pkg.mod.Reader.only", "only", "function"),
        ("pkg.mod.one_line", "one_line", "function"),
        ("pkg.mod.guarded", "guarded", "function"),
    ]
    assert [unit.lineno for unit in found][:2] == [6, 11]


def test_the_docstring_is_taken_out_and_the_rest_stays() -> None:
    area = units()["pkg.mod.area"]
    assert area.docstring == "Return the area of a circle. Slow."
    assert area.source_without_docstring == (
        "@functools.cache\ndef area(r: float) -> float:  # in m\n    return 3.14 * r * r  # é"
    )


def test_methods_lose_their_indentation_and_inner_docstrings() -> None:
    read = units()["pkg.mod.Reader.read"]
    assert read.docstring == "Read it\nall."
    assert read.source_without_docstring == (
        "async def read(self):\n\n    def inner():\n        return 1\n    return inner"
    )


def test_a_class_holds_no_docstring_at_any_depth() -> None:
    source = units()["pkg.mod.Reader"].source_without_docstring
    for words in ("Reads.", "Read it", "Hidden", "Nothing else"):
        assert words not in source
    assert "async def read" in source


def test_a_body_of_a_docstring_alone_becomes_pass() -> None:
    assert units()["pkg.mod.Reader.only"].source_without_docstring == "def only(self):\n    pass"
    assert units()["pkg.mod.one_line"].source_without_docstring == "def one_line(): return 2"
    assert units()["pkg.mod.Reader.bare"].docstring is None


def test_windows_line_ends_form_feeds_and_wide_characters_keep_the_columns() -> None:
    source = 'x = "é漢"\r\n\x0c\r\ndef f(é): "漢 doc"; return "é"\r\n'
    assert units(source)["pkg.mod.f"].source_without_docstring == 'def f(é): return "é"'


def test_a_file_is_read_in_the_encoding_it_declares(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_bytes("# coding: latin-1\ndef f():\n    'Café.'\n    return 'é'\n".encode("latin-1"))
    [unit] = python_functions(path, "m")
    assert (unit.docstring, unit.source_without_docstring) == ("Café.", "def f():\n    return 'é'")


@pytest.mark.parametrize("source", ["def f(:\n", "x = '\0'", "(" * 5000, "x = '\ud800'"])
def test_source_that_is_not_python_is_refused_at_once_and_named(source: str) -> None:
    with pytest.raises(InvalidInput, match=r"pkg\.mod"):
        python_functions(source, "pkg.mod")


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        python_functions(tmp_path / "none.py", "none")


@pytest.mark.parametrize(
    "module", ["json/decoder.py", "ast.py", "typing.py", "enum.py", "asyncio/tasks.py", "re/_parser.py"]
)
def test_every_unit_of_the_standard_library_stays_python_without_docstrings(module: str) -> None:
    path = Path(sysconfig.get_path("stdlib")) / module
    found = list(python_functions(path, module))
    assert len(found) > 5
    for unit in found:
        [node] = ast.parse(unit.source_without_docstring).body
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        assert node.name == unit.name
        inner = [n for n in ast.walk(node) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
        assert [ast.get_docstring(n) for n in inner] == [None] * len(inner)


@pytest.mark.parametrize(
    ("docstring", "sentence"),
    [
        ("Return x. Then more.", "Return x"),
        ("Return the\n    value\n\nMore.", "Return the value"),
        ("Use e.g. 3.5 of it! Now.", "Use e.g. 3.5 of it"),
        ("No full stop", "No full stop"),
        ("", ""),
    ],
)
def test_the_first_sentence(docstring: str, sentence: str) -> None:
    assert first_sentence(docstring) == sentence
