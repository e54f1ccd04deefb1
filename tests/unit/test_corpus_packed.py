"""Books and packed files in: chapters in reading order, and never more than a file may hold."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pytest

from tribrid.config.sections import IndexingConfig
from tribrid.corpus.contents import Contents, Unreadable
from tribrid.corpus.epub import read_epub
from tribrid.corpus.files import read_folder
from tribrid.corpus.jsonlines import Skipped
from tribrid.corpus.office import read_docx
from tribrid.corpus.packed import gunzipped
from tribrid.types import Document

MAX = 1_000_000
CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
LOCK = '<encryption><EncryptedData><CipherData><CipherReference URI="{}"/></CipherData></EncryptedData></encryption>'


def package(title: str = "The Book", order: tuple[str, ...] = ("two", "one", "two")) -> str:
    listed = "".join(f'<itemref idref="{name}"/>' for name in ("toc", *order))
    items = "".join(
        f'<item id="{name}" href="text/{name}%20x.xhtml" media-type="application/xhtml+xml"/>'
        for name in ("one", "two")
    )
    return (
        '<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<dc:title>{title}</dc:title></metadata><manifest>{items}"
        '<item id="toc" href="toc.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
        '<item id="cover" href="cover.png" media-type="image/png"/>'
        f"</manifest><spine>{listed}</spine></package>"
    )


def epub(**parts: str) -> bytes:
    """A book of two chapters; a part that is named takes the place of its own."""
    whole = {
        "META-INF/container.xml": CONTAINER,
        "OEBPS/book.opf": package(),
        "OEBPS/toc.xhtml": "<p>contents</p>",
        "OEBPS/text/one x.xhtml": "<html><head><title>x</title></head><body><h1>First</h1><p>soup</p></body></html>",
        "OEBPS/text/two x.xhtml": "<html><body><h1>Second</h1><p>pasta</p></body></html>",
    } | parts
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as book:
        for name, content in whole.items():
            book.writestr(name, content)
    return out.getvalue()


def read(data: bytes, *, budget_s: float = 60, max_bytes: int = MAX) -> Contents:
    return read_epub(data, budget_s, max_bytes)


def test_a_book_is_its_chapters_in_reading_order() -> None:
    found = read(epub())
    assert found == Contents("The Book", "# Second\n\npasta\n\n# First\n\nsoup")
    assert read(epub(**{"OEBPS/book.opf": package("Microsoft Word - x.doc")})).title == ""


def test_a_chapter_that_cannot_be_read_is_named_and_the_others_are_kept() -> None:
    found = read(epub(**{"OEBPS/text/one x.xhtml": "<div>" * 600}))
    assert found.text == "# Second\n\npasta"
    assert found.losses == ("OEBPS/text/one x.xhtml cannot be read: its elements nest deeper than 512 levels",)
    missing = package().replace("one%20x", "three")
    assert read(epub(**{"OEBPS/book.opf": missing})).losses == ("OEBPS/text/three.xhtml is missing",)


def test_when_the_time_is_over_what_was_read_is_kept() -> None:
    found = read(epub(), budget_s=-1)
    assert found.text == "# Second\n\npasta"
    assert found.losses == ("the chapters from 2 on, of 2, were not read: the time was over",)


def test_a_locked_book_is_refused_and_scrambled_fonts_are_not() -> None:
    lock = "META-INF/encryption.xml"
    with pytest.raises(Unreadable, match="locked"):
        read(epub(**{lock: LOCK.format("OEBPS/text/one%20x.xhtml")}))
    assert read(epub(**{lock: LOCK.format("OEBPS/font.otf")})).text


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no zip",
        epub()[:-30],
        epub(**{"META-INF/container.xml": "<container/>"}),
        epub(**{"META-INF/container.xml": "<"}),
        epub(**{"META-INF/container.xml": CONTAINER.replace("book", "other")}),
        epub(**{"OEBPS/book.opf": "<package>"}),
    ],
)
def test_what_is_no_book_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable, match="not a readable EPUB"):
        read(data)


def bomb(size: int = 50 * MAX) -> bytes:
    return gzip.compress(b"a " * (size // 2))


def test_what_unpacks_to_more_than_is_allowed_is_refused_by_its_size() -> None:
    data = bomb()
    assert len(data) < MAX / 10
    with pytest.raises(Unreadable, match=r"unpacks to more than 1,000,000 bytes"):
        gunzipped(data, MAX)
    large = "<p>" + "a " * MAX
    with pytest.raises(Unreadable, match="unpacks to more than"):
        read(epub(**{"OEBPS/text/one x.xhtml": large}))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("word/document.xml", large)
    with pytest.raises(Unreadable, match="unpacks to more than"):
        read_docx(out.getvalue(), MAX)


@pytest.mark.parametrize("data", [b"", b"no gzip", gzip.compress(b"words")[:-9], gzip.compress(b"x")[:-4] + b"\0" * 4])
def test_what_is_no_gzip_file_is_refused(data: bytes) -> None:
    if not data:  # no member at all is a file without content
        assert gunzipped(data, MAX) == b""
        return
    with pytest.raises(Unreadable, match="not a readable gzip file"):
        gunzipped(data, MAX)


def test_packed_files_are_read_as_what_is_in_them(tmp_path: Path) -> None:
    files = {
        "notes.md.gz": gzip.compress(b"# Notes\n\nsoup"),
        "plain.TXT.gz": gzip.compress(b"one") + gzip.compress(b" two"),
        "README.gz": gzip.compress(b"read me"),
        "page.html.gz": gzip.compress(b"<title>Page</title><p>words"),
        "parts.csv.gz": gzip.compress(b"part\nBolt"),
        "book.epub": epub(),
        "all.tar.gz": gzip.compress(b"x"),
        "bomb.md.gz": bomb(2 * MAX),
        "page.html?print=1": b"<title>Printed</title><p>other words",
        "data.json": b'{"a": 1}',
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    found = list(read_folder(tmp_path, IndexingConfig.model_validate({"max_document_chars": 10_000})))
    read_as = {item.doc_id: (item.title, item.text) for item in found if isinstance(item, Document)}
    assert read_as == {
        "notes.md.gz": ("Notes", "# Notes\n\nsoup"),
        "plain.TXT.gz": ("plain", "one two"),
        "README.gz": ("README", "read me"),
        "page.html.gz": ("Page", "words"),
        "page.html?print=1": ("Printed", "other words"),
        "parts.csv.gz": ("parts", "part: Bolt"),
        "book.epub": ("The Book", "# Second\n\npasta\n\n# First\n\nsoup"),
        "data.json": ("data", "a: 1"),
    }
    skipped = {item.doc_id: item.reason for item in found if isinstance(item, Skipped)}
    assert skipped == {
        "all.tar.gz": "files of type .tar.gz are not read",
        "bomb.md.gz": "unpacks to more than 40,000 bytes",
    }
