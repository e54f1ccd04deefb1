"""Files that somebody sent: documents under their names, records under their own ids, nothing outside the folder."""

from __future__ import annotations

import io
from pathlib import Path

from tribrid.config import Config
from tribrid.corpus.jsonlines import Skipped
from tribrid.corpus.uploaded import uploaded
from tribrid.types import Document


def read(folder: Path, **files: bytes) -> list[Document | Skipped]:
    sent = [(name, io.BytesIO(content)) for name, content in files.items()]
    return list(uploaded(sent, folder, Config().indexing))


def test_files_and_records_become_documents_in_their_order(tmp_path: Path) -> None:
    found = read(tmp_path, **{"notes/a.md": b"# Leave\n\nThirty days.", "b.NDJSON": b'{"_id": "r", "text": "x"}\n{}'})
    first, second, third = found
    assert first == Document("notes/a.md", "# Leave\n\nThirty days.", "Leave")
    assert second == Document("r", "x")
    assert isinstance(third, Skipped)
    assert not list(tmp_path.iterdir())


def test_a_name_leads_nowhere_but_down(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    found = read(folder, **{"../../a.md": b"text", "/etc/b.md": b"text", "..": b"text", "x" * 300 + ".md": b"text"})
    assert [one.doc_id for one in found] == ["a.md", "etc/b.md", None, None]
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_what_is_not_read_is_said_under_the_files_name(tmp_path: Path) -> None:
    (found,) = read(tmp_path, **{"sub/a.xyz": b"?"})
    assert isinstance(found, Skipped)
    assert (found.doc_id, found.reason) == ("sub/a.xyz", "files of type .xyz are not read")
