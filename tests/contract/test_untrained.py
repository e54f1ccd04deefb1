"""The order before any label as it serves: until a model is promoted, where the corpus can be known well enough."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import handmade
import tiny
from tribrid.app import Tribrid
from tribrid.cli.reports import before_after
from tribrid.evaluation.arms import retrieval_arm
from tribrid.loop import evaluate as module
from tribrid.loop.experiment import advance
from tribrid.loop.frozen import read_queries
from tribrid.loop.params import EvaluateParams
from tribrid.loop.train import read_triplets
from tribrid.loop.untrained import keep_trained_on
from tribrid.scoring.scorer import LEAST_STEP, UNTRAINED_MODEL, falling, ranked
from tribrid.store.untrained import UntrainedComparison
from tribrid.training.resources import Pace
from tribrid.types import Document, JudgedQuery, Source, Triplet
from tribrid.types.evidence import LogEvidence
from tribrid.workspace.corpus import LEAST_PASSAGES, OpenCorpus, open_corpus

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
QUERY = "proxy backup of the certificate"
HASH = "3f786850e387550fdab836ed7e6dc881de23001b"


def documents(count: int) -> list[Document]:
    rng, words = random.Random(3), tiny.WORDS.split()
    return [Document(f"d{n:03}", " ".join(rng.choices(words, k=12)), f"note {n}") for n in range(count)]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus "c" that is known well enough."""
    folder = tmp_path_factory.mktemp("data")
    with Tribrid(folder) as opened:
        opened.patch_settings({"evaluation": {"resamples": 200}})
        opened.create_corpus("c")
        opened.corpus("c").documents.add(documents(LEAST_PASSAGES))
    return folder


@pytest.fixture
def tribrid(data_dir: Path) -> Iterator[Tribrid]:
    """The folder, opened; what a test learns of the corpus is forgotten."""
    with Tribrid(data_dir) as opened:
        yield opened
        opened.corpus("c").patch_settings({"reranking": None})
        opened.store.untrained.put("c", UntrainedComparison(None, 1, "ndcg@10", 0.0, 1.0))


def corpus(tribrid: Tribrid) -> OpenCorpus:
    return open_corpus(tribrid.folder, "c")


def both_orders(tribrid: Tribrid, query: str = QUERY) -> tuple[list[str], list[str]]:
    """doc_ids in the fused order, and in the one before any label."""
    (found,) = read_queries(corpus(tribrid), {"q": query}, handmade.nothing)
    own = corpus(tribrid).untrained
    assert own is not None
    fused = retrieval_arm({"q": found.reading})["q"]
    return [d.doc_id for d in fused], [d.doc_id for d in ranked(found.reading, own.score(found.reading))]


def test_it_serves_a_corpus_without_a_champion_and_says_who_it_is(tribrid: Tribrid) -> None:
    fused, own = both_orders(tribrid)
    assert fused != own
    found = tribrid.corpus("c").search(QUERY, top_k=60)
    assert [row.doc_id for row in found.results][:50] == own
    assert (found.model_id, found.reranked, found.reranked_candidates) == (UNTRAINED_MODEL, True, 50)
    scores = [row.score for row in found.results]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(max(row.first_stage.score for row in found.results)), "on the first stage's scale"
    logged = tribrid.store.logs.impression(found.query_id)
    assert (logged.model_id, logged.reranked, logged.fallback_reason) == (UNTRAINED_MODEL, True, None)
    status = tribrid.corpus("c").status()
    assert (status.model_id, status.reason, status.form) == (UNTRAINED_MODEL, None, None)
    champion = handmade.model(tribrid.folder, "c", 1.0)
    tribrid.store.models.promote("c", champion, "test")
    assert tribrid.corpus("c").search(QUERY).model_id == champion
    tribrid.corpus("c").rollback("test")
    assert tribrid.corpus("c").search(QUERY).model_id == UNTRAINED_MODEL
    tribrid.corpus("c").patch_settings({"reranking": {"reranker_mode": "none"}})
    assert tribrid.corpus("c").search(QUERY).model_id == "retrieval"


def test_a_rerank_of_a_corpus_gives_the_same_order(tribrid: Tribrid) -> None:
    found = tribrid.corpus("c").search(QUERY, top_k=50)
    texts = {document.doc_id: document for document in documents(LEAST_PASSAGES)}
    given = [
        {"id": row.doc_id, "title": texts[row.doc_id].title, "text": texts[row.doc_id].text}
        for row in sorted(found.results, key=lambda row: row.doc_id)
    ]
    answer = tribrid.rerank(QUERY, given, corpus_id="c")
    assert (answer.model_id, answer.reranked, answer.warnings) == (UNTRAINED_MODEL, True, ())
    assert [row.doc_id for row in answer.results] == [row.doc_id for row in found.results]
    assert all(0 <= row.score <= 1 for row in answer.results)


