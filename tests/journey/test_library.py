"""The whole loop through the library, with real workers: from an empty folder to a champion that serves, and back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import learnable
from tribrid.answers.jobs import EvaluationResult
from tribrid.answers.report import Compared
from tribrid.app import Tribrid
from tribrid.errors import (
    CorpusNotFound,
    EvaluationFailed,
    Failed,
    InvalidInput,
    Leakage,
    ModelNotFound,
    NotProven,
    NoTriplets,
    StaleIndex,
    UnknownSetting,
)
from tribrid.types import JobKind, JudgedQuery, State

pytestmark = pytest.mark.timeout(240)
QUICK = {"training": {"cross_encoder": False, "folds": 3}, "evaluation": {"resamples": 500}}
QUERY = " ".join(learnable.documents()[7].text.split()[:3])


@pytest.fixture(scope="module")
def tribrid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tribrid]:
    """A library user whose corpus "c" has been through the whole loop once."""
    with Tribrid(tmp_path_factory.mktemp("data")) as opened:
        opened.patch_settings(QUICK)
        opened.create_corpus("c", "Corpus")
        opened.corpus("c").documents.add(learnable.documents())
        yield opened


def test_the_loop(tribrid: Tribrid) -> None:
    """One story; each step stands on the one before it."""
    before = tribrid.corpus("c").search(QUERY)
    assert (before.reranked, before.model_id, before.fallback_reason) == (False, "retrieval", None)
    tribrid.feedback(before.query_id, "click", before.results[0].doc_id)
    put = tribrid.corpus("c").judgments.put(learnable.queries("train", 60, seed=2))
    assert (put.queries, put.unknown_documents_total) == (60, 0)
    tribrid.corpus("c").eval_dataset.put(learnable.queries("eval", 30, seed=3))

    mined = tribrid.corpus("c").mine(sources=["logs", "judgments"])
    assert mined.triplets > 100
    assert mined.by_source["judgments"].pairs > 40
    assert mined.cost.unit == "query"
    assert mined.cost.units == mined.queries_retrieved > 40
    assert mined.cost.estimated is not None
    assert mined.cost.estimated.compute_s

    trained = tribrid.corpus("c").train()
    blend, pairs = trained.metrics["blend"], trained.metrics["pairs"]
    assert isinstance(blend, dict)
    assert blend["form"] != "retrieval"
    assert isinstance(pairs, int)
    assert trained.cost.units == pairs > 1000
    assert tribrid.corpus("c").search(QUERY).reranked is False  # trained is not promoted

    report = tribrid.corpus("c").evaluate()
    assert (report.model_id, report.champion_id) == (trained.model_id, None)
    assert report.compared == Compared(before="retrieval", after="challenger")
    assert report.after is not None
    assert report.before is not None
    assert report.after["ndcg@10"] > report.before["ndcg@10"]
    assert (report.verdict.decision, report.promoted) == ("promote", True)
    assert report.cost.units == 30 * 50
    assert (report.leakage and report.leakage.overlapping) == ()
    stored = tribrid.evaluations.get(report.job_id)
    assert stored.model_dump() == report.model_dump(exclude={"job_id"})

    after = tribrid.corpus("c").search(QUERY, top_k=70)
    assert (after.reranked, after.model_id) == (True, trained.model_id)
    scores = [result.score for result in after.results]
    assert scores == sorted(scores, reverse=True)  # past the reranked depth as well
    assert [result.rank for result in after.results] == list(range(1, len(scores) + 1))
    assert len({result.doc_id for result in after.results}) == len(scores) > 50
    status = tribrid.corpus("c").status()
    assert (status.model_id, status.loaded) == (trained.model_id, True)


def test_the_same_model_again_is_kept_and_changes_nothing(tribrid: Tribrid) -> None:
    champion = tribrid.corpus("c").models().champion
    report = tribrid.corpus("c").evaluate(model_id=champion)
    assert report.promoted is False
    measured = [row.means for name, row in report.systems.items() if row and name in ("champion", "challenger")]
    assert len(measured) == 2
    assert measured[0] == measured[1]
    assert tribrid.corpus("c").models().previous is None


def test_what_is_served_is_what_was_measured(tribrid: Tribrid) -> None:
    """The report's ranking of a query is the one that a search gets."""
    evaluation_id = tribrid.corpus("c").evaluations()[0].evaluation_id
    for row in tribrid.evaluations.queries(evaluation_id, limit=5).queries:
        served = tribrid.corpus("c").search(row.text).results
        assert [result.doc_id for result in served] == [top.doc_id for top in row.top_after]
        assert [result.score for result in served] == pytest.approx([top.score for top in row.top_after], abs=1e-6)


def test_another_process_serves_the_same(tribrid: Tribrid) -> None:
    champion = tribrid.corpus("c").models().champion
    here = tribrid.corpus("c").search(QUERY)
    with Tribrid(tribrid.environment.data_dir) as other:
        there = other.corpus("c").search(QUERY)
    assert there.model_id == champion
    assert [r.doc_id for r in there.results] == [r.doc_id for r in here.results]


