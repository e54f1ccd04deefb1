"""Titles of Markdown, and reStructuredText as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribrid.corpus.markup import markdown_title, rst_text

# A step that is quadratic in the text takes minutes at this length, a linear one well under a second.
CHARS = 400_000


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ("# One ##\n# Two", "One"),
        ("text\n\n### Deep", "Deep"),
        ("Title\n=====\n", "Title"),
        ("Title\n---\n", "Title"),
        ("```\n# no\n```\n# yes", "yes"),
        ('---\ntitle: "Front"\n---\n# Body', "Front"),
        ("---\nlayout: x\n---\n# Body", "Body"),
        ("#no space\n", ""),
        ("    # code\n", ""),
        ("- item\n\n---\n", ""),
        ("", ""),
    ],
)
def test_the_title_of_markdown(source: str, title: str) -> None:
    assert markdown_title(source) == title


def test_rst_headings_by_order_of_their_adornments() -> None:
    title, text = rst_text("=====\nTitle\n=====\n\nPart\n----\n\nSub\n~~~\n\nPart two\n--------\n")
    assert title == "Title"
    assert text == "# Title\n\n## Part\n\n### Sub\n\n## Part two"


def test_rst_directives_keep_what_reads() -> None:
    source = """.. _target:
.. comment that
   goes on

.. module:: x
   :platform: any

.. class:: Reader(path)
   :noindex:

   Reads a :class:`~pkg.Path`; see `the docs <https://x.test>`_ and ``code``.

.. image:: picture.png
   :width: 3

.. [1] A citation.
.. note:: Mind this.

   And that.
"""
    assert rst_text(source)[1] == (
        "Reader(path)\n\n   Reads a pkg.Path; see the docs and code.\n\n\n[1] A citation.\nMind this.\n\n   And that."
    )


@given(st.text(alphabet="ab `:.<>_=-\n|[]#", max_size=300))
def test_any_text_is_read(source: str) -> None:
    title, text = rst_text(source)
    assert "\n" not in title
    assert text == text.strip()
    assert "\n" not in markdown_title(source)


@pytest.mark.parametrize("unit", ["`", "`" + " " * 400, ":x:`", "..\n", "=\n", ".. x::\n", "# ", "\n", ":"])
@pytest.mark.timeout(20, func_only=True)
def test_the_time_is_linear(unit: str) -> None:
    source = unit * (CHARS // len(unit))
    rst_text(source)
    markdown_title(source)