def test_what_has_the_identifier_that_is_asked_for_comes_first(tribrid: Tribrid, tmp_path: Path) -> None:
    near = f"{HASH[:-1]}a"
    with Tribrid(tmp_path) as opened:
        opened.create_corpus("c")
        texts = [(f"commit {near} index index index", "near"), (f"the night of {HASH} and much else to read", "exact")]
        extra = [Document(name, text) for text, name in texts]
        opened.corpus("c").documents.add([*documents(LEAST_PASSAGES), *extra])
        for query in (HASH, f"which commit is {HASH}"):
            found = opened.corpus("c").search(query)
            assert (found.model_id, found.results[0].doc_id) == (UNTRAINED_MODEL, "exact")


def test_few_passages_are_served_in_the_fused_order(tmp_path: Path) -> None:
    with Tribrid(tmp_path) as opened:
        opened.create_corpus("c")
        opened.corpus("c").documents.add(documents(LEAST_PASSAGES - 1))
        assert opened.corpus("c").search(QUERY).model_id == "retrieval"
        opened.corpus("c").documents.add(documents(LEAST_PASSAGES)[-1:])
        assert opened.corpus("c").search(QUERY).model_id == UNTRAINED_MODEL, "an index that grew"
    with Tribrid(tmp_path) as opened:
        assert opened.corpus("c").search(QUERY).model_id == UNTRAINED_MODEL, "after a restart"


def test_an_older_releases_index_is_served_as_before_and_the_next_run_makes_the_space(tmp_path: Path) -> None:
    with Tribrid(tmp_path) as opened:
        opened.create_corpus("c")
        opened.corpus("c").documents.add(documents(LEAST_PASSAGES))
        published = tmp_path / "indexes" / "c" / "published.json"
        told = json.loads(published.read_text())
        published.write_text(json.dumps({name: told[name] for name in ("table", "version", "fingerprint", "passages")}))
        assert opened.corpus("c").search(QUERY).model_id == "retrieval"
        assert opened.corpus("c").documents.add(documents(1)).embedded == 0
        assert opened.corpus("c").search(QUERY).model_id == UNTRAINED_MODEL


def test_one_that_fails_leaves_the_fused_order_and_is_counted(tribrid: Tribrid) -> None:
    fused, _ = both_orders(tribrid)
    found = corpus(tribrid).index.statistics()
    assert found is not None
    broken = replace(found, idf=np.full_like(found.idf, np.nan))
    snapshot = corpus(tribrid).index.snapshot()
    assert snapshot is not None
    snapshot._statistics = broken
    answer = tribrid.corpus("c").search(QUERY, top_k=50)
    snapshot._statistics = found
    assert ([row.doc_id for row in answer.results], answer.model_id, answer.reranked) == (fused, "retrieval", False)
    assert answer.fallback_code == "scorer_failed"
    assert tribrid.corpus("c").status().fallbacks.by_code == {"scorer_failed": 1}


def judged(tribrid: Tribrid, wanted: int) -> list[JudgedQuery]:
    """Queries of which the first document of the fused order (0) or of the other (1) is the relevant one."""
    found = []
    for word in tiny.WORDS.split()[20:60]:
        query = f"{word} of the {QUERY}"
        firsts = [order[0] for order in both_orders(tribrid, query)]
        if firsts[0] != firsts[1]:
            found.append(JudgedQuery(word, query, {firsts[wanted]: 1}))
    assert len(found) >= 5
    return found


def test_where_an_eval_dataset_prefers_the_fused_order_that_serves(tribrid: Tribrid) -> None:
    for wanted, serving in ((0, "retrieval"), (1, UNTRAINED_MODEL)):
        tribrid.store.evalsets.put("c", judged(tribrid, wanted), "nDCG@10")
        report = module.evaluate(corpus(tribrid), f"e{wanted}", EvaluateParams(), handmade.nothing)
        rows = {name: row.means["ndcg@10"] for name, row in report.systems.items() if row is not None}
        assert (rows[UNTRAINED_MODEL] > rows["retrieval"]) is bool(wanted)
        assert report.after is None
        assert tribrid.corpus("c").search(QUERY).model_id == serving
        told = str(tribrid.corpus("c").status().reason)
        assert ("the order before any label" in told) is not bool(wanted)
        kept = tribrid.store.untrained.get("c")
        assert kept is not None
        assert kept.on == report.eval_dataset.sha256