def test_promotion_by_hand_and_rollback_are_served_at_once(tribrid: Tribrid) -> None:
    first = str(tribrid.corpus("c").models().champion)
    second = tribrid.corpus("c").train(seed=99).model_id
    assert second != first
    with pytest.raises(NotProven, match="never evaluated") as refused:
        tribrid.corpus("c").promote(second, "it should be good")
    assert (refused.value.status, refused.value.facts["champion"]) == (409, first)
    with pytest.raises(InvalidInput, match="reason"):
        tribrid.corpus("c").promote(second, " ", force=True)
    assert tribrid.corpus("c").promote(second, "a try", force=True).champion == second
    assert tribrid.corpus("c").search(QUERY).model_id == second
    assert tribrid.corpus("c").rollback().champion == first
    assert tribrid.corpus("c").search(QUERY).model_id == first
    told = tribrid.corpus("c").models()
    assert [(p.model_id, p.kind) for p in told.promotions] == [
        (first, "rollback"),
        (second, "force"),
        (first, "gate"),
    ]
    assert (told.promotions[1].reason, told.promotions[1].forced) == ("a try", True)
    assert all(p.at for p in told.promotions)
    assert {model.model_id for model in told.models} == {first, second}


def test_an_evaluation_waits_for_the_training_before_it(tribrid: Tribrid) -> None:
    run = tribrid.corpus("c").submit_train({"seed": 7})
    job = tribrid.jobs.wait(tribrid.corpus("c").submit_evaluate().job_id)
    trained = tribrid.store.jobs.get(run.job_id)
    assert (trained.state, job.state) == (State.SUCCEEDED, State.SUCCEEDED)
    assert job.params["run_id"] == run.job_id
    report = tribrid.jobs.outcome(job)
    assert isinstance(report, EvaluationResult)
    assert report.model_id == (trained.result or {})["model_id"]


def test_an_evaluation_does_not_take_an_older_model_for_one_that_failed(tribrid: Tribrid) -> None:
    run = tribrid.corpus("c").submit_train({"seed": 8})
    evaluation = tribrid.corpus("c").submit_evaluate()
    tribrid.jobs.cancel(run.job_id)
    job = tribrid.jobs.wait(evaluation.job_id)
    assert job.state is State.FAILED
    assert job.problem is not None
    assert job.problem["code"] == EvaluationFailed.code
    assert run.job_id in job.problem["detail"]
    assert "cancelled" in job.problem["detail"]


def test_a_model_of_another_corpus_is_refused(tribrid: Tribrid) -> None:
    tribrid.create_corpus("other")
    tribrid.corpus("other").documents.add(learnable.documents()[:3])
    tribrid.corpus("other").eval_dataset.put(learnable.queries("eval", 2, seed=3))
    champion = tribrid.corpus("c").models().champion
    with pytest.raises(ModelNotFound):
        tribrid.corpus("other").submit_evaluate(model_id=champion)
    with pytest.raises(ModelNotFound):
        tribrid.corpus("other").promote(champion, "a mistake")
    tribrid.corpus("other").delete()


def test_what_cannot_work_is_refused_before_it_is_queued(tribrid: Tribrid, tmp_path: Path) -> None:
    jobs = len(tribrid.store.jobs.list("c"))
    with pytest.raises(UnknownSetting, match="epoks"):
        tribrid.corpus("c").train(epoks=1)
    with pytest.raises(InvalidInput, match="learning_rate"):
        tribrid.corpus("c").train(learning_rate=float("nan"))
    headless = tmp_path / "headless"
    headless.mkdir()
    (headless / "config.json").write_text('{"model_type": "gpt2"}')
    for wanted in ("/no-such/folder", "no-such", "nobody/no-such", str(headless)):
        with pytest.raises(InvalidInput, match=rf"base_model: .*{Path(wanted).name}"):
            tribrid.corpus("c").train(base_model=wanted, cross_encoder=True)
    with pytest.raises(InvalidInput, match="max_pairs"):
        tribrid.corpus("c").mine(max_pairs=0)
    with pytest.raises(InvalidInput, match="rumours"):
        tribrid.corpus("c").mine(sources=["rumours"])
    assert len(tribrid.store.jobs.list("c")) == jobs


def test_training_on_what_the_evaluation_asks_is_refused(tribrid: Tribrid) -> None:
    kept = tribrid.store.evalsets.current("c").queries
    tribrid.corpus("c").eval_dataset.put(learnable.queries("train", 3, seed=2))
    with pytest.raises(Leakage):
        tribrid.corpus("c").submit_train()
    tribrid.corpus("c").eval_dataset.put(kept)


@pytest.mark.parametrize(
    ("query", "top_k"), [("", 10), ("   ", 10), ("a\0b", 10), ("a" * 100_001, 10), ("a", 0), ("a", 1001)]
)
def test_a_search_that_makes_no_sense_is_refused(tribrid: Tribrid, query: str, top_k: int) -> None:
    with pytest.raises(InvalidInput):
        tribrid.corpus("c").search(query, top_k)


