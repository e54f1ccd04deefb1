"""What a caller adds to an evaluation: which arms are taken, how a run is read, and what becomes of one that fails."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import handmade
from synthetic import candidates_of, query_tokens
from tribrid.answers.report import OutsideSystem
from tribrid.cloud.clouds import ServiceArm
from tribrid.errors import InvalidInput, ModelNotFound
from tribrid.evaluation.arms import freeze
from tribrid.evaluation.notes import GIVEN
from tribrid.loop.arms import MAX_ARMS, AddedArms, added_arms, prepared, run_key
from tribrid.loop.frozen import Task
from tribrid.loop.params import Arm, ModelArm, RunArm
from tribrid.scoring.learned import Reading
from tribrid.store.database import now_us
from tribrid.types import Impression, JudgedQuery
from tribrid.workspace.corpus import OpenCorpus, open_corpus
from tribrid.workspace.data_folder import DataFolder

_numbers = itertools.count()
QUERIES = [JudgedQuery("q1", "first question", {"a": 1}), JudgedQuery("q2", "second question", {"b": 1})]
RUN = "q1 Q0 c 1 9.5 solr\nq1 Q0 z 2 8.5 solr\nq1 Q0 b 3 7.5 solr\nother Q0 a 1 1.0 solr\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataFolder]:
    opened = handmade.opened(tmp_path_factory.mktemp("data"))
    yield opened
    opened.close()


@pytest.fixture
def corpus(folder: DataFolder) -> OpenCorpus:
    """A corpus of the test's own, with an eval dataset of two queries."""
    corpus_id = f"c{next(_numbers)}"
    folder.store.corpora.create(corpus_id, corpus_id)
    folder.store.evalsets.put(corpus_id, QUERIES, "nDCG@10")
    return open_corpus(folder, corpus_id)


def task_of(corpus: OpenCorpus) -> Task:
    """Candidates a, b, c, d for both queries, in this order."""
    tokens, found = query_tokens(np.random.default_rng(0), 3), candidates_of([0.9, 0.8, 0.7, 0.6], list("abcd"))
    readings = {query.query_id: Reading(query.text, tokens, found, []) for query in QUERIES}
    return Task(corpus.store.evalsets.current(corpus.corpus_id), readings, {}, freeze(readings, 10))


def added(corpus: OpenCorpus, *arms: Arm) -> AddedArms:
    return added_arms(corpus, task_of(corpus), arms)


def order(arms: AddedArms, name: str, query_id: str) -> list[str]:
    return [doc.doc_id for doc in arms.runs[name][query_id]]


def run_arm(**fields: Any) -> dict[str, Any]:
    return {"name": "solr", "run": RUN, **fields}


@pytest.mark.parametrize(
    "name",
    ["", "-dash", "ü", "two words", "x" * 65, "challenger", "retrieval", "dense", "local", GIVEN, "blend_2", None],
)
def test_names_that_are_taken_or_cannot_be_are_refused(corpus: OpenCorpus, name: str | None) -> None:
    arm = {"run": RUN} if name is None else run_arm(name=name)
    with pytest.raises(InvalidInput, match="cannot be the name of an arm"):
        prepared(corpus, [arm])


def test_a_name_comes_once_and_there_are_not_too_many(corpus: OpenCorpus) -> None:
    with pytest.raises(InvalidInput, match="'solr' cannot"):
        prepared(corpus, [run_arm(), run_arm()])
    names = [f"arm{n}" for n in range(MAX_ARMS + 1)]
    assert len(prepared(corpus, [run_arm(name=name) for name in names[:MAX_ARMS]])) == MAX_ARMS
    with pytest.raises(InvalidInput, match=f"at most {MAX_ARMS}"):
        prepared(corpus, [run_arm(name=name) for name in names])


@pytest.mark.parametrize("given", [{}, {"run": RUN, "model_id": "m"}, {"model_id": "m", "provider": "tei"}])
def test_an_arm_is_exactly_one_thing(corpus: OpenCorpus, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="'x' needs one of run, model_id, provider"):
        prepared(corpus, [{"name": "x", **given}])


def test_a_model_must_be_the_corpus_s_own(corpus: OpenCorpus, folder: DataFolder) -> None:
    folder.store.corpora.create("foreign", "foreign")
    own, foreign = handmade.model(folder, corpus.corpus_id, 1.0), handmade.model(folder, "foreign", 1.0)
    assert prepared(corpus, [{"name": "x", "model_id": own}]) == [ModelArm(name="x", model_id=own)]
    for model_id in (foreign, "unheard of"):
        with pytest.raises(ModelNotFound):
            prepared(corpus, [{"name": "x", "model_id": model_id}])


