"""PDF: page by page, what is lost said, words in one piece."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from pypdf import PdfWriter
from pypdf.generic import ArrayObject, DecodedStreamObject, DictionaryObject, NameObject

from tribrid.corpus.contents import Contents, Unreadable
from tribrid.corpus.pdf import read_pdf

TO_UNICODE = """/CIDInit /ProcSet findresource begin 12 dict begin begincmap
1 begincodespacerange <00> <FF> endcodespacerange
3 beginbfchar <41> <D835> <42> <D835DC00> <43> <0043> endbfchar
endcmap end end"""


def stream(content: str | bytes) -> DecodedStreamObject:
    made = DecodedStreamObject()
    made.set_data(content if isinstance(content, bytes) else content.encode("latin-1"))
    return made


def pdf(
    *pages: str,
    title: str = "",
    password: str = "",
    to_unicode: str = "",
    damage: Callable[[PdfWriter], None] | None = None,
) -> bytes:
    writer = PdfWriter()
    font = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica", "/Encoding": "/WinAnsiEncoding"}
    named = DictionaryObject({NameObject(key): NameObject(value) for key, value in font.items()})
    if to_unicode:
        named[NameObject("/ToUnicode")] = writer._add_object(stream(to_unicode))
    fonts = DictionaryObject({NameObject("/F1"): named})
    for text in pages:
        page = writer.add_blank_page(width=300, height=300)
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        lines = " 0 -14 Td ".join(f"({line}) Tj" for line in text.split("\n") if line)
        page[NameObject("/Contents")] = writer._add_object(stream(f"BT /F1 12 Tf 20 200 Td {lines} ET"))
    if title:
        writer.add_metadata({"/Title": title})
    if damage:
        damage(writer)
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def read(data: bytes, budget_s: float = 60) -> Contents:
    return read_pdf(data, budget_s).tidied()


def unknown_filter(*numbers: int) -> Callable[[PdfWriter], None]:
    def damage(writer: PdfWriter) -> None:
        for number in numbers:
            content = writer.pages[number - 1]["/Contents"].get_object()
            assert isinstance(content, DecodedStreamObject)
            content[NameObject("/Filter")] = NameObject("/NoSuchFilter")

    return damage


def broken_page_tree(writer: PdfWriter) -> None:
    writer.pages[1][NameObject("/Contents")] = ArrayObject([NameObject("/Nothing")])


def test_a_page_that_cannot_be_read_is_named_and_the_others_are_kept() -> None:
    found = read(pdf("First", "Second", "Third", damage=unknown_filter(2)))
    assert found.text.split() == ["First", "Third"]
    [loss] = found.losses
    assert loss.startswith("page 2 of 3 cannot be read: ")
    assert "NoSuchFilter" in loss
    [loss] = read(pdf("First", "Second", "Third", damage=unknown_filter(1, 3))).losses
    assert loss.startswith("pages 1, 3 of 3 cannot be read: ")


def test_a_broken_operator_costs_its_page_at_most() -> None:
    found = read(pdf("First", "Second) Tj /F1 Tf (", "Third"))
    assert {"First", "Third"} <= set(found.text.split())


def test_a_pdf_of_which_no_page_can_be_read_is_refused() -> None:
    with pytest.raises(Unreadable, match=r"not a readable PDF: .*NoSuchFilter"):
        read(pdf("First", "Second", damage=unknown_filter(1, 2)))


def test_pages_without_text_are_counted() -> None:
    assert read(pdf("Cover page", *[""] * 9)).losses == ("9 of 10 pages hold no text",)
    assert read(pdf("One", "Two")).losses == ()


def test_when_its_time_is_over_the_pages_that_were_read_are_kept() -> None:
    found = read(pdf("First", "Second", "Third"), budget_s=0)
    assert found.text == "First"
    assert found.losses == ("the pages from 2 on, of 3, were not read: the time for a file was over",)


def test_halves_of_surrogate_pairs_go_and_the_document_stays() -> None:
    found = read(pdf("CAC", "CBC", to_unicode=TO_UNICODE))
    assert found.text == "CC\n\n\fC\U0001d400C"


@pytest.mark.parametrize(
    "title",
    [
        "Microsoft Word - report_FINAL_v3.docx",
        "Microsoft PowerPoint - Talk",
        "PowerPoint Presentation",
        "report_FINAL_v3.docx",
        "untitled",
        "Untitled Document 3",
        "Unbenannt-1",
        "Document1",
        "Slide 1",
        "paper.dvi",
        "_",
        "20240115",
        "(anonymous)",
        "Layout 1",
        "tmp1a2b.tmp",
    ],
)
def test_what_a_program_left_is_no_title(title: str) -> None:
    assert read(pdf("x", title=title)).title == ""


@pytest.mark.parametrize("title", ["The Report", "Document Retrieval", "Microsoft Word for Lawyers", "Untitled Love"])
def test_a_title_is_a_title(title: str) -> None:
    assert read(pdf("x", title=title)).title == title


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ("docu-\nmentation", "documentation"),
        ("docu\\255\nmentation", "documentation"),
        ("a well-known, well-\nknown fact", "a well-known, well-known fact"),
        ("Anglo-\nSaxon", "Anglo-\nSaxon"),
        ("1990-\n2000", "1990-\n2000"),
        ("short-\nand long-term", "short-\nand long-term"),
        ("a -\nb", "a -\nb"),
    ],
)
def test_a_word_broken_at_a_lines_end_is_joined(lines: str, text: str) -> None:
    assert read(pdf(lines)).text == text


def test_a_word_broken_at_a_pages_end_is_joined() -> None:
    assert read(pdf("docu-", "mentation")).text == "documentation\f"


@pytest.mark.timeout(20, func_only=True)
def test_joining_takes_linear_time() -> None:
    from tribrid.corpus.pdf import _rejoined

    for unit in ["a", "a-", "-\n", "a-\n", " ", "a- "]:
        _rejoined(unit * (400_000 // len(unit)))
