"""Indexes on real Lance folders, with vectors in memory and scanned on disk: every test here holds for both."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from tribrid.corpus.terms import terms
from tribrid.retrieval import writer
from tribrid.retrieval.index import VECTORS_IN_MEMORY_BYTES, Index
from tribrid.retrieval.publication import read_publication
from tribrid.types import Passage


class Builder:
    """Small passages, vectors and syncs."""

    dim = 8
    words = tuple(f"word{i}" for i in range(300))

    def unit(self, *numbers):
        vector = np.zeros(self.dim, np.float32)
        vector[: len(numbers)] = numbers
        return vector / np.linalg.norm(vector)

    def passage(self, doc_id, text, ordinal=0):
        return Passage(doc_id, ordinal, ordinal * 100, ordinal * 100 + len(text), f"title of {doc_id[:20]}", text)

    def prose(self, seed, count, start=0):
        """Documents whose words are as unevenly common as in real text."""
        ranks = np.random.default_rng(seed).zipf(1.3, (count, 30)) % len(self.words)
        texts = [" ".join(self.words[rank] for rank in row) for row in ranks]
        return [self.passage(f"d{start + i}", text) for i, text in enumerate(texts)]

    def add(self, writer, passages, vectors=None):
        writer.add(
            passages,
            lexical=[" ".join(terms(found.text)) for found in passages],
            vectors=np.stack(vectors if vectors is not None else [self.unit(1)] * len(passages)),
            content_shas=[f"sha of {found.text}" for found in passages],
            tokens=[found.text.encode() + b"\0\xff" for found in passages],
        )

    def publish(self, index, passages, vectors=None, *, delete=()):
        with index.writer("f", self.dim) as writer:
            writer.delete_docs(delete)
            if passages:
                self.add(writer, passages, vectors)
            writer.publish()

    def table_name(self, folder):
        publication = read_publication(folder)
        assert publication is not None
        return publication.table


@pytest.fixture(scope="session")
def make():
    return Builder()


@pytest.fixture(params=[VECTORS_IN_MEMORY_BYTES, 0], ids=["in_memory", "on_disk"])
def index(request, tmp_path):
    return Index.open(tmp_path / "index", vectors_in_memory_bytes=request.param)


@pytest.fixture
def eager(monkeypatch):
    """Every sync merges the files, and removes what only the state before it needed."""
    monkeypatch.setattr(writer, "MERGE_FILES", 1)
    monkeypatch.setattr(writer, "KEEP_VERSIONS", timedelta(milliseconds=1))
