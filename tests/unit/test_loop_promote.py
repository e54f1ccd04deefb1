"""Which model is the newest, and which may serve on a person's word."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

import handmade
from compared import make_inputs
from tribrid.answers.changes import Verdict
from tribrid.errors import EvaluationFailed, JobNotFound, ModelNotFound, ModelUnavailable, NoModel, NotProven
from tribrid.evaluation.report import build_report
from tribrid.loop.promote import newest_model, promote
from tribrid.store.models import Promotion
from tribrid.types import JobKind, JudgedQuery, State
from tribrid.workspace.corpus import OpenCorpus, open_corpus
from tribrid.workspace.data_folder import DataFolder

REPORT = build_report(make_inputs()).summary
_numbers = itertools.count()
QUERIES = [JudgedQuery("q", "who promotes", {"d": 1})]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataFolder]:
    opened = handmade.opened(tmp_path_factory.mktemp("data"))
    yield opened
    opened.close()


@pytest.fixture
def corpus(folder: DataFolder) -> OpenCorpus:
    """A corpus of the test's own, with an eval dataset and no document."""
    corpus_id = f"c{next(_numbers)}"
    folder.store.corpora.create(corpus_id, corpus_id)
    folder.store.evalsets.put(corpus_id, QUERIES, "nDCG@10")
    return open_corpus(folder, corpus_id)


def now(corpus: OpenCorpus) -> OpenCorpus:
    """The corpus as the next call sees it."""
    return open_corpus(corpus.folder, corpus.corpus_id)


def made(corpus: OpenCorpus, weight: float = 1.0) -> str:
    return handmade.model(corpus.folder, corpus.corpus_id, weight)


def measured(corpus: OpenCorpus, model_id: str, decision: str, over: str | None = None, name: str = "") -> str:
    """The id of a stored evaluation of the model against `over`, on the eval dataset in force."""
    sha256 = corpus.store.evalsets.current(corpus.corpus_id).sha256
    changed = {
        "model_id": model_id,
        "champion_id": over,
        "verdict": Verdict.model_validate({"decision": decision, "reasons": [f"It was told to {decision}."]}),
        "eval_dataset": REPORT.eval_dataset.model_copy(update={"sha256": sha256}),
    }
    evaluation_id = f"{model_id}-{over}-{decision}{name}"
    corpus.store.evaluations.put(evaluation_id, corpus.corpus_id, REPORT.model_copy(update=changed), [])
    return evaluation_id


def promotions(corpus: OpenCorpus) -> list[Promotion]:
    """Newest first."""
    return corpus.store.models.promotions(corpus.corpus_id)


def champion(corpus: OpenCorpus) -> str | None:
    return now(corpus).champion_id


def test_the_newest_model_is_that_of_the_latest_training_that_succeeded(corpus: OpenCorpus) -> None:
    ws, corpus_id = corpus.folder, corpus.corpus_id
    assert newest_model(corpus, None) is None
    first = handmade.training(ws, corpus_id, State.SUCCEEDED, "first")
    handmade.training(ws, corpus_id, State.SUCCEEDED, "second")
    handmade.training(ws, corpus_id, State.FAILED, why="no triplets")
    handmade.training(ws, corpus_id, State.CANCELLED)
    ws.store.jobs.create(JobKind.TRAIN, corpus_id, {})
    other = ws.store.jobs.create(JobKind.MINE, corpus_id, {})
    ws.store.jobs.finish(other.job_id, State.SUCCEEDED, {"model_id": "no training made it"})
    assert newest_model(corpus, None) == "second"
    assert newest_model(corpus, first) == "first", "an older one, when its run is named"


def test_a_run_that_made_no_model_is_not_replaced_by_an_older_one(corpus: OpenCorpus) -> None:
    ws, corpus_id = corpus.folder, corpus.corpus_id
    handmade.training(ws, corpus_id, State.SUCCEEDED, "older")
    failed = handmade.training(ws, corpus_id, State.FAILED, why="There are no triplets.")
    with pytest.raises(EvaluationFailed, match=f"{failed} whose model was to be evaluated failed: There are no trip"):
        newest_model(corpus, failed)
    cancelled = handmade.training(ws, corpus_id, State.CANCELLED)
    with pytest.raises(EvaluationFailed, match="cancelled: it made no model"):
        newest_model(corpus, cancelled)
    waits = ws.store.jobs.create(JobKind.TRAIN, corpus_id, {}).job_id
    with pytest.raises(EvaluationFailed, match="queued"):
        newest_model(corpus, waits)
    with pytest.raises(JobNotFound):
        newest_model(corpus, "nobody's")