def test_clicks_do_not_choose_what_serves(tribrid: Tribrid) -> None:
    queries = judged(tribrid, 0)
    shown = {query.query_id: dict.fromkeys(query.judgments, 0.9) for query in queries}
    span = {"since_us": 0, "until_us": 1, "clients": 9, "searches": 90}
    evidence = LogEvidence(**span, examination=(1.0,), good=shown, log_odds=shown)
    tribrid.store.evalsets.put("c", queries, "nDCG@10", evidence)
    before = tribrid.store.untrained.get("c")
    report = module.evaluate(corpus(tribrid), "from-logs", EvaluateParams(), handmade.nothing)
    assert report.eval_dataset.log is not None
    assert tribrid.store.untrained.get("c") == before
    assert tribrid.corpus("c").search(QUERY).model_id == UNTRAINED_MODEL


def test_a_model_must_be_above_it_where_it_serves(tribrid: Tribrid) -> None:
    tribrid.store.evalsets.put("c", judged(tribrid, 1), "nDCG@10")
    model_id = handmade.model(tribrid.folder, "c", 1.0)
    report = module.evaluate(corpus(tribrid), "guard", EvaluateParams(model_id=model_id), handmade.nothing)
    guards = {guard.name: guard for guard in report.gate.guards} if report.gate else {}
    assert guards["untrained"].passed is False
    assert "not above the order before any label" in guards["untrained"].detail
    assert any(note.startswith("The order before any label has") for note in report.notes)
    # It is what serves, and compared with is another: the heading says both.
    assert (report.compared.serves, report.compared.heading) == (UNTRAINED_MODEL, "retrieval (untrained serves)")
    assert report.compared.heading in {column.header for column in before_after(report).columns}
    tribrid.corpus("c").patch_settings({"reranking": {"reranker_mode": "none"}})
    report = module.evaluate(corpus(tribrid), "fused", EvaluateParams(model_id=model_id), handmade.nothing)
    assert (report.compared.serves, report.compared.heading) == (None, "Before: retrieval")


def taught_by(tribrid: Tribrid, query: JudgedQuery, source: Source) -> Triplet:
    """What is good for the query, and better than the first of the other order."""
    (good,), worse = query.judgments, both_orders(tribrid, query.text)[1][0]
    return Triplet(query.query_id, query.text, (good, 0), (worse, 0), source, 1.0, "judged")


def test_without_an_eval_dataset_the_judgments_that_are_trained_on_are_asked(tmp_path: Path) -> None:
    with Tribrid(tmp_path) as opened:
        opened.create_corpus("c")
        opened.corpus("c").documents.add(documents(LEAST_PASSAGES))
        queries = judged(opened, 0)
        for source, kept in ((Source.HEURISTICS, False), (Source.JUDGMENTS, True)):
            triplets = [taught_by(opened, query, source) for query in queries]
            taught = read_triplets(corpus(opened), triplets, Pace(60), handmade.nothing)
            keep_trained_on(corpus(opened), triplets, taught.lists)
            assert (opened.store.untrained.get("c") is not None) is kept
        assert opened.corpus("c").search(QUERY).model_id == "retrieval"


def test_an_experiment_compares_with_it(tribrid: Tribrid) -> None:
    challenger = handmade.model(tribrid.folder, "c", -1.0)
    tribrid.corpus("c").patch_settings({"reranking": {"experiment": "interleave", "experiment_challenger": challenger}})
    assert tribrid.corpus("c").search(QUERY, client_id="me").model_id == f"{UNTRAINED_MODEL}+{challenger}"
    running = advance(corpus(tribrid))
    assert running.champion_id == UNTRAINED_MODEL
    tribrid.store.untrained.put("c", UntrainedComparison(None, 9, "ndcg@10", 0.5, 0.4))
    assert tribrid.corpus("c").search(QUERY, client_id="me").model_id == f"retrieval+{challenger}"
    ended = [e for e in [tribrid.store.experiments.latest("c")] if e is not None]
    assert [e.champion_id for e in ended] == [None], "another ranking is another experiment"


def test_scores_that_are_dealt_out_fall_at_every_place() -> None:
    dealt = falling(np.array([0.2, 0.5, 0.5, 0.5, 0.1]))
    assert np.all(np.diff(dealt) <= -LEAST_STEP / 2)
    assert dealt.tolist() == pytest.approx([0.5, 0.5, 0.5, 0.2, 0.1], abs=5 * LEAST_STEP)
