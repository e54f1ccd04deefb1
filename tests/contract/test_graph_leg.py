"""The graph leg through the library, on both databases: what is proposed, when there is such a leg, and what goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tribrid.app import Tribrid
from tribrid.app.corpus import Corpus
from tribrid.config import read_environment
from tribrid.types import Document, JudgedQuery, Source, Triplet
from tribrid.workspace.corpus import open_corpus

QUERY = "renew the certificate of proxy number 3 by night"
FAR = Document("far.md", "backup disk full restore tape", "Elsewhere", metadata={"team": "b"})


def documents() -> list[Document]:
    text = "How to renew the certificate of proxy number {} by night."
    return [Document(f"d{n}.md", text.format(n), f"Proxy {n}", metadata={"team": "a"}) for n in range(40)]


@pytest.fixture
def corpus(database_url: str, tmp_path: Path) -> Iterator[Corpus]:
    environment = read_environment().model_copy(update={"data_dir": tmp_path / "data", "database_url": database_url})
    with Tribrid(environment=environment) as opened:
        made = opened.create_corpus("c")
        made.documents.add([*documents(), FAR])
        on = {"retrieval": {"graph_candidates": 4, "leg_depth": 20}, "reranking": {"tribrid_reranker_topn": 10}}
        made.patch_settings({**on, "evaluation": {"resamples": 100}})
        yield made


def found(corpus: Corpus, **how: object) -> dict[str, int | None]:
    """The rank in the graph leg of what is found first, by doc_id."""
    results = corpus.search(QUERY, 10, **how).results  # type: ignore[arg-type]
    legs = {result.doc_id: result.first_stage.legs.graph for result in results}
    return {doc_id: leg.rank if leg else None for doc_id, leg in legs.items()}


def test_what_is_named_is_proposed_where_anything_is_named_at_all(corpus: Corpus) -> None:
    """One story: an index takes seconds on each database."""
    before = found(corpus)
    assert set(before.values()) == {None}
    assert FAR.doc_id not in before
    first = next(iter(before))
    page = next(document for document in documents() if document.doc_id == first)
    linking = Document(page.doc_id, f"{page.text}\n\nSee [what else](far.md).", page.title, metadata=page.metadata)
    corpus.documents.add([linking])
    assert found(corpus)[FAR.doc_id] == 1

    assert FAR.doc_id not in found(corpus, filter={"team": "a"})
    corpus.eval_dataset.put([JudgedQuery("q", QUERY, {FAR.doc_id: 1})])
    report = corpus.evaluate()
    assert report.candidates.recall_ceiling == 1
    assert report.systems["graph"].means["recall@10"] == 1  # type: ignore[union-attr]

    corpus.patch_settings({"retrieval": {"graph_candidates": 0}})
    assert set(found(corpus).values()) == {None}
    assert corpus.evaluate().systems.get("graph") is None

    corpus.patch_settings({"retrieval": {"graph_candidates": 4}})
    corpus.erase(doc_id=FAR.doc_id)
    assert FAR.doc_id not in found(corpus)


def test_what_was_good_for_one_query_is_proposed_for_others_and_not_where_it_is_learned(corpus: Corpus) -> None:
    first = next(iter(found(corpus)))
    good = [
        Triplet("q", "another", (doc_id, 0), ("d39.md", 0), Source.LOGS, 1.0, "click") for doc_id in (first, "far.md")
    ]
    opened = open_corpus(corpus._folder, "c")
    opened.store.triplets.put("c", {}, {}, good)
    assert found(corpus)[FAR.doc_id] is not None
    opened = open_corpus(corpus._folder, "c")
    assert FAR.doc_id in {c.doc_id for c in opened.retriever.retrieve(QUERY, 10)}
    assert FAR.doc_id not in {c.doc_id for c in opened.teaching.retrieve(QUERY, 10)}