def test_without_a_model_there_is_nothing_to_promote(corpus: OpenCorpus) -> None:
    with pytest.raises(NoModel):
        promote(corpus, None, "", force=True)
    with pytest.raises(ModelNotFound):
        promote(corpus, "unheard of", "", force=True)


def test_a_model_of_another_corpus_is_not_promoted_here(corpus: OpenCorpus) -> None:
    corpus.store.corpora.create("elsewhere", "elsewhere")
    foreign = handmade.model(corpus.folder, "elsewhere", 1.0)
    with pytest.raises(ModelNotFound, match="There is no model"):
        promote(corpus, foreign, "", force=True)
    assert champion(corpus) is None


def test_what_does_not_load_is_not_promoted_even_by_force(corpus: OpenCorpus) -> None:
    broken = made(corpus, 7.0)
    corpus.store.artifacts.path(corpus.store.models.get(broken).artifact).joinpath("manifest.json").unlink()
    with pytest.raises(ModelUnavailable):
        promote(corpus, broken, "", force=True)
    assert champion(corpus) is None


def test_a_model_that_won_is_promoted_by_its_evaluation(corpus: OpenCorpus) -> None:
    better = made(corpus)
    handmade.training(corpus.folder, corpus.corpus_id, State.SUCCEEDED, better)
    evaluation_id = measured(corpus, better, "promote")
    assert promote(corpus, None, "", force=False) == better, "the newest, where none is named"
    (entry,) = promotions(corpus)
    assert (entry.model_id, entry.evaluation_id, entry.kind) == (better, evaluation_id, "hand")
    assert entry.reason == "It was told to promote."
    assert champion(corpus) == better


def test_a_person_s_own_reason_is_kept(corpus: OpenCorpus) -> None:
    better = made(corpus)
    measured(corpus, better, "promote")
    promote(corpus, better, "I read the report.", force=False)
    assert promotions(corpus)[0].reason == "I read the report."


def test_a_model_that_did_not_win_is_refused_and_told_why(corpus: OpenCorpus) -> None:
    worse = made(corpus)
    with pytest.raises(NotProven, match="never evaluated"):
        promote(corpus, worse, "I like it.", force=False)
    evaluation_id = measured(corpus, worse, "keep")
    with pytest.raises(NotProven, match=r"It was told to keep\..*with force") as refused:
        promote(corpus, worse, "I like it.", force=False)
    assert refused.value.facts["evaluation_id"] == evaluation_id
    assert champion(corpus) is None


def test_only_the_newest_comparison_with_what_serves_now_proves(corpus: OpenCorpus) -> None:
    serves, next_one = made(corpus, 1.0), made(corpus, 2.0)
    promote(corpus, serves, "to begin with", force=True)
    measured(corpus, next_one, "promote", over=None)
    with pytest.raises(NotProven, match=f"never compared with what serves now, model {serves}"):
        promote(now(corpus), next_one, "", force=False)
    measured(corpus, next_one, "promote", over=serves)
    measured(corpus, next_one, "keep", over=serves)
    with pytest.raises(NotProven, match="told to keep"):
        promote(now(corpus), next_one, "", force=False)
    latest = measured(corpus, next_one, "promote", over=serves, name=" again")
    assert promote(now(corpus), next_one, "", force=False) == next_one
    assert promotions(corpus)[0].evaluation_id == latest


def test_what_was_shown_on_an_older_eval_dataset_shows_nothing(corpus: OpenCorpus) -> None:
    better = made(corpus)
    measured(corpus, better, "promote")
    corpus.store.evalsets.put(corpus.corpus_id, [JudgedQuery("r", "another question", {"d": 1})], "nDCG@10")
    with pytest.raises(NotProven, match="never evaluated on the eval dataset in force"):
        promote(corpus, better, "", force=False)


def test_without_an_eval_dataset_only_force_promotes(folder: DataFolder) -> None:
    folder.store.corpora.create("unjudged", "unjudged")
    bare = open_corpus(folder, "unjudged")
    model_id = made(bare)
    with pytest.raises(NotProven, match="no eval dataset"):
        promote(bare, model_id, "", force=False)
    promote(bare, model_id, "on my word", force=True)
    (entry,) = promotions(bare)
    assert (entry.kind, entry.evaluation_id, entry.reason) == ("force", None, "on my word")


def test_what_serves_already_needs_no_proof_and_stays_as_it_is(corpus: OpenCorpus) -> None:
    model_id = made(corpus)
    promote(corpus, model_id, "by force", force=True)
    assert promote(now(corpus), model_id, "once more", force=False) == model_id
    assert [entry.reason for entry in promotions(corpus)] == ["by force"]
