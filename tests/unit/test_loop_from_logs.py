"""An eval dataset made from the log: what is read, what is kept from learning, and where that is said."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import handmade
import searched
from tribrid.answers.report import EvaluationReport
from tribrid.app.fromlogs import given_evidence, put_from_logs
from tribrid.errors import Conflict, InvalidInput, NotEnoughEvidence
from tribrid.evaluation.gate import Evidence, decide
from tribrid.loop import evaluate as module
from tribrid.loop.eval_queries import dataset_in_force
from tribrid.loop.held_out import held_out_of, read_searches
from tribrid.loop.nextlabels import next_labels
from tribrid.loop.params import EvaluateParams
from tribrid.loop.readiness import readiness
from tribrid.mining.from_logs import FEWEST_QUERIES
from tribrid.types import Document, JudgedQuery, Source, State, Triplet
from tribrid.types.stored import MinedCounts
from tribrid.workspace.corpus import OpenCorpus, open_corpus
from tribrid.workspace.data_folder import DataFolder

pytestmark = pytest.mark.timeout(120)
THINGS = [f"{a}{b}" for a in ("bread", "soup", "pasta", "night", "proxy", "score") for b in "abcdef"]
DOCUMENTS = [Document(f"d{n}", f"how to read and write a {thing} by night") for n, thing in enumerate(THINGS)]
FOUND = {f"read the {thing}": f"d{n}" for n, thing in enumerate(THINGS)}
SHOWN = [f"d{n}" for n in range(8)]
JUDGED = [JudgedQuery("q", "a judged query", {"d1": 1})]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataFolder]:
    opened = handmade.opened(tmp_path_factory.mktemp("data"))
    handmade.indexed(opened, "shop", DOCUMENTS)
    yield opened
    opened.close()


@pytest.fixture
def corpus(folder: DataFolder) -> OpenCorpus:
    return open_corpus(folder, "shop")


def log(corpus: OpenCorpus, *parts: bytes) -> None:
    from tribrid.logs.importing import import_logs

    for part in parts:
        import_logs(corpus, [part], "native", handmade.nothing)


def evaluated(corpus: OpenCorpus, name: str) -> EvaluationReport:
    return module.evaluate(open_corpus(corpus.folder, "shop"), name, EvaluateParams(), handmade.nothing)


def test_without_a_log_it_says_what_is_needed(corpus: OpenCorpus) -> None:
    with pytest.raises(NotEnoughEvidence, match="Nothing was logged") as raised:
        put_from_logs(corpus, timedelta(days=14), replace=False)
    assert raised.value.facts["needed"] == FEWEST_QUERIES


def test_the_last_days_become_a_dataset_and_nothing_reads_them_any_more(corpus: OpenCorpus) -> None:
    first = ("ann", "ben", "cat", "dan")
    log(corpus, searched.lines(dict(list(FOUND.items())[:5]), SHOWN, clients=first, name="old"))
    log(corpus, searched.lines(FOUND, SHOWN, clients=(*first, *(f"new{n}" for n in range(4))), day=20))
    with pytest.raises(InvalidInput):
        put_from_logs(corpus, timedelta(0), replace=False)
    put_from_logs(corpus, timedelta(days=2), replace=False)
    dataset = dataset_in_force(corpus)
    assert dataset is not None
    assert dataset.evidence is not None
    assert {query.text for query in dataset.queries} == FOUND.keys()
    assert all(query.judgments[FOUND[query.text]] == 1 for query in dataset.queries)
    held = held_out_of(corpus)
    assert held is not None
    assert {f"new{n}" for n in range(4)} < held.clients
    assert 0 < len(held.clients & set(first)) < len(first)
    lists = list(corpus.store.logs.iterate_with_feedback("shop"))
    kept = [one for one in lists if not held.holds(one)]
    assert {one.client_id for one in kept} == set(first) - held.clients
    assert all(one.created_us < dataset.evidence.since_us for one in kept)
    assert dataset.evidence.searches == len(FOUND) * len(held.clients)
    assert readiness(corpus).searches.looked_at == 5 * len(first)  # of which some are of clients who are measured with


def test_a_verdict_on_it_says_so(corpus: OpenCorpus) -> None:
    report = evaluated(corpus, "e-logs")
    assert report.eval_dataset.source == "logs"
    assert "labels from logs" in report.verdict.reasons[-1]
    assert "labels from logs" in corpus.store.evaluations.get("e-logs").verdict.reasons[-1]


def test_a_model_that_read_the_searches_is_not_promoted(corpus: OpenCorpus) -> None:
    dataset = dataset_in_force(corpus)
    assert dataset is not None
    assert dataset.evidence is not None
    taught = [Triplet("t", "another query", ("d1", 0), ("d2", 0), Source.LOGS, 1.0, "clicked")]
    since_us, until_us = dataset.evidence.since_us, dataset.evidence.until_us
    made: dict[str, MinedCounts] = {
        "read": {},
        "left out": {"held_out": {"since_us": since_us, "until_us": until_us}},
        "another span": {"held_out": {"since_us": since_us + 1, "until_us": until_us}},
    }
    sets = {name: corpus.store.triplets.put("shop", {}, counts, taught).triplet_set_id for name, counts in made.items()}
    found = {
        name: read_searches(corpus, dataset, {"data": {"triplet_set_id": set_id}}, taught)
        for name, set_id in sets.items()
    }
    assert found == {"read": True, "left out": False, "another span": True}
    assert not read_searches(corpus, dataset, {"data": {"triplet_set_id": sets["read"]}}, [])
    guard = next(
        guard
        for guard in decide(
            Evidence(measure="ndcg@10", delta=None, before=0.5, after=0.6, retrieval=0.5, read_searches=True)
        ).guards
        if guard.name == "leakage"
    )
    assert (guard.passed, "Mine and train again" in guard.detail) == (False, True)


def test_it_does_not_take_the_place_of_a_judged_one_by_accident(corpus: OpenCorpus) -> None:
    before = dataset_in_force(corpus)
    corpus.store.evalsets.put("shop", JUDGED, "nDCG@10")
    with pytest.raises(Conflict, match="People judged the eval dataset in force"):
        put_from_logs(corpus, timedelta(days=2), replace=False)
    put_from_logs(corpus, timedelta(days=2), replace=True)
    assert dataset_in_force(corpus) == before


def test_too_short_a_span_says_how_long_it_takes(corpus: OpenCorpus) -> None:
    with pytest.raises(NotEnoughEvidence, match="are needed, so"):
        put_from_logs(corpus, timedelta(minutes=30), replace=True)


def test_erasing_a_query_or_a_lone_client_takes_them_out(corpus: OpenCorpus, tmp_path: Path) -> None:
    gone = next(iter(FOUND))
    corpus.store.erasures.query("shop", lambda text: text == gone)
    dataset = dataset_in_force(corpus)
    assert dataset is not None
    assert dataset.evidence is not None
    assert gone not in {query.text for query in dataset.queries}
    names = {query.query_id for query in dataset.queries}
    assert dataset.evidence.good.keys() == dataset.evidence.log_odds.keys() == names
    corpus.store.erasures.document("shop", "d2")
    left = dataset_in_force(corpus)
    assert left is not None
    assert left.evidence is not None
    assert not any("d2" in of for of in left.evidence.log_odds.values())


def test_what_was_exported_comes_back_with_what_it_rests_on_or_not_at_all() -> None:
    assert given_evidence({}) is None
    assert given_evidence({"source": "judgments", "evidence": None}) is None
    with pytest.raises(InvalidInput, match="these labels are from logs"):
        given_evidence({"source": "logs"})
    with pytest.raises(InvalidInput, match="since_us"):
        given_evidence({"evidence": {"since_us": "never"}})


def test_what_to_judge_next_is_pooled_from_all_rankings(corpus: OpenCorpus) -> None:
    log(corpus, searched.lines({"a proxy for the night": "d18"}, SHOWN, day=30, name="later"))
    model_id = handmade.model(corpus.folder, "shop", -1.0)  # turns the retrieval order over
    handmade.training(corpus.folder, "shop", State.SUCCEEDED, model_id)
    corpus.store.evalsets.put("shop", JUDGED, "nDCG@10")
    found = next_labels(corpus, 50, 13)
    assert found.systems == ("sparse", "dense", "retrieval", "challenger")
    assert found.summary.startswith("1 of 50 queries")
    query = next(query for query in found.queries if query.text == "a proxy for the night")
    assert (query.clients, query.query_id) == (6, None)
    assert query.why.startswith("asked by 6 clients; the rankings share ")
    assert len(query.documents) > 10
    assert any("proxy" in document.snippet for document in query.documents)
    judged = next((query for query in found.queries if query.query_id == "q"), None)
    assert judged is None or [(one.doc_id, one.grade) for one in judged.judged] == [("d1", 1)]
    assert found.detectable_now is not None
    assert found.detectable_then is not None
    assert found.detectable_then < found.detectable_now
    again = next_labels(corpus, 50, 14)
    theirs = next(query for query in again.queries if query.text == "a proxy for the night")
    assert sorted(map(str, theirs.documents)) == sorted(map(str, query.documents))
    assert theirs.documents != query.documents
