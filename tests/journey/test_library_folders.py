"""Folders that change, cannot be listed or are empty: what was in them is deleted only if it is known to be gone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import handmade
from tribrid.app import Tribrid
from tribrid.app.documents import Documents
from tribrid.errors import InvalidInput, StaleIndex
from tribrid.types import Document
from tribrid.workspace.data_folder import DataFolder

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataFolder]:
    opened = handmade.opened(tmp_path_factory.mktemp("encoder"))
    yield opened
    opened.close()


@pytest.fixture
def tribrid(encoder: DataFolder, tmp_path: Path) -> Iterator[Tribrid]:
    with Tribrid(tmp_path / "data") as opened:
        opened.folder.share_encoders(encoder)
        opened.create_corpus("c")
        yield opened


@pytest.fixture
def documents(tribrid: Tribrid) -> Documents:
    return tribrid.corpus("c").documents


def fill(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"soup of {root.name}/{name}")
    return root


def held(tribrid: Tribrid) -> set[str]:
    return set(tribrid.store.documents.hashes("c"))


def unlistable(monkeypatch: pytest.MonkeyPatch, folder: Path, error: OSError) -> None:
    listed = os.scandir

    def scandir(path: str | Path = ".") -> Any:
        if Path(path) == folder:
            raise error
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("where", ["y", "y/deep", "."])
def test_nothing_below_a_folder_that_cannot_be_listed_is_gone(
    tribrid: Tribrid, documents: Documents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: bool, where: str
) -> None:
    root = fill(tmp_path / "root", "x/1.md", "x/2.md", "y/1.md", "y/deep/2.md", "yy/1.md")
    assert documents.add_path(root).documents == 5
    for name in ("x/1.md", "yy/1.md"):
        (root / name).unlink()
    (root / "x" / "2.md").write_bytes(b"\xff\xfe\xfd")
    fill(root, "yy/2.md")
    unlistable(monkeypatch, root / where, PermissionError(13, "Permission denied"))
    report = documents.add_path(root, mirror=mirror)
    kept = {"x/2.md", "y/1.md", "y/deep/2.md"}
    new = {"yy/2.md"}
    assert held(tribrid) == (kept | new if where != "." else kept | {"x/1.md", "yy/1.md"})
    assert report.deleted == (2 if where != "." else 0)
    assert any((entry.doc_id, "cannot be listed" in entry.reason) == (where, True) for entry in report.skipped)


@pytest.mark.parametrize("where", [".", "y"])
def test_what_came_from_a_folder_that_lists_nothing_is_kept_unless_one_says_so(
    tribrid: Tribrid, documents: Documents, tmp_path: Path, where: str
) -> None:
    root = fill(tmp_path / "root", *(f"y/{number}.md" for number in range(30)), *["x.md"][: where == "y"])
    before = documents.add_path(root).documents
    shutil.rmtree(root / "y")
    (root / where).mkdir(exist_ok=True)
    for mirror in (False, True):
        report = documents.add_path(root, mirror=mirror)
        assert (len(held(tribrid)), report.deleted, report.skipped_total) == (before, 0, 1)
        assert f"{str(root / where)!r} lists no files, and 30 documents came from it. They are kept" in (
            report.skipped[0].reason
        )
    report = documents.add_path(root, delete_emptied=True)
    assert (len(held(tribrid)), report.deleted, report.skipped_total) == (before - 30, 30, 0)
    assert documents.add_path(root).skipped_total == 0, "nothing is missed any more"


def test_a_folder_takes_away_its_own_files_alone(tribrid: Tribrid, documents: Documents, tmp_path: Path) -> None:
    documents.add([Document("http", "soup by HTTP")])
    tribrid.rerank("soup", [{"id": "reranked", "text": "soup by rerank"}], corpus_id="c")
    a, b = fill(tmp_path / "a", "a1.md", "a2.md"), fill(tmp_path / "b", "b1.md")
    documents.add_path(a)
    assert documents.add_path(b).deleted == 0
    assert held(tribrid) == {"http", "reranked", "a1.md", "a2.md", "b1.md"}
    (a / "a1.md").unlink()
    assert (documents.add_path(a).deleted, "a1.md" in held(tribrid)) == (1, False)
    tribrid.rerank("soup", [{"id": "waits", "text": "soup that no index has"}], corpus_id="c")
    assert documents.add_path(b, mirror=True).deleted == 4
    assert held(tribrid) == {"b1.md"}


def test_files_of_one_name_in_two_folders_are_told(documents: Documents, tmp_path: Path) -> None:
    a, b = fill(tmp_path / "a", "README.md", "a.md"), fill(tmp_path / "b", "README.md")
    first, second, again = (documents.add_path(folder) for folder in (a, b, b))
    assert (first.replaced_total, again.replaced_total) == (0, 0)
    assert (second.replaced_total, second.replaced, second.duplicates_total) == (1, ("README.md",), 0)
    shutil.move(a, tmp_path / "moved")
    assert documents.add_path(tmp_path / "moved").replaced == ("README.md",), "a.md says what it said"


def test_what_is_gone_since_an_interruption_is_not_embedded(
    tribrid: Tribrid, documents: Documents, tmp_path: Path
) -> None:
    root = fill(tmp_path / "root", *(f"{number}.md" for number in range(28)))

    class Killed(Exception):
        pass

    def killed(kind: str, data: Mapping[str, Any]) -> None:
        if data.get("done") == 28:
            raise Killed

    with pytest.raises(Killed):
        documents.add_path(root, emit=killed)
    with pytest.raises(StaleIndex, match=r"28 documents and no index: its indexing was interrupted\. Index the same"):
        tribrid.corpus("c").search("soup")
    for number in range(18):
        (root / f"{number}.md").unlink()
    told: list[Mapping[str, Any]] = []
    report = documents.add_path(root, emit=lambda _, data: told.append(data))
    assert (report.documents, report.embedded, report.unchanged, report.deleted) == (10, 10, 0, 18)
    stages = {data["stage"]: data for data in told}
    assert [stages["reading"][name] for name in ("done", "total", "unit")] == [10, 10, "files"]
    assert [stages["embedding"][name] for name in ("done", "total", "unit")] == [10, 10, "passages"]


def test_the_one_cause_of_a_missing_index_is_named(tribrid: Tribrid, documents: Documents, tmp_path: Path) -> None:
    corpus, causes = tribrid.corpus("c"), []

    def search(_: str, data: Mapping[str, Any]) -> None:
        if data["stage"] == "reading" and data["done"] == 3:
            with pytest.raises(StaleIndex) as refused:
                corpus.search("soup")
            causes.append(str(refused.value.detail))

    documents.add_path(fill(tmp_path / "root", "1.md", "2.md", "3.md"), emit=search)
    assert causes
    assert "is being made for the first time" in causes[0]
    assert corpus.search("soup").results
    tribrid.create_corpus("r")
    tribrid.rerank("soup", ["soup of the day"], corpus_id="r")
    with pytest.raises(StaleIndex, match="came with a rerank"):
        tribrid.corpus("r").search("soup")


def test_what_is_not_wanted_any_more_is_gone(tribrid: Tribrid, documents: Documents, tmp_path: Path) -> None:
    root = fill(tmp_path / "root", "a.md", "b.txt", "drafts/c.md", "made/d.md")
    assert documents.add_path(root).left_out == 0
    (root / ".gitignore").write_text("made/\n")
    told: list[Mapping[str, Any]] = []
    report = documents.add_path(root, exclude=["drafts/"], emit=lambda _, data: told.append(data))
    assert (held(tribrid), report.deleted, report.left_out) == ({"a.md", "b.txt"}, 2, 2)
    assert [data["total"] for data in told if data["stage"] == "reading"][-1] == 2
    assert documents.add_path(root, include=["*.txt"], exclude=["drafts/"]).deleted == 1
    with pytest.raises(InvalidInput, match="include"):
        documents.add_path(root, include=["!"])
    assert held(tribrid) == {"b.txt"}


def test_a_preview_says_what_would_come_and_stores_nothing(
    tribrid: Tribrid, documents: Documents, tmp_path: Path
) -> None:
    root = fill(tmp_path / "root", "a.md", "b.md", "drafts/c.md")
    documents.add_path(root)
    before = tribrid.store.documents.hashes("c")
    (root / "b.md").unlink()
    fill(root, "d.md", "e.bin")
    (root / "f.txt").write_bytes(b"caf\xe9 " + b"soup " * 50)
    found = documents.preview_path(root, exclude=["drafts"])
    assert [(row.doc_id, row.characters) for row in found.read] == [("a.md", 17), ("d.md", 17), ("f.txt", 255)]
    assert [(row.doc_id, row.reason) for row in found.skipped] == [("e.bin", "files of type .bin are not read")]
    assert [row.doc_id for row in found.losses] == ["f.txt"]
    assert [(row.doc_id, row.reason) for row in found.left_out] == [("drafts", "excluded")]
    assert found.deleted == ("b.md", "drafts/c.md")
    assert tribrid.store.documents.hashes("c") == before
    report = documents.add_path(root, exclude=["drafts"])
    assert (report.deleted, held(tribrid)) == (2, {row.doc_id for row in found.read})
    records = tmp_path / "records.jsonl"
    records.write_text('{"doc_id": "r", "text": "soup"}\n{}\n')
    found = documents.preview_path(records, mirror=True)
    assert ([row.doc_id for row in found.read], found.skipped[0].line, found.deleted) == (
        ["r"],
        2,
        ("a.md", "d.md", "f.txt"),
    )
