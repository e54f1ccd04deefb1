"""What is counted over an index's passages: one of its files, read by every process, and made anew with measure."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tribrid.encoders.tokens import PassageTokens
from tribrid.errors import StaleIndex
from tribrid.retrieval import spaces
from tribrid.retrieval.index import Index
from tribrid.retrieval.publication import Publication, read_publication
from tribrid.scoring.features import CorpusStatistics

VOCABULARY = 50
READ = """
import sys
from pathlib import Path
from tribrid.retrieval.index import Index
found = Index.open(Path(sys.argv[1])).statistics()
print(found.mean_tokens, float(found.idf.sum()))
"""


class Counter:
    """Counts passages as tokens of their bytes, and how often it was asked."""

    def __init__(self) -> None:
        self.counted: list[int] = []

    def __call__(self, packed):
        tokens = []
        for blob, vector in packed:
            ids = np.frombuffer(blob[:-2], np.uint8).astype(np.int64) % VOCABULARY
            codes, scales = np.zeros((len(ids), 4), np.int8), np.ones(len(ids), np.float32)
            tokens.append(PassageTokens(ids, codes, scales, 0, ids, vector))
        self.counted.append(len(tokens))
        return CorpusStatistics.count(tokens, VOCABULARY, 8)


def publish(make, index, count, passages=(), *, delete=(), purge=False, anew=False):
    with index.writer("f", make.dim, anew=anew) as writer:
        writer.delete_docs(delete)
        if passages:
            vectors = np.random.default_rng(len(passages)).normal(size=(len(passages), make.dim)).astype(np.float32)
            make.add(writer, passages, list(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)))
        writer.publish(purge=purge, count=count)


def told(index: Index) -> CorpusStatistics:
    found = index.statistics()
    assert found is not None
    return found


def published(folder: Path) -> Publication:
    found = read_publication(folder)
    assert found is not None
    return found


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("space-*"))


@pytest.fixture
def folder(make, tmp_path):
    """An index of fifty passages with its space."""
    publish(make, Index.open(tmp_path / "index"), Counter(), make.prose(1, 50))
    return tmp_path / "index"


def test_another_process_reads_what_was_counted(folder: Path) -> None:
    found = told(Index.open(folder))
    assert found.space.hubs.shape == (50, 8)
    done = subprocess.run([sys.executable, "-c", READ, str(folder)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(found.mean_tokens), str(float(found.idf.sum()))]


def test_it_is_made_anew_when_a_fifth_of_the_documents_has_changed(make, folder: Path) -> None:
    index, count = Index.open(folder), Counter()
    first = told(index)
    publish(make, index, count)
    publish(make, index, count, make.prose(2, 4, start=100), delete=["d0", "d1", "d2"])
    assert (count.counted, told(index).mean_tokens) == ([], first.mean_tokens)
    publish(make, index, count, make.prose(3, 3, start=200))
    assert count.counted == []
    publish(make, index, count, make.prose(4, 1, start=300))  # 4 + 3, 3, 1 of 55: in all a fifth
    assert published(folder).space_changed == 11
    publish(make, index, count, make.prose(5, 1, start=400))
    assert count.counted == [56]
    assert told(index).space.hubs.shape == (56, 8)
    assert files(folder) == [published(folder).space], "the one before is gone"
    index.check(whole=True)


def test_a_document_that_changed_counts_once(make, folder: Path) -> None:
    publish(make, Index.open(folder), Counter(), [make.passage("d7", "other words")], delete=["d7"])
    assert published(folder).space_changed == 1


def test_what_was_deleted_is_in_no_file_after_a_purge(make, folder: Path) -> None:
    index, count = Index.open(folder), Counter()
    publish(make, index, count, delete=["d0"], purge=True)
    assert count.counted == [49]
    assert told(index).space.hubs.shape == (49, 8)


def test_an_older_release_published_none_and_the_next_run_makes_it(make, folder: Path) -> None:
    new = json.loads((folder / "published.json").read_text())
    old = {name: new[name] for name in ("table", "version", "fingerprint", "passages")}
    (folder / "published.json").write_text(json.dumps(old))
    (folder / new["space"]).unlink()
    (folder / "checksums.json").unlink()
    index, count = Index.open(folder), Counter()
    assert (index.has_statistics, index.statistics()) == (False, None)
    assert len(index.bm25("word1", 5)) == 5, "it is searched as before"
    publish(make, index, count)
    assert (count.counted, index.has_statistics, files(folder)) == ([50], True, [new["space"]])
    assert index.statistics() is not None, "also by who had it open"
    index.check(whole=True)


@pytest.mark.parametrize("damage", ["cut short", "changed", "lost"])
def test_a_damaged_one_is_seen_and_made_anew_with_the_rest(make, folder: Path, damage: str) -> None:
    (path,) = folder.glob("space-*")
    held = path.read_bytes()
    if damage == "lost":
        path.unlink()
    else:
        path.write_bytes(held[:100] if damage == "cut short" else held[:-8] + bytes(8))
    for call in (Index.open(folder).check, Index.open(folder).statistics):
        with pytest.raises(StaleIndex, match=path.name):
            call()
    publish(make, Index.open(folder), Counter(), make.prose(1, 50), anew=True)
    assert Index.open(folder).statistics() is not None
    Index.open(folder).check(whole=True)


def test_one_that_nothing_was_noted_of_is_told_when_it_is_read(folder: Path) -> None:
    (path,) = folder.glob("space-*")
    path.write_bytes(b"{}")
    (folder / "checksums.json").unlink()
    with pytest.raises(StaleIndex, match=r"space-.* cannot be read .*--rebuild"):
        Index.open(folder).statistics()


def test_a_reader_of_the_state_before_reads_the_one_that_took_its_place(make, folder: Path) -> None:
    index = Index.open(folder)
    assert index.snapshot() is not None, "opened, and its space not read yet"
    publish(make, Index.open(folder), Counter(), make.prose(2, 60, start=100))
    assert told(index).space.hubs.shape == (110, 8)


def test_a_corpus_without_passages_has_one_that_says_nothing(make, tmp_path) -> None:
    index = Index.open(tmp_path / "index")
    publish(make, index, Counter())
    assert told(index).mean_tokens == 1.0


def test_so_many_passages_are_counted_and_no_more(make, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tribrid.retrieval.writer.SAMPLED", 20)
    monkeypatch.setattr("tribrid.retrieval.writer._SAMPLED_AT_ONCE", 7)
    count = Counter()
    publish(make, Index.open(tmp_path / "index"), count, make.prose(1, 60))
    assert count.counted == [20]


@pytest.mark.parametrize(("changed", "outdated"), [(0, False), (20, False), (21, True)])
def test_a_fifth_is_the_bound(changed: int, outdated: bool) -> None:
    assert spaces.is_outdated(changed, 100) is outdated
