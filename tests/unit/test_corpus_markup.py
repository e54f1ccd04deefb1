"""Titles of Markdown, and reStructuredText as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tribrid.corpus.markdown import fenced, markdown_title
from tribrid.corpus.restructured import rst_text

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
        ("````\n```\n# no\n```\n````\n# yes", "yes"),
        ("~~~\n```\n# no\n~~~\n# yes", "yes"),
        ("``` `\n# yes", "yes"),
        ("- ```\n  # no\n  ```\n\n# yes", "yes"),
        ("<!--\n# no\n-->\n# yes", "yes"),
        ('<h1 align="center">My Project</h1>\n\n## Install', "My Project"),
        ("<div>\n<img src=x>\n<h1>My\n<b>Project</b></h1></div>\n\n## Install", "My Project"),
        ("<h1><img src=logo></h1>\n\n## Install", "Install"),
        ("Two\nlines\n===\n", "Two lines"),
        ("---\ntitle: >\n  Folded\n  words\n---\n", "Folded words"),
        ("---\ntitle: 'It''s' # it is\n---\n# Body", "It's"),
        ("---\ntitle: Part 1: Start\n---\n# Body", "Part 1: Start"),
        ("---\ntitle: [a]\nother: &x [*x]\n---\n# Body", "Body"),
        ("---\n\n# Body\n\ntext\n\n---\n", "Body"),
        ('+++\ndraft = true\ntitle = "Front"\n+++\n# Body', "Front"),
        ("+++\ntitle = Front\n+++\n# Body", "Front"),
        ("+++\n[a]\ntitle = 'no'\n+++\n# Body", "Body"),
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
        "Reader(path)\n\n   "
        "Reads a pkg.Path; see the docs and code.\n\n\n[1] A citation.\nNote: Mind this.\n\n   And that."
    )


def test_rst_directives_whose_name_is_a_word_keep_it() -> None:
    source = """.. deprecated:: 3.2
   Use x.

.. versionadded:: 2.0

.. py:function:: f()

   .. warning::
      Slow.

.. figure:: pictures/a.png
   :width: 3

   The caption.
"""
    assert rst_text(source)[1].split("\n") == [
        "Deprecated since version 3.2",
        "   Use x.",
        "",
        "Added in version 2.0",
        "",
        "f()",
        "",
        "   Warning:",
        "      Slow.",
        "",
        "",
        "   The caption.",
    ]


def test_a_table_of_one_column_is_no_heading() -> None:
    assert rst_text("=====\nName\n=====\na\nb\n=====\n\nTitle\n=====\n") == ("Title", "Name\na\nb\n\n# Title")
    assert rst_text("=====\nTitle\n=====\nText.\n")[0] == "Title"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a\n```sh\n# x\n```\nb", ["```sh\n# x\n```"]),
        ("````\n```\nx\n```\n````\nb", ["````\n```\nx\n```\n````"]),
        ("~~~ a`b\n```\n~~~~\nb", ["~~~ a`b\n```\n~~~~"]),
        ("1. ```\n   x\n   ```\nb", ["1. ```\n   x\n   ```"]),
        ("> ```\n> x\n> ```\nb", ["> ```\n> x\n> ```"]),
        ("```\nx\n``` y\nb", ["```\nx\n``` y\nb"]),
        ("``` a`b\nx", []),
        ("a ``` b", []),
    ],
)
def test_where_fenced_code_stands(text: str, code: list[str]) -> None:
    assert [text[start:end] for start, end in fenced(text)] == code


@given(st.text(alphabet="ab `:.<>_=-\n|[]#", max_size=300))
def test_any_text_is_read(source: str) -> None:
    title, text = rst_text(source)
    assert "\n" not in title
    assert text == text.strip()
    assert "\n" not in markdown_title(source)


@pytest.mark.parametrize(
    "unit",
    ["`", "`" + " " * 400, ":x:`", "..\n", "=\n", ".. x::\n", "# ", "\n", ":", "```\n", "~", "> - ", "<h1>", "[a]: "],
)
@pytest.mark.timeout(20, func_only=True)
def test_the_time_is_linear(unit: str) -> None:
    source = unit * (CHARS // len(unit))
    rst_text(source)
    fenced(source)
    markdown_title(source)
    markdown_title(f"---\n{source}\n---\n")