@pytest.mark.parametrize("query", ["?!", "字" * 500, "a" * 50_000, "🙂", "to AND (be OR"])
def test_any_text_can_be_searched_for(tribrid: Tribrid, query: str) -> None:
    assert tribrid.corpus("c").search(query).fallback_reason is None


def test_what_no_encoding_can_write_is_refused(tribrid: Tribrid) -> None:
    with pytest.raises(InvalidInput, match="surrogate"):
        tribrid.corpus("c").search("\ud800")
    with pytest.raises(InvalidInput, match="surrogate"):
        tribrid.corpus("c").judgments.put([JudgedQuery("q", "\ud800", {"d000": 1})])


def test_a_model_trained_on_other_vectors_is_not_served(tribrid: Tribrid, tmp_path: Path) -> None:
    import tiny

    tiny.build_encoder(tmp_path / "another", ["zebra"])
    tribrid.corpus("c").patch_settings({"indexing": {"embedding_model": str(tmp_path / "another")}})
    try:
        with pytest.raises(StaleIndex, match="index"):
            tribrid.corpus("c").search(QUERY)
        tribrid.corpus("c").documents.add([])
        found = tribrid.corpus("c").search(QUERY)
        assert (found.reranked, bool(found.results)) == (False, True)
        assert "Train again" in str(found.fallback_reason)
    finally:
        tribrid.corpus("c").patch_settings({"indexing": {"embedding_model": None}})
        tribrid.corpus("c").documents.add([])
    assert tribrid.corpus("c").search(QUERY).reranked


def test_lost_files_of_a_champion_mean_the_fused_order_and_say_why(tribrid: Tribrid) -> None:
    champion = str(tribrid.corpus("c").models().champion)
    folder = tribrid.store.artifacts.path(tribrid.store.models.get(champion).artifact)
    folder.rename(folder.with_suffix(".away"))
    try:
        with Tribrid(tribrid.environment.data_dir) as other:
            found = other.corpus("c").search(QUERY)
            assert (found.reranked, found.model_id, bool(found.results)) == (False, "retrieval", True)
            assert "artifact" in str(found.fallback_reason)
            assert other.corpus("c").status().loaded is False
    finally:
        folder.with_suffix(".away").rename(folder)


def test_of_what_a_model_alone_said_nothing_is_learned(tribrid: Tribrid) -> None:
    tribrid.create_corpus("said").documents.add(learnable.documents())
    corpus, queries = tribrid.corpus("said"), learnable.queries("m", 3, seed=2)
    corpus.judgments.put(queries, judge="a-model", by="model")
    with pytest.raises(NoTriplets):
        corpus.mine(sources=["judgments"])
    corpus.judgments.put(queries, judge="anna")
    for judge, replace in ((None, False), ("a-model", True)):
        with pytest.raises(InvalidInput, match="take nobody's place"):
            corpus.judgments.put(queries, replace, judge=judge, by="model")
    assert corpus.judgments.agreement("anna", "a-model").same == 3
    assert corpus.mine(sources=["judgments"]).triplets > 0
    corpus.delete()


def test_a_failed_job_raises_where_it_was_waited_for(tribrid: Tribrid) -> None:
    """A corpus whose only labels are of documents that retrieval never brings teaches no order."""
    tribrid.create_corpus("poor")
    tribrid.corpus("poor").documents.add(learnable.documents()[:2])
    tribrid.corpus("poor").judgments.put(learnable.queries("p", 1, seed=2))
    mined = tribrid.corpus("poor").mine(sources=["judgments"])
    if mined.triplets:
        with pytest.raises(Failed):
            tribrid.corpus("poor").train(base_model=tribrid.environment.overrides["training"]["base_model"], folds=2)
    else:
        with pytest.raises(NoTriplets):
            tribrid.corpus("poor").train()
    tribrid.corpus("poor").delete()


def test_searches_go_on_from_many_threads(tribrid: Tribrid) -> None:
    expected = [r.doc_id for r in tribrid.corpus("c").search(QUERY).results]
    found: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: found.append([r.doc_id for r in tribrid.corpus("c").search(QUERY).results]))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [expected] * 6


def test_a_deleted_corpus_leaves_nothing_behind(tribrid: Tribrid) -> None:
    folder = tribrid.environment.data_dir
    artifacts = [model.artifact for model in tribrid.corpus("c").models().models]
    assert all((folder / "artifacts" / artifact).is_dir() for artifact in artifacts)
    tribrid.corpus("c").delete()
    assert tribrid.corpora() == []
    assert not (folder / "indexes" / "c").exists()
    assert not any((folder / "artifacts" / artifact).exists() for artifact in artifacts)
    with pytest.raises(CorpusNotFound):
        tribrid.corpus("c").search(QUERY)
    tribrid.create_corpus("c")
    assert tribrid.corpus("c").search(QUERY).results == ()
    assert tribrid.corpus("c").models().models == ()
    assert tribrid.store.jobs.list("c", JobKind.TRAIN) == []
