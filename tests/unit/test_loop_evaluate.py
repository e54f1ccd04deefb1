"""An evaluation: which model is measured, against what, what is told of it, and whether it comes to serve."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

import handmade
from tribrid.answers.report import EvaluationReport
from tribrid.errors import Conflict, EvaluationFailed, EvaluationNotFound, ModelUnavailable, NoEvalDataset
from tribrid.evaluation.notes import LEARNED_NOTHING
from tribrid.loop import evaluate as module
from tribrid.loop.params import EvaluateParams
from tribrid.loop.promote import promote
from tribrid.store.settings import GLOBAL_SCOPE
from tribrid.types import Document, JudgedQuery, Source, State, Triplet
from tribrid.types.stored import Manifest
from tribrid.workspace.corpus import OpenCorpus, open_corpus
from tribrid.workspace.data_folder import DataFolder

pytestmark = pytest.mark.timeout(120)
TURNED, KEPT = -1.0, 1.0
"""Weights of a model that turns the retrieval order over, and of one that keeps it."""
WORDS = ("backup", "proxy", "soup", "pasta", "night", "file", "path", "sort", "key", "log", "user", "score")
DOCUMENTS = [Document(f"d{n}", " ".join(["index", *WORDS[n:], *WORDS[: n // 2]])) for n in range(7)]
_numbers = itertools.count()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataFolder]:
    opened = handmade.opened(tmp_path_factory.mktemp("data"))
    opened.store.settings.patch(GLOBAL_SCOPE, {"evaluation": {"resamples": 500}})
    yield opened
    opened.close()


@pytest.fixture
def corpus(folder: DataFolder) -> OpenCorpus:
    return judged(folder, f"c{next(_numbers)}")


def judged(folder: DataFolder, corpus_id: str) -> OpenCorpus:
    """A new corpus whose eval dataset calls relevant what retrieval puts last."""
    handmade.indexed(folder, corpus_id, DOCUMENTS)
    corpus = open_corpus(folder, corpus_id)
    asked = {f"q{n:02}": f"index {word} {WORDS[n - 1]}" for n, word in enumerate(WORDS[:8])}
    last = {name: corpus.retriever.search(text, 50).candidates[-1].doc_id for name, text in asked.items()}
    queries = [JudgedQuery(name, text, {last[name]: 1}) for name, text in asked.items()]
    folder.store.evalsets.put(corpus_id, queries, "nDCG@10")
    return corpus


def made(corpus: OpenCorpus, weight: float, told: Manifest | None = None) -> str:
    """A model that a training made."""
    model_id = handmade.model(corpus.folder, corpus.corpus_id, weight, told)
    handmade.training(corpus.folder, corpus.corpus_id, State.SUCCEEDED, model_id)
    return model_id


def now(corpus: OpenCorpus) -> OpenCorpus:
    """The corpus as the next call sees it."""
    return open_corpus(corpus.folder, corpus.corpus_id)


def serve(corpus: OpenCorpus, model_id: str) -> None:
    promote(now(corpus), model_id, "to begin with", force=True)


def evaluate(corpus: OpenCorpus, name: str = "", **params: Any) -> EvaluationReport:
    return module.evaluate(now(corpus), name or f"e{next(_numbers)}", EvaluateParams(**params), handmade.nothing)


def primary(report: EvaluationReport, system: str) -> float | None:
    found = report.systems[system]
    return None if found is None else found.model_dump()[report.primary_measure]


def test_a_challenger_that_won_serves_and_the_report_says_so(corpus: OpenCorpus) -> None:
    better = made(corpus, TURNED)
    report = evaluate(corpus, "won")
    assert (report.model_id, report.champion_id, report.promoted) == (better, None, True)
    assert (report.compared.before, report.compared.after) == ("retrieval", "challenger")
    assert primary(report, "challenger") == 1.0
    assert now(corpus).champion_id == better
    (entry,) = corpus.store.models.promotions(corpus.corpus_id)
    assert (entry.kind, entry.evaluation_id) == ("gate", "won")
    assert entry.reason == " ".join(report.verdict.reasons)


def test_a_challenger_that_changes_nothing_does_not_serve(corpus: OpenCorpus) -> None:
    made(corpus, KEPT)
    report = evaluate(corpus)
    assert (report.verdict.decision, report.promoted) == ("keep", False)
    assert now(corpus).champion_id is None


def test_the_challenger_is_the_named_one_then_that_of_the_run_then_the_newest(corpus: OpenCorpus) -> None:
    first = handmade.model(corpus.folder, corpus.corpus_id, 1.0)
    run_id = handmade.training(corpus.folder, corpus.corpus_id, State.SUCCEEDED, first)
    newest, unlisted = made(corpus, 2.0), handmade.model(corpus.folder, corpus.corpus_id, 3.0)
    assert evaluate(corpus, model_id=unlisted, run_id=run_id).model_id == unlisted
    assert evaluate(corpus, run_id=run_id).model_id == first
    assert evaluate(corpus).model_id == newest


def test_without_a_model_retrieval_is_measured_alone(corpus: OpenCorpus) -> None:
    report = evaluate(corpus)
    assert (report.model_id, report.after, report.promoted) == (None, None, False)
    assert report.verdict.decision == "keep"
    assert primary(report, "retrieval") is not None


def test_a_champion_is_what_a_challenger_must_beat(corpus: OpenCorpus) -> None:
    champion, worse = made(corpus, TURNED), made(corpus, KEPT)
    serve(corpus, champion)
    report = evaluate(corpus)
    assert (report.model_id, report.champion_id) == (worse, champion)
    assert (report.compared.before, report.verdict.decision) == ("champion", "keep")
    assert primary(report, "champion") == 1.0
    assert now(corpus).champion_id == champion


def test_a_champion_may_be_measured_again_and_is_not_promoted_again(corpus: OpenCorpus) -> None:
    champion = made(corpus, TURNED)
    serve(corpus, champion)
    report = evaluate(corpus)
    assert (report.model_id, report.compared.before) == (champion, "retrieval")
    assert primary(report, "champion") == primary(report, "challenger") == 1.0
    assert (report.verdict.decision, report.promoted) == ("promote", False)
    assert len(corpus.store.models.promotions(corpus.corpus_id)) == 1


def test_without_an_eval_dataset_nothing_is_measured(folder: DataFolder) -> None:
    handmade.indexed(folder, "unjudged", DOCUMENTS[:1])
    with pytest.raises(NoEvalDataset):
        evaluate(open_corpus(folder, "unjudged"))


def test_a_training_that_made_nothing_is_not_replaced_where_it_was_asked_for(corpus: OpenCorpus) -> None:
    made(corpus, TURNED)
    failed = handmade.training(corpus.folder, corpus.corpus_id, State.FAILED, why="No triplets.")
    with pytest.raises(EvaluationFailed, match="No triplets"):
        evaluate(corpus, "refused", run_id=failed)
    with pytest.raises(EvaluationNotFound):
        corpus.store.evaluations.get("refused")
    assert now(corpus).champion_id is None


def test_that_the_newest_training_made_nothing_is_the_first_note(corpus: OpenCorpus) -> None:
    older = made(corpus, KEPT)
    assert not any("made no model" in note for note in evaluate(corpus).notes)
    failed = handmade.training(corpus.folder, corpus.corpus_id, State.FAILED, why="No triplets.")
    report = evaluate(corpus)
    assert report.model_id == older
    assert report.notes[0] == f"The newest training, {failed}, failed and made no model. No triplets."
    assert not any("made no model" in note for note in evaluate(corpus, model_id=older).notes), "it was named"
    cancelled = handmade.training(corpus.folder, corpus.corpus_id, State.CANCELLED)
    assert evaluate(corpus).notes[0] == f"The newest training, {cancelled}, cancelled and made no model."
    made(corpus, KEPT)
    assert not any("made no model" in note for note in evaluate(corpus).notes), "a later one made a model"


def test_a_model_that_learned_an_eval_query_is_not_promoted(corpus: OpenCorpus) -> None:
    asked = corpus.store.evalsets.current(corpus.corpus_id).queries[3]
    triplets = [
        Triplet("t", text, ("d1", 0), ("d2", 0), Source.LOGS, 1.0, "") for text in (asked.text, "where birds fly")
    ]
    set_id = corpus.store.triplets.put(corpus.corpus_id, {}, {}, triplets).triplet_set_id
    made(corpus, TURNED, {"data": {"triplet_set_id": set_id}})
    report = evaluate(corpus)
    assert report.leakage is not None
    assert report.leakage.model_dump()["overlapping"] == (asked.query_id,)
    assert (report.verdict.decision, report.promoted) == ("keep", False)
    made(corpus, TURNED * 2)
    assert evaluate(corpus).leakage is None, "nobody knows what it learned from"


def test_an_arm_that_fails_is_named_and_nothing_is_promoted(corpus: OpenCorpus) -> None:
    same = made(corpus, TURNED)
    good = {"name": "same", "kind": "model", "model_id": same}
    report = evaluate(corpus, arms=[good, {"name": "gone", "kind": "model", "model_id": "unheard of"}])
    assert report.failed.keys() == {"gone"}
    assert primary(report, "same") == primary(report, "challenger")
    assert (report.verdict.decision, report.promoted) == ("keep", False)


def test_a_stored_report_stands_and_its_promotion_is_made_up_for(corpus: OpenCorpus) -> None:
    """The job was killed between the report and the promotion, and its step is replayed."""
    better = made(corpus, TURNED)
    first = module.compare_systems(corpus, "killed", EvaluateParams(), handmade.nothing)
    assert first.promoted
    assert now(corpus).champion_id is None, "a comparison alone promotes nothing"
    corpus.store.evalsets.put(corpus.corpus_id, [JudgedQuery("r", "another question", {"d0": 1})], "nDCG@10")
    assert evaluate(corpus, "killed") == first, "nothing is measured a second time"
    assert now(corpus).champion_id == better
    corpus.store.models.rollback(corpus.corpus_id, "users complain")
    evaluate(corpus, "killed")
    assert now(corpus).champion_id is None, "what was rolled back stays so"


def test_where_another_came_to_serve_meanwhile_the_winner_is_not_promoted(corpus: OpenCorpus) -> None:
    made(corpus, TURNED)
    module.compare_systems(corpus, "late", EvaluateParams(), handmade.nothing)
    other = made(corpus, KEPT)
    serve(corpus, other)
    with pytest.raises(Conflict):
        evaluate(corpus, "late")
    assert now(corpus).champion_id == other


def test_a_winner_that_does_not_load_is_not_promoted(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = handmade.opened(tmp_path_factory.mktemp("broken"))
    corpus = judged(folder, "c")
    model_id = made(corpus, TURNED)
    module.compare_systems(corpus, "broken", EvaluateParams(), handmade.nothing)
    folder.store.artifacts.path(folder.store.models.get(model_id).artifact).joinpath("manifest.json").unlink()
    again = handmade.opened(folder.data_dir)
    with pytest.raises(ModelUnavailable):
        evaluate(open_corpus(again, "c"), "broken")
    assert open_corpus(again, "c").champion_id is None
    again.close()
    folder.close()


def test_what_was_not_indexed_is_indexed_first(folder: DataFolder) -> None:
    folder.store.corpora.create("unindexed", "unindexed")
    folder.store.documents.upsert("unindexed", DOCUMENTS)
    folder.store.evalsets.put("unindexed", [JudgedQuery("q", "soup", {"d2": 1})], "nDCG@10")
    assert primary(evaluate(open_corpus(folder, "unindexed")), "retrieval")


def test_a_model_that_ranks_as_retrieval_is_told_first(corpus: OpenCorpus) -> None:
    assert LEARNED_NOTHING not in evaluate(corpus, model_id=made(corpus, 2.0, {"metrics": {}})).notes
    told: Manifest = {"metrics": {"blend": {"form": "retrieval"}}}
    assert evaluate(corpus, model_id=made(corpus, KEPT, told)).notes[0] == LEARNED_NOTHING


def test_other_corpora_are_measured_with_their_own_model_else_with_the_challenger(corpus: OpenCorpus) -> None:
    ws = corpus.folder
    own, borrowed = judged(ws, f"{corpus.corpus_id}-own"), judged(ws, f"{corpus.corpus_id}-borrowed")
    challenger, theirs = made(corpus, TURNED), made(own, KEPT)
    report = evaluate(corpus, corpus_ids=[own.corpus_id, borrowed.corpus_id])
    here, first, second = report.corpora
    assert here.corpus_id == corpus.corpus_id
    assert (first.model_id, first.transferred, first.compared_with) == (theirs, False, "retrieval")
    assert first.after == pytest.approx(first.before)
    assert (second.model_id, second.transferred) == (challenger, True)
    assert second.after == 1.0
    assert second.before is not None
    assert second.before < 1.0
    assert report.failed == {}
    assert now(own).champion_id is None is now(borrowed).champion_id, "only the corpus that was asked for learns"


def test_another_corpus_s_champion_is_what_its_model_is_measured_against(corpus: OpenCorpus) -> None:
    other = judged(corpus.folder, f"{corpus.corpus_id}-other")
    serve(other, handmade.model(corpus.folder, other.corpus_id, TURNED))
    made(other, KEPT)
    made(corpus, TURNED)
    report = evaluate(corpus, corpus_ids=[other.corpus_id])
    part = report.corpora[1]
    assert (part.compared_with, part.before) == ("champion", 1.0)
    assert part.after is not None
    assert part.after < 1.0
    assert (report.verdict.decision, report.promoted) == ("keep", False), "it would be worse there"


def test_another_corpus_without_any_model_is_a_failure_that_is_named(corpus: OpenCorpus) -> None:
    other = judged(corpus.folder, f"{corpus.corpus_id}-other")
    report = evaluate(corpus, corpus_ids=[other.corpus_id])
    assert report.failed.keys() == {f"{other.corpus_id}: challenger"}
    assert report.verdict.decision == "keep"
