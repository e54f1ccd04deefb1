"""Where a passage stands in its document, and which of its words a query asks for."""

from __future__ import annotations

import pytest

from tribrid.corpus.located import NOWHERE, highlights, locate
from tribrid.corpus.passages import split
from tribrid.types import Document, Passage

GUIDE = """# Handbook

Welcome to us.

## Leave

Everyone has 30 days.

```bash
# no heading
```

### Parents ###

Parents have more.

## Soup

Boil it.
"""


def passage(document: Document, words: str) -> Passage:
    start = document.text.index(words)
    return Passage(document.doc_id, 0, start, start + len(words), document.title, words)


@pytest.mark.parametrize(
    ("words", "headings", "line"),
    [
        ("Welcome to us.", ("Handbook",), 3),
        ("# Handbook", ("Handbook",), 1),
        ("# no heading", ("Handbook", "Leave"), 10),
        ("Parents have more.", ("Handbook", "Leave", "Parents"), 15),
        ("\n\n## Soup", ("Handbook", "Soup"), 17),
        ("Boil it.", ("Handbook", "Soup"), 19),
    ],
)
def test_a_passage_of_markdown(words: str, headings: tuple[str, ...], line: int) -> None:
    document = Document("guide.md", GUIDE, uri="file:///guide.md")
    place = locate(document, passage(document, words))
    assert (place.headings, place.page, place.lines) == (headings, None, (line, line))


def test_code_has_lines_and_no_headings() -> None:
    source = "# a comment\nimport os\n\n\ndef read():\n    # another\n    return os\n"
    document = Document("tool.py", source, uri="file:///tool.py")
    place = locate(document, passage(document, "def read():\n    # another\n    return os\n"))
    assert place == ((), None, (5, 7))


def test_what_was_made_of_a_file_has_not_its_lines() -> None:
    for name in ("page.html", "letter.docx", "book.epub", "notes.rst", "table.csv.gz"):
        document = Document(name, GUIDE, uri=f"file:///{name}")
        assert locate(document, passage(document, "Boil it.")).lines is None
        assert locate(document, passage(document, "Boil it.")).headings == ("Handbook", "Soup")
    given = Document("17", GUIDE)
    assert locate(given, passage(given, "Boil it.")).lines == (19, 19)


def test_pages_of_a_pdf() -> None:
    document = Document("a.pdf", "One.\n\n\fTwo.\n\n\fThree. # no heading", uri="file:///a.pdf")
    for words, page in [("One.", 1), ("Two.", 2), ("\n\n\fThree.", 3), ("One.\n\n\fTwo.", 1)]:
        assert locate(document, passage(document, words)) == ((), page, None)
    older = Document("a.pdf", "One.\n\nTwo.")  # read by a release that kept no pages
    assert locate(older, passage(older, "Two.")) == NOWHERE


def test_another_text_has_no_place_for_the_passage() -> None:
    found = passage(Document("guide.md", GUIDE), "Boil it.")
    assert locate(Document("guide.md", "Boil it. It is short now."), found) == NOWHERE
    assert locate(None, found) == NOWHERE
    (empty,) = split(Document("e", "", "title"), passage_chars=100, overlap_chars=0)
    assert locate(Document("e", "", "title"), empty) == NOWHERE


@pytest.mark.parametrize(
    ("text", "query", "words"),
    [
        ("Everyone has 30 days of leave.", "how many days", ["days"]),
        (
            "Renewing certificates: a certificate renews.",
            "renew the certificate",
            ["Renewing", "certificates", "certificate", "renews"],
        ),
        ("call io.readFile(path) or read_file", "read file", ["readFile", "read_file"]),
        ("😀 café is CAFE", "cafe", ["café", "CAFE"]),
        ("Vitamin C and vitamins, or c2 and dying", "vitamin c, die, C2", ["Vitamin", "C", "vitamins", "c2", "dying"]),
        ("東京都に住む", "京都", ["京都"]),
        ("東京都に住む", "東京都", ["東京都"]),
        ("nothing here", "the", []),
        ("", "x", []),
    ],
)
def test_words_that_a_query_asks_for(text: str, query: str, words: list[str]) -> None:
    spans = highlights(text, query)
    assert [text[start:end] for start, end in spans] == words
    assert spans == sorted(spans)
