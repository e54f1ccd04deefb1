"""The queries documents ask of themselves."""

from __future__ import annotations

import textwrap

import pytest

from tribrid.mining.heuristics import (
    DOCSTRING,
    FAQ,
    HEADING,
    LEAD,
    TITLE,
    WEIGHTS,
    heuristic_groups,
    link_queries,
    pseudo_queries,
)
from tribrid.types import Document

LONG = "The answer goes on for a while, because a section with nothing in it answers nothing at all, to nobody."


def asked(text: str, title: str = "") -> list[tuple[str, str, str]]:
    """Kind, query, and the stretch of text that answers it."""
    document = Document("d", textwrap.dedent(text), title)
    found = []
    for pseudo in pseudo_queries(document):
        start, end = pseudo.answer or (0, len(document.text))
        found.append((pseudo.kind, pseudo.query, document.text[start:end].strip()))
    return found


def test_title_to_body() -> None:
    assert asked(LONG, "Installing   the thing on Linux") == [(TITLE, "Installing the thing on Linux", LONG)]
    assert asked(LONG, "How do I install the thing?") == [(FAQ, "How do I install the thing?", LONG)]


@pytest.mark.parametrize("title", ["notes.txt", "src/my_long_module_name.py", "Introduction", "word " * 40])
def test_a_name_a_word_and_a_paragraph_ask_nothing(title) -> None:
    assert asked(LONG, title) == []


def test_a_title_over_nothing_has_no_answer() -> None:
    assert asked("Too short.", "A perfectly good title") == []
    assert asked("", "A perfectly good title") == []


def test_heading_to_section() -> None:
    text = f"# The whole big guide\n\n{LONG} One.\n\n## Setting it all up ##\n{LONG} Two.\n\n### Usage\n{LONG}\n"
    assert asked(text) == [
        (HEADING, "The whole big guide", f"{LONG} One."),
        (HEADING, "Setting it all up", f"{LONG} Two."),
    ]


def test_a_comment_in_a_code_block_is_no_heading() -> None:
    code = f"```sh\n# this is a comment here\n~~~\n{LONG}\n```"
    text = f"## Running it from source\n{code}\n## Running it in production\n{LONG}\n"
    assert [query for _, query, _ in asked(text)] == ["Running it from source", "Running it in production"]


def test_faq_question_to_answer() -> None:
    text = f"""\
        ## How can I reset my password?
        {LONG} One.

        **Q1: Where do I find my invoices?**
        A: {LONG} Two.

        Can I pay by bank transfer?

        {LONG} Is this part of the answer? Yes.
        What follows a line at once is rhetoric, is it not?
        {LONG}
        """
    assert asked(text) == [
        (FAQ, "How can I reset my password?", f"{LONG} One."),
        (FAQ, "Where do I find my invoices?", f"{LONG} Two."),
        (FAQ, "Can I pay by bank transfer?", textwrap.dedent(text).partition("transfer?")[2].strip()),
    ]


def test_docstring_to_function() -> None:
    text = '''\
        """Module."""

        def read_rows(path):
            """Read all rows of a table. And more.

            Details that nobody searches for.
            """
            with open(path) as stream:
                return [line.split(",") for line in stream if line.strip()] + [] + [] + []

        class Table:
            """Short."""

            def undocumented(self):
                return 1
        '''
    (found,) = asked(text)
    assert found[:2] == (DOCSTRING, "Read all rows of a table")
    assert found[2].startswith("with open(path)")
    assert found[2].endswith("+ []")
    assert asked(textwrap.dedent(text).rstrip().replace("\n", "\r\n"))[0][1] == "Read all rows of a table"


def test_text_that_only_looks_like_python_is_prose() -> None:
    assert asked(f"def broken(:\n\n# A heading of some words\n{LONG}") == [(HEADING, "A heading of some words", LONG)]


