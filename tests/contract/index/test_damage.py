"""An index whose files are no longer what was written: said, by name, and made anew."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tribrid.errors import Failed, StaleIndex, Unavailable
from tribrid.retrieval.index import Index
from tribrid.retrieval.lance import _reading, _writing
from tribrid.retrieval.publication import read_publication

CHANGED_BYTES = 200


def _largest(folder: Path) -> Path:
    return max(folder.glob("*.lance/data/*"), key=lambda path: path.stat().st_size)


def cut_short(folder: Path) -> None:
    data = _largest(folder)
    data.write_bytes(data.read_bytes()[:100])


def change(folder: Path) -> None:
    data = _largest(folder)
    held = bytearray(data.read_bytes())
    held[50 : 50 + CHANGED_BYTES] = bytes(byte ^ 1 for byte in held[50 : 50 + CHANGED_BYTES])
    data.write_bytes(held)


def lose_the_manifest(folder: Path) -> None:
    min(folder.glob("*.lance/_versions/*.manifest")).unlink()  # Lance counts them down: the newest


def lose_the_publication(folder: Path) -> None:
    (folder / "published.json").unlink()


DAMAGE = (cut_short, change, lose_the_manifest, lose_the_publication)


@pytest.fixture
def folder(make, tmp_path):
    """An index of two passages."""
    make.publish(Index.open(tmp_path / "index"), [make.passage("a", "cells"), make.passage("b", "stars")])
    return tmp_path / "index"


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("whole", [False, True])
def test_damage_is_seen_and_the_way_out_is_named(folder: Path, damage: Callable[[Path], None], whole: bool) -> None:
    index = Index.open(folder)
    index.check(whole=whole)
    damage(folder)
    for found in (index, Index.open(folder)):  # one that has it open, and one that opens it
        with pytest.raises(StaleIndex, match="--rebuild"):
            found.check(whole=whole)


@pytest.mark.parametrize("damage", [cut_short, change, lose_the_manifest])
def test_a_damaged_index_is_not_opened(folder: Path, damage: Callable[[Path], None]) -> None:
    damage(folder)
    with pytest.raises(StaleIndex, match="damaged"):
        Index.open(folder).bm25("cells", 5)


@pytest.mark.parametrize("damage", DAMAGE)
def test_made_anew_it_is_whole_and_is_gone_on_from(make, folder: Path, damage: Callable[[Path], None]) -> None:
    damage(folder)
    index = Index.open(folder)
    with index.writer("f", make.dim, anew=True) as writer:
        assert writer.doc_hashes() == {}
        make.add(writer, [make.passage("a", "cells")])
        writer.publish()
    index.check(whole=True)
    assert [hit.key for hit in index.bm25("cells", 5)] == [("a", 0)]
    make.publish(index, [make.passage("c", "moons")])
    index.check(whole=True)
    assert set(index.doc_hashes()) == {"a", "c"}
    assert len(list(folder.glob("*.lance"))) == 1


def test_nothing_is_added_to_a_damaged_index(make, folder: Path) -> None:
    change(folder)
    index = Index.open(folder)
    with pytest.raises(StaleIndex, match="was changed"):
        make.publish(index, [make.passage("c", "moons")])


def test_a_copy_is_no_damage(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copyfile)  # other times, the same bytes
    copied = Index.open(tmp_path / "copy")
    copied.check()
    assert copied.count() == 2


def test_what_an_older_version_published_is_read_and_noted_at_the_next_sync(make, folder: Path) -> None:
    (folder / "checksums.json").unlink()
    index = Index.open(folder)
    index.check(whole=True)
    assert len(index.bm25("cells", 5)) == 1
    make.publish(index, [])
    cut_short(folder)
    with pytest.raises(StaleIndex, match="bytes instead of"):
        index.check()


def test_a_missing_index_is_no_damage(tmp_path: Path) -> None:
    index = Index.open(tmp_path / "none")
    index.check(whole=True)
    assert read_publication(tmp_path / "none") is None


def test_an_index_that_is_being_made_is_no_damage(make, tmp_path: Path) -> None:
    index = Index.open(tmp_path / "index")
    with index.writer("f", make.dim) as writer:
        make.add(writer, [make.passage("a", "cells")])
        index.check()
    with pytest.raises(StaleIndex, match="never finished"):
        index.check()


LANCE = (
    "lance error: LanceError(IO): Generic LocalFileSystem error: Unable to open file, "
    "/a/builder/rust/lance-io/src/local.rs:133:31"
)


def test_messages_quote_no_place_in_a_librarys_source() -> None:
    with pytest.raises(StaleIndex) as read, _reading():
        raise OSError(LANCE)
    with pytest.raises(Failed) as written, _writing():
        raise RuntimeError(LANCE)
    with pytest.raises(Unavailable, match="the disk is full"), _writing():
        raise RuntimeError(f"{LANCE}: No space left on device (os error 28)")
    assert "Unable to open file." in read.value.detail
    assert "builder" not in read.value.detail
    assert written.value.detail.endswith("Unable to open file.")
