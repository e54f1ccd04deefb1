"""Syncs of documents into an index: what is embedded, what goes, what a killed sync leaves."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import threading
import time
import zlib
from itertools import pairwise

import numpy as np
import pytest

from tribrid.config.sections import IndexingConfig
from tribrid.encoders.tokens import PassageTokens
from tribrid.errors import Failed
from tribrid.retrieval import indexer
from tribrid.retrieval.index import Index
from tribrid.retrieval.indexer import (
    EMBED_PASSAGES,
    FETCH_DOCUMENTS,
    Stored,
    index_fingerprint,
    sync_index,
    terms_are_old,
)
from tribrid.scoring.features import CorpusStatistics
from tribrid.types import Document

CONFIG = IndexingConfig.model_validate({"passage_chars": 200, "passage_overlap_chars": 0})


class BagOfWords:
    """A real, tiny encoder: words hashed into 16 numbers. Remembers what it was asked for."""

    dim = 16

    def __init__(self, fingerprint="bag", fail_after=None):
        self.fingerprint = fingerprint
        self.batches = []
        self._fail_after = fail_after

    def embed_passages(self, passages):
        if self._fail_after is not None and len(self.batches) >= self._fail_after:
            raise Failed("out of memory")
        self.batches.append([passage.key for passage in passages])
        return np.stack([self.embed_query(passage.text) for passage in passages]), [b"t"] * len(passages)

    def embed_each(self, batches):
        return map(self.embed_passages, batches)

    def embed_query(self, text):
        vector = np.full(self.dim, 1e-3, np.float32)
        for word in text.split():
            vector[zlib.crc32(word.encode()) % self.dim] += 1
        return vector / np.linalg.norm(vector)

    @property
    def doc_ids(self):
        return sorted({doc_id for batch in self.batches for doc_id, _ in batch})


def count(packed):
    """Of passages of one token each."""
    nothing, one = np.zeros((1, 4), np.int8), np.ones(1, np.float32)
    tokens = [PassageTokens(np.array([7]), nothing, one, 0, np.array([1]), vector) for _, vector in packed]
    return CorpusStatistics.count(tokens, 10, BagOfWords.dim)


class Slow(BagOfWords):
    """Takes its time by the character."""

    def embed_passages(self, passages):
        time.sleep(sum(len(passage.text) for passage in passages) * 1e-5)
        return super().embed_passages(passages)


class Corpus:
    """Documents as the store has them: hashes of all, texts on request."""

    def __init__(self, **texts):
        self.documents = {doc_id: Document(doc_id, text) for doc_id, text in texts.items()}
        self.fetched = []

    def put(self, doc_id, text):
        self.documents[doc_id] = Document(doc_id, text)

    @property
    def hashes(self):
        return {key: hashlib.sha256(document.text.encode()).hexdigest() for key, document in self.documents.items()}

    def fetch(self, doc_ids):
        self.fetched.append(list(doc_ids))
        return {doc_id: self.documents[doc_id] for doc_id in doc_ids if doc_id in self.documents}


@pytest.fixture
def index(tmp_path):
    return Index.open(tmp_path / "index")


def sync(index, corpus, embedder=None, config=CONFIG, events=None):
    report = sync_index(
        Stored(corpus.fetch, lambda: corpus.hashes),
        index=index,
        embedder=embedder or BagOfWords(),
        config=config,
        emit=lambda kind, data: None if events is None else events.append((kind, dict(data))),
        count=count,
    )
    assert index.doc_hashes() == {doc_id: corpus.hashes[doc_id] for doc_id in index.doc_hashes()}
    return report


def many(count, length=30):
    return Corpus(**{f"d{i:04}": f"text number{i} " + "word " * length for i in range(count)})


class TestWhatIsEmbedded:
    def test_the_first_sync_embeds_all(self, index):
        corpus = Corpus(a="cells grow", b="stars " * 100)
        report = sync(index, corpus)
        assert (report.documents, report.embedded, report.unchanged, report.deleted) == (2, 2, 0, 0)
        assert report.passages == report.embedded_passages == index.count() == 4
        assert report.took_s > 0
        assert report.rate_per_s == pytest.approx(report.embedded_passages / report.took_s)
        found = index.passages_of(["a", "b"])
        assert [passage.text for passage in found["a"]] == ["cells grow"]
        assert all(p.text == corpus.documents["b"].text[p.start : p.end] for p in found["b"])

    def test_an_unchanged_corpus_embeds_and_writes_nothing(self, index, tmp_path):
        corpus = many(5)
        sync(index, corpus)
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.suffix != ".lock"}
        again = BagOfWords()
        report = sync(index, corpus, again)
        assert (report.embedded, report.unchanged, report.passages, again.batches) == (0, 5, index.count(), [])
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.suffix != ".lock"} == before
        assert report.rate_per_s == 0

    def test_only_what_changed_is_fetched_and_embedded_and_what_is_gone_goes(self, index):
        corpus = Corpus(a="cells", b="stars", c="sand", d="stone")
        sync(index, corpus)
        corpus.put("b", "comets")
        corpus.put("e", "new")
        del corpus.documents["c"]
        corpus.fetched.clear()
        embedder = BagOfWords()
        report = sync(index, corpus, embedder)
        assert (report.embedded, report.unchanged, report.deleted, report.passages) == (2, 2, 1, 4)
        assert embedder.doc_ids == ["b", "e"]
        assert corpus.fetched == [["b", "e"]] * 2, "counted, then embedded"
        assert set(index.doc_hashes()) == {"a", "b", "d", "e"}
        assert index.bm25("stars", 5) == index.bm25("sand", 5) == []
        assert [hit.key for hit in index.bm25("comets", 5)] == [("b", 0)]

    def test_a_document_that_grew_shorter_leaves_no_old_passage(self, index):
        corpus = Corpus(a="long text " * 100)
        sync(index, corpus)
        corpus.put("a", "short")
        assert sync(index, corpus).passages == 1

    def test_a_corpus_may_become_empty(self, index):
        sync(index, many(3))
        report = sync(index, Corpus())
        assert (report.documents, report.passages, report.deleted) == (0, 0, 3)
        assert index.count() == 0
        assert sync(index, Corpus(a="cells")).passages == 1

    @pytest.mark.parametrize(
        ("config", "fingerprint"),
        [(CONFIG, "other model"), (IndexingConfig.model_validate({"passage_chars": 300}), "bag")],
    )
    def test_other_settings_or_another_model_rebuild(self, index, config, fingerprint):
        corpus = many(3, length=100)
        sync(index, corpus)
        embedder = BagOfWords(fingerprint)
        assert index.fingerprint != index_fingerprint(config, embedder)
        assert sync(index, corpus, embedder, config).embedded == 3
        assert index.fingerprint == index_fingerprint(config, embedder)
        assert sync(index, corpus, embedder, config).embedded == 0

    def test_terms_of_an_older_release_are_made_anew_without_an_encoder(self, index, monkeypatch):
        """Until then its index is searched as it is."""
        corpus = many(7, length=100)
        corpus.documents["owner"] = Document("owner", "They owned a UPS.", title="Power")
        monkeypatch.setattr(indexer, "TAKEN_OVER", 3)
        monkeypatch.setattr(indexer, "ANALYSER", 1)
        sync(index, corpus)
        old, packed = index.fingerprint, index.packed([("owner", 0)])
        monkeypatch.undo()
        assert [hit.key[0] for hit in index.bm25("owned", 5)] == ["owner"]
        assert terms_are_old(index, CONFIG, BagOfWords())
        corpus.documents["owner2"] = Document("owner2", "They owned two.")
        report = sync(index, corpus)
        assert (report.embedded, report.unchanged, report.documents) == (1, 8, 9)
        assert index.fingerprint != old
        assert not terms_are_old(index, CONFIG, BagOfWords())
        assert {hit.key[0] for hit in index.bm25("owned", 5)} == {"owner", "owner2"}
        np.testing.assert_array_equal(index.packed([("owner", 0)])["owner", 0][1], packed["owner", 0][1])
        assert sync(index, corpus).embedded == 0

    def test_identifiers_and_titles_are_found_by_their_parts(self, index):
        corpus = Corpus(a="readHttpHeaders(x)")
        corpus.documents["b"] = Document("b", "plain", title="Comet tails")
        sync(index, corpus)
        assert [hit.key[0] for hit in index.bm25("headers", 5)] == ["a"]
        assert [hit.key[0] for hit in index.bm25("comets", 5)] == ["b"]


class TestBatches:
    def test_memory_is_bounded_by_a_batch_and_documents_stay_whole(self, index):
        corpus, embedder = many(600), BagOfWords()
        corpus.put("d0300", "a long document " * 2000)
        report = sync(index, corpus, embedder)
        assert max(map(len, corpus.fetched)) <= FETCH_DOCUMENTS
        longest = len(index.passages_of(["d0300"])["d0300"])
        assert max(map(len, embedder.batches)) < EMBED_PASSAGES + longest
        held = [{doc_id for doc_id, _ in batch} for batch in embedder.batches]
        assert len(held) > 2
        assert sum(map(len, held)) == report.documents == 600

    def test_progress_counts_passages_and_tells_the_time_from_the_characters_left(self, index):
        events: list[tuple[str, dict[str, float]]] = []
        corpus = many(600)
        for number in range(500, 600):
            corpus.put(f"d{number:04}", "a long document with many words " * 60)
        report = sync(index, corpus, Slow(), events=events)
        assert {kind for kind, _ in events} == {"progress"}
        data = [data for _, data in events]
        assert all(set(found) == {"done", "total", "rate_per_s", "eta_s"} for found in data)
        assert all(a["done"] < b["done"] for a, b in pairwise(data))
        assert {found["total"] for found in data} == {report.embedded_passages}
        assert (data[-1]["done"], data[-1]["eta_s"]) == (report.embedded_passages, 0)
        # The long ones come last: by passages done, less would be left than there is.
        told = [found for found in data[:-1] if found["total"] / 10 <= found["done"] <= found["total"] / 2]
        assert told
        for found in told:
            assert found["eta_s"] > (found["total"] - found["done"]) / found["rate_per_s"], found

    def test_a_document_deleted_meanwhile_is_left_out(self, index):
        corpus = Corpus(a="cells", b="stars")
        hashes = corpus.hashes
        del corpus.documents["b"]
        report = sync_index(
            Stored(corpus.fetch, lambda: hashes),
            index=index,
            embedder=BagOfWords(),
            config=CONFIG,
            emit=lambda kind, data: None,
            count=count,
        )
        assert (report.embedded, set(index.doc_hashes())) == (1, {"a"})


class TestInterruption:
    def test_a_sync_that_waited_sees_the_corpus_as_it_is_then(self, index):
        corpus = Corpus(a="cells")
        with index.writer(index_fingerprint(CONFIG, BagOfWords()), BagOfWords.dim):
            waiting = threading.Thread(target=sync, args=(index, corpus))
            waiting.start()
            waiting.join(0.3)
            corpus.put("b", "stars")
        waiting.join(20)
        assert set(index.doc_hashes()) == {"a", "b"}

    def test_a_failed_sync_shows_nothing_and_the_next_goes_on_from_it(self, index):
        corpus = many(600)
        sync(index, Corpus(old="old text"))
        with pytest.raises(Failed, match="out of memory"):
            sync(index, corpus, BagOfWords(fail_after=1))
        assert set(index.doc_hashes()) == {"old"}
        rest = BagOfWords()
        report = sync(index, corpus, rest)
        assert 0 < report.embedded == len(rest.doc_ids) < 600
        assert set(index.doc_hashes()) == set(corpus.documents)

    @pytest.mark.slow
    def test_a_sync_killed_in_the_middle_loses_and_doubles_nothing(self, index, tmp_path):
        corpus = many(900)
        sync(index, Corpus(old="old text"))
        process = subprocess.Popen([sys.executable, "-c", KILLED, __file__, str(tmp_path / "index")], stdout=-1)
        with process:
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(signal.SIGKILL)
        assert set(index.doc_hashes()) == {"old"}
        assert [hit.key[0] for hit in index.bm25("old", 5)] == ["old"]
        report = sync(index, corpus)
        assert 0 < report.embedded < 900
        assert report.passages == index.count() == len(index.nearest(BagOfWords().embed_query("word"), 5000))
        assert set(index.doc_hashes()) == set(corpus.documents)

    @pytest.mark.slow
    @pytest.mark.parametrize("after_s", [0.05, 0.15, 0.3, 0.5])
    def test_killed_at_any_moment_readers_see_one_whole_sync(self, index, tmp_path, after_s):
        process = subprocess.Popen([sys.executable, "-c", ENDLESS, __file__, str(tmp_path / "index")], stdout=-1)
        with process:
            assert process.stdout is not None
            process.stdout.readline()
            until = time.monotonic() + after_s
            while time.monotonic() < until:
                self.one_generation(index)
            process.send_signal(signal.SIGKILL)
        self.one_generation(index)
        corpus = Corpus(**{f"d{i}": "generation final" for i in range(40)})
        assert sync(index, corpus).passages == 40
        assert self.one_generation(index) == "generation final"

    def one_generation(self, index):
        passages = index.passages_of([f"d{i}" for i in range(40)])
        texts = {passage.text for found in passages.values() for passage in found}
        assert (len(passages), len(texts)) == (40, 1)
        return texts.pop()


LOAD = """
import importlib.util, sys, time
from pathlib import Path
spec = importlib.util.spec_from_file_location("indexer_tests", sys.argv[1])
tests = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tests)
index = tests.Index.open(Path(sys.argv[2]))
"""
# Says so after its first batch is written, then embeds until it is killed.
KILLED = (
    LOAD
    + """
class Slow(tests.BagOfWords):
    def embed_passages(self, passages):
        if len(self.batches) == 2:
            print("written", flush=True)
            time.sleep(60)
        return super().embed_passages(passages)
tests.sync(index, tests.many(900), Slow())
"""
)
# Replaces all documents by the next generation, again and again.
ENDLESS = (
    LOAD
    + """
for generation in range(1000):
    tests.sync(index, tests.Corpus(**{f"d{i}": f"generation {generation}" for i in range(40)}))
    if generation == 0:
        print("published", flush=True)
"""
)
