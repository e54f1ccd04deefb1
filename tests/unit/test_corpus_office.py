"""Word documents and notebooks: what a reader sees, headings as such, code in fences."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from tribrid.corpus.contents import Unreadable
from tribrid.corpus.office import read_docx, read_notebook

NAMESPACES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
)
STYLES = '<w:style w:styleId="berschrift2"><w:name w:val="heading 2"/></w:style>'


MAX = 100_000


def docx(body: str, styles: str | None = STYLES) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as parts:
        parts.writestr("word/document.xml", f"<w:document {NAMESPACES}><w:body>{body}</w:body></w:document>")
        if styles is not None:
            parts.writestr("word/styles.xml", f"<w:styles {NAMESPACES}>{styles}</w:styles>")
    return out.getvalue()


def run(text: str) -> str:
    return f"<w:r><w:t>{text}</w:t></w:r>"


def test_a_word_document_is_its_paragraphs() -> None:
    found = read_docx(
        docx(
            f"<w:p><w:pPr><w:pStyle w:val='berschrift2'/></w:pPr>{run('Le')}{run('ave')}</w:p><w:p/>"
            f"<w:p><w:pPr><w:tabs><w:tab/></w:tabs></w:pPr>{run('One')}<w:r><w:br/></w:r>{run('two')}</w:p>"
            f"<w:p><w:del><w:r><w:delText>gone</w:delText></w:r></w:del>{run('kept')}</w:p>"
            f"<w:tbl><w:tr><w:tc><w:p>{run('cell')}</w:p></w:tc></w:tr></w:tbl>"
            f"<mc:AlternateContent><mc:Choice><w:p>{run('box')}</w:p></mc:Choice>"
            f"<mc:Fallback><w:p>{run('box')}</w:p></mc:Fallback></mc:AlternateContent>"
        ),
        MAX,
    )
    assert found.text == "## Leave\n\nOne\ntwo\n\nkept\n\ncell\n\nbox"
    assert found.title == "Leave"
    assert read_docx(docx(f"<w:p>{run('x')}</w:p>", None), MAX).text == "x"


@pytest.mark.parametrize("data", [b"", b"no zip", docx("<w:p>"), docx("")[:-30]])
def test_what_is_no_word_document_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable, match="not a readable Word document"):
        read_docx(data, MAX)


def notebook(*cells: dict[str, object]) -> bytes:
    return json.dumps({"nbformat": 4, "cells": cells}).encode()


def test_a_notebook_is_its_cells_without_outputs() -> None:
    found = read_notebook(
        notebook(
            {"cell_type": "code", "source": ["# not a heading\n", "x = 1"], "outputs": [{"text": "out"}]},
            {"cell_type": "markdown", "source": "# Title\n\nwords\n"},
            {"cell_type": "code", "source": []},
            {"cell_type": "code", "source": '"""\n```\n"""'},
        )
    )
    assert found.title == "Title"
    assert found.losses == ("the outputs of 1 cell are not read",)
    assert found.text == '```\n# not a heading\nx = 1\n```\n\n# Title\n\nwords\n\n````\n"""\n```\n"""\n````'


def test_what_a_notebook_says_twice_is_said() -> None:
    found = read_notebook(b'{"cells": [{"cell_type": "markdown", "source": "a", "source": "b"}]}')
    assert (found.text, found.losses) == (
        "b",
        ("the name 'source' comes twice in one object: only its last value is read",),
    )


@pytest.mark.parametrize("data", [b"{", b"[]", b"{}", b'{"cells": [3]}', b'{"cells": [{"source": 3}]}', b"[" * 100_000])
def test_what_is_no_notebook_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable, match="not a readable notebook"):
        read_notebook(data)
