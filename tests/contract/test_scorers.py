"""What every reranker owes: one finite score a candidate, of the candidate, whoever else is asked meanwhile."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tiny
from rerank_server import rerank_server, speaks
from synthetic import STATISTICS, candidates_of, passage_tokens, query_tokens, training_list
from tribrid.cloud.clouds import Clouds
from tribrid.cloud.prices import load_prices
from tribrid.config import Config, Environment
from tribrid.corpus.passages import split
from tribrid.encoders.budget import Budget
from tribrid.encoders.cross_encoder import HubCrossEncoder
from tribrid.encoders.models import ensure_export
from tribrid.errors import Cancelled
from tribrid.loop.given_documents import GivenQuery, score_apart
from tribrid.scoring.learned import LearnedReranker, Reading
from tribrid.scoring.scorer import LearnedScorer, LocalScorer, Scorer, ranked
from tribrid.store import Store
from tribrid.training.train import TrainingInputs, train
from tribrid.types import Candidate, Document

SNIPPET_CHARS = 200


def nothing(*_: object) -> None:
    pass


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    folder = tmp_path_factory.mktemp("local")
    source = tiny.build_cross_encoder(folder / "tiny-reranker")
    return LocalScorer("tiny", HubCrossEncoder(ensure_export(folder, str(source), "cross-encoder"), SNIPPET_CHARS))


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    config = Config().training.model_copy(update={"folds": 2, "epochs": 1})
    inputs = TrainingInputs(
        [training_list(seed, learnable=True) for seed in range(16)],
        STATISTICS,
        Path(os.environ["TRIBRID_TRAINING__BASE_MODEL"]),
        SNIPPET_CHARS,
        {},
    )
    made = train(inputs, config, tmp_path_factory.mktemp("learned"), nothing, lambda: False)
    return LearnedScorer("m1", LearnedReranker(made.folder))


def cloud(provider: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scorer]:
    """Mode cloud against a real server that speaks the provider's form."""
    folder = tmp_path_factory.mktemp("cloud")
    store = Store.open(folder)
    with rerank_server(speaks(provider)) as server:
        named = {"reranker_cloud_provider": provider, "reranker_cloud_url": server.url, "reranker_cloud_model": "m"}
        config = Config.model_validate({"reranking": {**named, "rerank_input_snippet_chars": SNIPPET_CHARS}}).reranking
        clouds = Clouds(Environment.model_validate({"data_dir": folder}), store.spending, load_prices)
        yield clouds.scorer("c", config, config)
        clouds.close()
    store.close()


@pytest.fixture(scope="module")
def cohere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scorer]:
    yield from cloud("cohere", tmp_path_factory)


@pytest.fixture(scope="module")
def voyage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scorer]:
    yield from cloud("voyage", tmp_path_factory)


@pytest.fixture(scope="module")
def jina(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scorer]:
    yield from cloud("jina", tmp_path_factory)


@pytest.fixture(scope="module")
def tei(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scorer]:
    yield from cloud("tei", tmp_path_factory)


@pytest.fixture(params=["learned", "local", "cohere", "voyage", "jina", "tei"])
def scorer(request: pytest.FixtureRequest) -> Scorer:
    made: Scorer = request.getfixturevalue(request.param)
    return made


def reading_of(n: int, query: str = "how do I renew the certificate", text: str = "certificate proxy") -> Reading:
    rng = np.random.default_rng(n)
    found = [
        replace(c, passage=replace(c.passage, text=f"{text} {i}", title="A title"[: i % 8]))
        for i, c in enumerate(candidates_of(np.sort(rng.random(n))[::-1].tolist()))
    ]
    return Reading(query, query_tokens(rng, 4), found, [passage_tokens(rng, 9) for _ in found])


@pytest.mark.parametrize("n", [1, 2, 50, 130])
def test_one_finite_score_for_each_candidate(scorer: Scorer, n: int) -> None:
    scores = scorer.score(reading_of(n))
    assert scores.shape == (n,)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()


def test_the_same_question_has_the_same_answer(scorer: Scorer) -> None:
    np.testing.assert_array_equal(scorer.score(reading_of(20)), scorer.score(reading_of(20)))