def test_the_first_sentence_stands_for_a_missing_title() -> None:
    text = f"correlation between maternal and fetal glucose levels . {LONG}"
    assert asked(text) == [(LEAD, "correlation between maternal and fetal glucose levels", LONG)]
    assert asked(text, "Glucose") == []
    assert asked("no sentence ends here " * 50) == []
    assert asked(f"def broken(self):\n  return. {LONG}") == []


@pytest.mark.parametrize(
    "text", ["", "#", "# \n## \n?", "```", "\0", "?\n" * 1000, "# " * 150 + "\n", "\ud800 ? \n" + LONG]
)
def test_odd_texts_ask_nothing(text) -> None:
    assert asked(text) == []


@pytest.mark.parametrize("line", ["*" * 250 + "? x *", "# " * 120 + "?*_x", "> - * _ " * 30 + "?", "(" * 300])
@pytest.mark.timeout(20, func_only=True)
def test_time_is_linear_in_odd_texts(line) -> None:
    asked((line + "\n") * 3000)


def test_a_query_that_two_documents_ask_is_ambiguous() -> None:
    documents = [
        Document("a", f"## Common  heading of both\n{LONG}\n## Only in the first\n{LONG}"),
        Document("b", f"## common heading of both\n{LONG}"),
        Document("c", f"## Twice in this one\n{LONG}\n## Twice in this one\n{LONG}"),
    ]
    groups, ambiguous = heuristic_groups(documents)
    assert sorted(group.query for group in groups) == ["Only in the first", "Twice in this one"]
    assert ambiguous == 1


def test_documents_take_turns_and_the_best_kind_goes_first() -> None:
    long_one = "\n".join(f"## The heading with number n{i}\n{LONG}" for i in range(30))
    documents = [
        Document("long", long_one, "The title of the long one"),
        Document("other", f"{LONG}", "The title of the other"),
        Document("faq", f"## Where does it go now?\n{LONG}", "The title of the faq"),
    ]
    groups, _ = heuristic_groups(documents)
    first = [group.positives[0].doc_id for group in groups[:3]]
    assert first[0] == "faq"
    assert sorted(first) == ["faq", "long", "other"]
    assert heuristic_groups(reversed(documents))[0] == groups


def test_every_kind_weighs_little() -> None:
    assert all(0 < weight < 0.3 for weight in WEIGHTS.values())


def test_a_links_text_asks_for_what_it_leads_to() -> None:
    documents = [
        Document("guide/a.md", "[how to renew it](../ops/renew%20it.md#steps) [here](b.md) ![a picture](c.md)"),
        Document("guide/b.md", "[How to renew it](<../ops/renew%20it.md>) [read more](c.md) [elsewhere at last](x.md)"),
        Document(
            "guide/c.md", '[the backup plan](https://h/plan "P") [this very document](c.md#top) [two plans](b.md)'
        ),
        Document("guide/d.md", "[two plans](c.md)"),
        Document("ops/renew it.md", LONG),
        Document("ops/plan.md", LONG, uri="https://h/plan"),
    ]
    groups, ambiguous = heuristic_groups(documents)
    asked = {(group.query.lower(), group.positives[0].doc_id) for group in groups}
    assert asked == {("how to renew it", "ops/renew it.md"), ("the backup plan", "ops/plan.md")}
    assert ambiguous == 1
    assert {group.positives[0].reason for group in groups} == {"the text of a link that leads to this document"}
    assert groups[0].positives[0].evidence.startswith("link:ops/")
    assert [(g.query_id, g.positives) for g in heuristic_groups(reversed(documents))[0]] == [
        (g.query_id, g.positives) for g in groups
    ]


@pytest.mark.parametrize("text", ["[" * 20_000, "[abc](" * 20_000, "[a b c](x" + "#" * 50_000, "[ab " * 20_000 + "]("])
@pytest.mark.timeout(20, func_only=True)
def test_links_are_found_in_linear_time(text: str) -> None:
    list(link_queries(Document("d", text)))