def test_a_service_that_may_not_be_asked_is_refused(corpus: OpenCorpus) -> None:
    with pytest.raises(InvalidInput, match="theirs"):
        prepared(corpus, [{"name": "theirs", "provider": "cohere", "model": "rerank-v4.0-fast"}])
    with pytest.raises(InvalidInput):
        prepared(corpus, [{"name": "theirs", "provider": "tei", "url": "http://elsewhere.example"}])


def test_a_run_is_stored_under_its_hash_without_what_nobody_asked(corpus: OpenCorpus) -> None:
    (arm,) = prepared(corpus, [run_arm()])
    assert isinstance(arm, RunArm)
    assert (arm.tag, arm.restrict) == ("solr", False)
    stored = corpus.store.candidates.get(run_key(corpus.corpus_id, arm.sha256))
    assert stored is not None
    assert stored["lists"].keys() == {"q1"}
    without = RUN.replace("other Q0 a 1 1.0 solr\n", "")
    assert prepared(corpus, [run_arm(run=without)]) == [arm]


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ("other Q0 a 1 1.0 solr\n", r"'solr': The run ranks none .* 'other', the dataset's are such as 'q1'"),
        ("q1 Q0 a 1 solr\n", "'solr': .*line 1"),
        ("", "'solr'"),
    ],
)
def test_a_run_that_says_nothing_is_refused_by_the_arm_s_name(corpus: OpenCorpus, run: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as refused:
        prepared(corpus, [run_arm(run=run)])
    assert refused.value.facts["name"] == "solr"


def test_a_run_is_judged_as_it_is_with_what_it_found_itself(corpus: OpenCorpus) -> None:
    found = added(corpus, *prepared(corpus, [run_arm()]))
    assert order(found, "solr", "q1") == ["c", "z", "b"]
    assert order(found, "solr", "q2") == []
    facts = found.facts["solr"]
    assert (facts.own_candidates, facts.queries_found, facts.queries_missing) == (True, 1, 1)
    assert not found.failed


def test_a_restricted_run_orders_the_frozen_candidates_and_no_other(corpus: OpenCorpus) -> None:
    found = added(corpus, *prepared(corpus, [run_arm(restrict=True)]))
    assert order(found, "solr", "q1") == ["c", "b", "a", "d"]
    assert order(found, "solr", "q2") == ["a", "b", "c", "d"], "as retrieved where the run has nothing"
    facts = found.facts["solr"]
    assert (facts.own_candidates, facts.queries_found, facts.queries_missing) == (False, 1, 1)


def test_an_arm_that_cannot_run_fails_alone(corpus: OpenCorpus, folder: DataFolder) -> None:
    model_id = handmade.model(folder, corpus.corpus_id, -1.0)
    found = added(
        corpus,
        RunArm(name="lost", sha256="0" * 64, tag="t", restrict=True),
        ModelArm(name="gone", model_id="unheard of"),
        ServiceArm(name="keyless", provider="cohere", url=None, model="rerank-v4.0-fast"),
        ModelArm(name="good", model_id=model_id),
        *prepared(corpus, [run_arm()]),
    )
    assert found.failed.keys() == {"lost", "gone", "keyless"}
    assert found.failed["lost"] == "The run 000000000000 is not stored any more."
    assert "unheard of" in found.failed["gone"]
    assert [name for name, _ in found.scorers] == ["good"]
    assert found.runs.keys() == {"solr"}
    assert found.facts.keys() == {"lost", "gone", "keyless", "good", "solr"}


def test_the_order_in_which_another_engine_gave_documents_is_an_arm_where_it_is_known(corpus: OpenCorpus) -> None:
    assert added(corpus).runs == {}
    given = ("d", "elsewhere", "b")
    for name, docs in (("old", ("a",)), ("new", given)):
        asked = Impression(
            query_id=f"{corpus.corpus_id}{name}",
            corpus_id=corpus.corpus_id,
            query=QUERIES[0].text,
            shown=(),
            model_id="retrieval",
            reranked=False,
            fallback_reason=None,
            took_ms=1.0,
            created_us=now_us(),
            source="rerank",
            given=docs,
        )
        corpus.store.logs.add_impression(asked)
    found = added(corpus)
    assert found.given == ["q1"]
    assert order(found, GIVEN, "q1") == ["d", "b", "a", "c"]
    assert order(found, GIVEN, "q2") == ["a", "b", "c", "d"]
    assert found.facts[GIVEN] == OutsideSystem(kind=GIVEN, queries_found=1, queries_missing=1)