@pytest.mark.parametrize("query", ["?", "字" * 3000, "certificate " * 2000, "🙂 \u202e", "x" * 50_000, "[SEP] [CLS]"])
def test_any_query_is_answered(scorer: Scorer, query: str) -> None:
    assert np.isfinite(scorer.score(reading_of(3, query=query))).all()


@pytest.mark.parametrize("text", ["", " ", "字" * 5000, "word " * 5000, "\n\n"])
def test_any_passage_is_scored(scorer: Scorer, text: str) -> None:
    assert np.isfinite(scorer.score(reading_of(3, text=text))).all()


def test_what_was_given_is_left_as_it_was(scorer: Scorer) -> None:
    reading, again = reading_of(5), reading_of(5)
    scorer.score(reading)
    assert reading.candidates == again.candidates
    for one, other in zip(reading.passages, again.passages, strict=True):
        np.testing.assert_array_equal(one.vectors, other.vectors)


def test_ranked_is_every_candidate_once_best_first(scorer: Scorer) -> None:
    reading = reading_of(30)
    found = ranked(reading, scorer.score(reading))
    assert sorted(doc.doc_id for doc in found) == sorted(c.doc_id for c in reading.candidates)
    assert [doc.score for doc in found] == sorted((doc.score for doc in found), reverse=True)


def test_threads_do_not_disturb_each_other(scorer: Scorer) -> None:
    expected = {n: scorer.score(reading_of(n)) for n in (3, 7, 20)}
    wrong: list[int] = []

    def ask(n: int) -> None:
        if not np.allclose(scorer.score(reading_of(n)), expected[n], atol=1e-5):
            wrong.append(n)

    threads = [threading.Thread(target=ask, args=(n,)) for n in (3, 7, 20) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong


def test_it_says_who_it_is(scorer: Scorer) -> None:
    assert scorer.model_id in ("m1", "tiny", "cohere/m", "voyage/m", "jina/m", "tei/m")


@pytest.mark.parametrize("name", ["local", "cohere", "tei"])
def test_a_reranker_of_pairs_scores_one_alone_as_among_others(name: str, request: pytest.FixtureRequest) -> None:
    scorer: Scorer = request.getfixturevalue(name)
    reading = reading_of(70)
    together = scorer.score(reading)
    for i in (0, 33, 69):
        one = replace(reading, candidates=reading.candidates[i : i + 1], passages=reading.passages[i : i + 1])
        np.testing.assert_allclose(scorer.score(one), together[i : i + 1], atol=1e-5)


def test_documents_without_a_corpus_stand_by_their_best_passage(local: Scorer) -> None:
    config = Config()
    texts = ["certificate. " * 400, "proxy", "certificate", "proxy", ""]
    documents = [Document(f"d{number}", text) for number, text in enumerate(texts)]
    placed, partly = score_apart(local, GivenQuery("renew the certificate", documents, 2, 5), config)
    assert sorted(at for at, _ in placed) == [0, 1, 2, 3, 4]
    scores = dict(placed)
    assert scores[1] == scores[3]
    assert [at for at, _ in placed].index(1) < [at for at, _ in placed].index(3), "of equals the first"
    assert partly == 1
    passages = split(documents[0], passage_chars=1500, overlap_chars=200)
    apart = [
        local.score(replace(reading_of(1, query="renew the certificate"), candidates=[Candidate(p, 1, 0.0, {})]))[0]
        for p in passages
    ]
    assert min(abs(scores[0] - score) for score in apart) < 1e-5


@pytest.mark.parametrize("name", ["local", "cohere", "tei"])
def test_a_reranker_of_pairs_reads_no_further_than_the_snippet(name: str, request: pytest.FixtureRequest) -> None:
    scorer: Scorer = request.getfixturevalue(name)
    short = reading_of(4, text="a" * SNIPPET_CHARS)
    long = reading_of(4, text="a" * SNIPPET_CHARS + " and more")
    np.testing.assert_array_equal(scorer.score(short), scorer.score(long))


def test_nothing_is_paid_for_who_is_gone(cohere: Scorer) -> None:
    gone = Budget()
    gone.leave()
    with pytest.raises(Cancelled):
        cohere.score(replace(reading_of(3), budget=gone))
