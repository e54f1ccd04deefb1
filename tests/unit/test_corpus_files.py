"""Folders in: which files are read, what they are called, and what is said of the rest."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from tribrid.app.incoming import Came
from tribrid.config.sections import IndexingConfig
from tribrid.corpus.files import read_folder
from tribrid.corpus.folders import address
from tribrid.corpus.jsonlines import Loss, Skipped
from tribrid.errors import InvalidInput
from tribrid.types import Document

MAX = 10_000


def settings(**changed: float) -> IndexingConfig:
    return IndexingConfig.model_validate({"max_document_chars": MAX} | changed)


def read(path: Path, **changed: float) -> dict[str | None, Document | Skipped]:
    return {found.doc_id: found for found in read_folder(path, settings(**changed)) if not isinstance(found, Loss)}


def losses(path: Path, content: str | bytes) -> list[str]:
    [document, *lost] = read_folder(write(path, content), settings())
    assert isinstance(document, Document), document
    assert all(isinstance(loss, Loss) and loss.doc_id == document.doc_id for loss in lost)
    return [loss.reason for loss in lost if isinstance(loss, Loss)]


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def one(path: Path, content: str | bytes) -> Document:
    [document] = read(write(path, content)).values()
    assert isinstance(document, Document), document
    return document


def reason(path: Path, content: str | bytes) -> str:
    [skipped] = read(write(path, content)).values()
    assert isinstance(skipped, Skipped), skipped
    assert skipped.line == 0
    return skipped.reason


def test_a_folder_gives_one_document_a_file_in_path_order(tmp_path: Path) -> None:
    for name in ["b.txt", "a/z.md", "a/b/c.py", "README", ".hidden.txt", ".git/x.txt", "a/__pycache__/c.txt"]:
        write(tmp_path / name, f"text of {name}")
    found = list(read_folder(tmp_path, settings()))
    assert [document.doc_id for document in found] == ["README", "b.txt", "a/z.md", "a/b/c.py"]
    assert all(isinstance(document, Document) for document in found)
    assert found == list(read_folder(tmp_path, settings()))


def test_a_single_file_is_named_by_its_name_and_can_be_opened_by_its_uri(tmp_path: Path) -> None:
    document = one(tmp_path / "deep" / "note one.txt", "words\r\nmore\rlast")
    assert (document.doc_id, document.title, document.text) == ("note one.txt", "note one", "words\nmore\nlast")
    assert document.uri == (tmp_path / "deep" / "note one.txt").resolve().as_uri()


@pytest.mark.parametrize("name", ["missing", "missing/file.txt", "x" * 5000, "nul\0"])
def test_a_path_that_is_not_there_is_refused_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_folder(tmp_path / name, settings())


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.bin", b"x", "files of type .bin are not read"),
        (
            "a.jsonl",
            "{" * (4 * MAX + 1),
            "larger than 40,000 bytes (40,001); to index its records, name the file itself",
        ),
        ("a.txt", b"\x00\x01", "binary, not text"),
        ("a.txt", b"caf\xe9", "not valid UTF-8 (byte 4)"),
        ("a.txt", b"\xff\xfea", "not valid UTF-16 (byte 3)"),
        ("a.txt", " \n", "holds no text"),
        ("a.txt", "x" * (MAX + 1), "longer than 10,000 characters (10,002)"),
        ("a.txt", "x" * (4 * MAX + 1), "larger than 40,000 bytes (40,001)"),
        ("a.html", "<p>" + "<div>" * 600 + "x", "its elements nest deeper than 512 levels"),
        ("a.pdf", b"%PDF-1.4 nothing", "not a readable PDF"),
        ("a\nb.txt", "x", "doc_id holds a control character"),
    ],
)
def test_what_cannot_be_read_is_reported(tmp_path: Path, name: str, content: str | bytes, expected: str) -> None:
    assert expected in reason(tmp_path / name, content)


def test_text_with_a_byte_order_mark_is_decoded(tmp_path: Path) -> None:
    assert one(tmp_path / "a.txt", "é".encode("utf-16")).text == "é"
    assert one(tmp_path / "b.txt", b"\xef\xbb\xbfplain").text == "plain"


def test_links_out_of_the_folder_loops_and_special_files_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "outside" / "secret.txt", "secret")
    root = tmp_path / "root"
    write(root / "sub" / "a.txt", "inside")
    (root / "in.txt").symlink_to(root / "sub" / "a.txt")
    (root / "out.txt").symlink_to(tmp_path / "outside" / "secret.txt")
    (root / "up").symlink_to(tmp_path / "outside")
    (root / "again").symlink_to(root)
    (root / "loop.txt").symlink_to(root / "loop.txt")
    (root / "gone.txt").symlink_to(root / "nothing.txt")
    os.mkfifo(root / "pipe.txt")
    found = read(root)
    assert {name for name, item in found.items() if isinstance(item, Document)} == {"sub/a.txt", "in.txt"}
    reasons = {name: item.reason for name, item in found.items() if isinstance(item, Skipped)}
    assert set(reasons) == {"out.txt", "up", "again", "loop.txt", "gone.txt", "pipe.txt"}
    assert reasons["pipe.txt"] == "not a regular file"
    assert "not followed" in reasons["out.txt"]
    assert "not followed" in reasons["up"]


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux alone")
def test_a_file_name_that_is_no_unicode_is_shown_escaped(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_text("x")
    [skipped] = read(tmp_path).values()
    assert skipped.doc_id == "caf\\udce9.txt"


def test_markdown_keeps_its_source_and_takes_the_heading(tmp_path: Path) -> None:
    source = "intro\n\n## Setting *up*\n\nwords\n"
    document = one(tmp_path / "a.md", source)
    assert (document.title, document.text) == ("Setting *up*", source)


def test_python_takes_the_docstrings_first_line_and_keeps_its_source(tmp_path: Path) -> None:
    source = '"""Reads things.\n\nMore.\n"""\nx = "\\d"\n'
    document = one(tmp_path / "pkg" / "a.py", source)
    assert (document.title, document.text) == ("Reads things.", source)
    assert one(tmp_path / "broken.py", "def f(:\n").title == "broken"
    assert one(tmp_path / "latin.py", b"# -*- coding: latin-1 -*-\nname = 'caf\xe9'\n").text.endswith("'café'\n")


def test_html_becomes_readable_text(tmp_path: Path) -> None:
    document = one(
        tmp_path / "a.html",
        """<html><head><title> My
        page </title><style>p {}</style></head><body><nav>Menu</nav><script>var x = "<p>no</p>";</script>
        <h1>Top</h1><p>One <b>bold</b>   word.<br>Next&nbsp;line &amp; more.</p><ul><li>first<li>second</ul>
        <pre>def f():
    return  1</pre><h3>Sub</h3>tail<!-- hidden --></body></html>""",
    )
    assert document.title == "My page"
    assert document.text == (
        "# Top\n\nOne bold word.\nNext line & more.\n\n"
        "- first\n\n- second\n\ndef f():\n    return  1\n\n### Sub\n\ntail"
    )


def test_where_a_page_leads_is_kept_without_what_every_page_leads_to(tmp_path: Path) -> None:
    body = (
        "<nav><a href=all.html>All</a></nav><p><a href='b.html'>b</a> <a href='b.html'>again</a> <a href='#top'>up</a>"
    )
    document = one(tmp_path / "a.html", f"<title>A</title>{body} <a href='../c.html#x'>c</a> <a>none</a></p>")
    assert document.metadata == {"links": ["b.html", "../c.html#x"]}


def test_html_without_a_title_takes_its_first_heading_and_declared_characters_are_decoded(tmp_path: Path) -> None:
    document = one(tmp_path / "a.htm", "<meta charset='iso-8859-1'><h1>Café</h1><p>x</p>".encode("latin-1"))
    assert document.title == "Café"
    assert one(tmp_path / "b.html", "<meta charset='rot13'><p>café</p>").text == "café"


def test_rst_becomes_readable_text(tmp_path: Path) -> None:
    document = one(
        tmp_path / "a.rst", "Title\n=====\n\nSee :func:`read <io.read>`.\n\n.. function:: read(path)\n\n   Reads.\n"
    )
    assert document.title == "Title"
    assert document.text == "# Title\n\nSee read.\n\nread(path)\n\n   Reads."


def pdf(*pages: str, title: str = "", password: str = "") -> bytes:
    writer = PdfWriter()
    for text in pages:
        page = writer.add_blank_page(width=300, height=300)
        font = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica", "/Encoding": "/WinAnsiEncoding"}
        named = DictionaryObject({NameObject(key): NameObject(value) for key, value in font.items()})
        fonts = DictionaryObject({NameObject("/F1"): named})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        content = DecodedStreamObject()
        content.set_data(f"BT /F1 12 Tf 20 200 Td ({text}) Tj ET".encode())
        page[NameObject("/Contents")] = content
    if title:
        writer.add_metadata({"/Title": title})
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_pdf_gives_the_text_of_its_pages(tmp_path: Path) -> None:
    document = one(tmp_path / "a.pdf", pdf("First page", "Second page", title="The Report"))
    assert (document.title, document.text) == ("The Report", "First page\n\n\fSecond page")
    assert reason(tmp_path / "scan.pdf", pdf("")) == "holds no text"


def test_a_pdf_with_a_password_is_reported(tmp_path: Path) -> None:
    assert "password" in reason(tmp_path / "a.pdf", pdf("secret", password="x"))


def test_without_pypdf_a_pdf_is_skipped_with_the_command_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "import" / "pypdf.py", "raise ImportError")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "import"), *sys.path]))
    write(tmp_path / "a.txt", "text")
    write(tmp_path / "b.pdf", pdf("x"))
    found = read(tmp_path)
    assert isinstance(found["a.txt"], Document)
    missing = found["b.pdf"]
    assert isinstance(missing, Skipped)
    assert "pip install pypdf" in missing.reason


@pytest.mark.parametrize(
    "unit", ["<div>", "<x></y>", "<p>", "<a b=", "<!--", "<script>", "<table><tr><td>", "&", "<pre>"]
)
@pytest.mark.timeout(20, func_only=True)
def test_broken_html_does_not_hang(tmp_path: Path, unit: str) -> None:
    path = write(tmp_path / "a.html", "<p>x</p>" + unit * (500_000 // len(unit)))
    read(path, max_document_chars=1_000_000)


def test_a_page_that_only_leads_on_is_no_document(tmp_path: Path) -> None:
    stub = "<title>Moved</title><meta {} content='0; URL=new.html'><p>This page has moved.</p>"
    assert reason(tmp_path / "a.html", stub.format('http-equiv="Refresh"')) == "only leads to another page"
    assert one(tmp_path / "b.html", stub.format('name="refresh"')).title == "Moved"
    reloads = "<meta http-equiv=refresh content=300><p>Scores, new every five minutes"
    assert one(tmp_path / "c.html", reloads).text == "Scores, new every five minutes"
    assert one(tmp_path / "d.html", stub.format("http-equiv=refresh") + "<p>word" * 500).title == "Moved"


def test_code_of_a_page_is_fenced_where_a_line_of_it_would_read_as_a_heading(tmp_path: Path) -> None:
    document = one(tmp_path / "a.html", "<p>Run:<pre># Install\npip <b>install</b> x\n</pre><p>Done.")
    assert document.text == "Run:\n\n```\n# Install\npip install x\n\n```\n\nDone."


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.rst", "a.html", "a.py", "a.pdf"])
def test_soft_hyphens_go_whatever_the_form(tmp_path: Path, name: str) -> None:
    content = pdf("docu\\255mentation") if name == "a.pdf" else "docu\xadmentation"
    assert one(tmp_path / name, content).text == "documentation"


def test_the_document_of_a_file_that_was_emptied_is_gone_and_that_of_a_broken_one_is_not(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text(" ", "utf-8")
    (tmp_path / "broken.docx").write_bytes(b"no archive")
    came = Came()
    assert came.documents(read_folder(tmp_path, settings())) == []
    assert came.skipped_total == 2
    uri = address(tmp_path)
    assert came.gone({"empty.txt": f"{uri}empty.txt", "broken.docx": f"{uri}broken.docx"}, False) == ["empty.txt"]


def test_a_json_file_that_is_none_is_read_as_text_and_says_so(tmp_path: Path) -> None:
    assert losses(tmp_path / "a.json", "{broken soup") == ["is no JSON, so it is read as plain text"]
    assert losses(tmp_path / "b.json", '{"title": "soup"}') == []
