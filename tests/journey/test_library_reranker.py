"""A reranker by itself: trained on what is in memory, kept in a folder, and the same order from both."""

from __future__ import annotations

from pathlib import Path

import pytest

import learnable
from tribrid import Reranker, Tribrid, compare
from tribrid.errors import InvalidInput, ModelUnavailable
from tribrid.types import JudgedQuery

pytestmark = pytest.mark.timeout(240)
QUICK = {"cross_encoder": False, "folds": 3}
TEXTS = {document.doc_id: document.text for document in learnable.documents()}


def qrels(queries: list[JudgedQuery]) -> dict[str, dict[str, int]]:
    return {query.query_id: dict(query.judgments) for query in queries}


def texts(queries: list[JudgedQuery]) -> dict[str, str]:
    return {query.query_id: query.text for query in queries}


@pytest.fixture(scope="module")
def reranker() -> Reranker:
    taught = learnable.queries("t", 120, 1)
    return Reranker.fit(texts(taught), TEXTS, qrels(taught), hyperparameters=QUICK)


def test_what_it_learned_is_seen_on_other_queries(reranker: Reranker) -> None:
    asked = learnable.queries("e", 40, 2)
    found = compare(
        {"as given": lambda _text: list(TEXTS), "learned": lambda text: reranker.rank(text, TEXTS)},
        qrels(asked),
        queries=texts(asked),
        measures=["mrr@10"],
    )
    assert found.pair("as given", "learned").certain == "gain"
    assert reranker.manifest["metrics"]["pairs"] > 0


def test_documents_in_every_form_are_ranked_alike(reranker: Reranker) -> None:
    query = learnable.queries("e", 1, 3)[0].text
    some = dict(list(TEXTS.items())[:9])
    forms = [some, [{"doc_id": d, "text": t} for d, t in some.items()], learnable.documents()[:9]]
    orders = [[row.doc_id for row in reranker.rank(query, form)] for form in forms]
    assert orders[0] == orders[1]
    assert sorted(map(str, orders[2])) == sorted(map(str, orders[0]))
    plain = reranker.rank(query, list(some.values()), top_n=3)
    assert len(plain) == 3
    assert all(row.doc_id is None and 0 <= row.score <= 1 for row in plain)


def test_a_saved_one_ranks_the_same_and_nothing_is_overwritten(reranker: Reranker, tmp_path: Path) -> None:
    query = learnable.queries("e", 1, 4)[0].text
    loaded = Reranker.load(reranker.save(tmp_path / "model"))
    assert loaded.rank(query, TEXTS) == reranker.rank(query, TEXTS)
    with pytest.raises(InvalidInput, match="there already"):
        reranker.save(tmp_path / "model")
    assert "metrics.pairs" in loaded._repr_html_()


def test_what_is_no_model_or_not_to_be_ranked_is_refused(reranker: Reranker, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="tribrid models export"):
        Reranker.load(tmp_path)
    for query, documents in (("", TEXTS), ("soup", []), ("soup", [{"doc_id": "x"}])):
        with pytest.raises(InvalidInput):
            reranker.rank(query, documents)
    broken = reranker.save(tmp_path / "broken")
    (broken / "knowledge.safetensors").write_bytes(b"")
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        Reranker.load(broken)


def test_frames_and_dictionaries_go_into_a_corpus_and_a_notebook_shows_it(tmp_path: Path) -> None:
    queries = learnable.queries("q", 12, 5)
    with Tribrid(tmp_path) as tribrid:
        corpus = tribrid.create_corpus("notes")
        assert corpus.documents.add(dict(list(TEXTS.items())[:5])).documents == 5
        assert corpus.documents.add([{"doc_id": 7, "text": "seven"}]).documents == 6
        assert corpus.judgments.put(qrels(queries), queries=texts(queries)).queries == 12
        assert corpus.eval_dataset.put({"x": {"d000": 1}}, queries={"x": "another"}).queries == 1
        with pytest.raises(InvalidInput, match="have no text"):
            corpus.judgments.put({"y": {"d000": 1}})
        shown = corpus._repr_html_()
        assert "<td" in shown
        assert "notes" in shown
        assert "corpus_id" in str(corpus.describe()._repr_html_())
