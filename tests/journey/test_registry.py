"""A model's record, the way back, its export, and erasure: on a corpus whose first model won its place by the gate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import sqlalchemy as sa

import learnable
from tribrid.answers.erasures import TaughtModel
from tribrid.answers.models import TrainingQuery
from tribrid.app import Tribrid
from tribrid.app.parts import quiet
from tribrid.errors import Erased, InvalidInput, ModelNotFound, NoModel, NoTriplets, QueryNotFound
from tribrid.loop import evaluate, mine, train
from tribrid.loop.params import EvaluateParams, MineParams
from tribrid.store import tables
from tribrid.workspace.corpus import open_corpus

pytestmark = pytest.mark.timeout(240)
QUICK = {"training": {"cross_encoder": False, "folds": 3}, "evaluation": {"resamples": 500}}
QUERY = " ".join(learnable.documents()[7].text.split()[:3])


@pytest.fixture(scope="module")
def tribrid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tribrid]:
    """Mined from clicks and judgments, trained, evaluated, promoted; all in this process."""
    with Tribrid(tmp_path_factory.mktemp("data")) as opened:
        opened.patch_settings(QUICK)
        opened.create_corpus("c", "Corpus")
        opened.corpus("c").documents.add(learnable.documents())
        found = opened.corpus("c").search(QUERY)
        opened.feedback(found.query_id, "click", found.results[0].doc_id)
        opened.corpus("c").judgments.put(learnable.queries("train", 60, seed=2))
        opened.corpus("c").eval_dataset.put(learnable.queries("eval", 30, seed=3))
        mine.mine(open_corpus(opened.folder, "c"), MineParams.model_validate({"sources": ["logs", "judgments"]}), quiet)
        model = train.train(open_corpus(opened.folder, "c"), "first", {}, quiet, lambda: False)
        assert opened.corpus("c").models().challenger == model.model_id
        for evaluation_id in ("e1", "e2"):
            challenger = EvaluateParams(model_id=model.model_id)
            evaluate.evaluate(open_corpus(opened.folder, "c"), evaluation_id, challenger, quiet)
        names = opened.corpus("c").models()
        assert (names.champion, names.challenger) == (model.model_id, None)
        yield opened


def test_going_back_goes_back_in_history_and_a_proven_model_needs_no_force(tribrid: Tribrid) -> None:
    champion = tribrid.corpus("c").models().champion
    assert tribrid.corpus("c").promote(champion).champion == champion  # it serves already: nothing to prove
    back = tribrid.corpus("c").rollback("was search better without?")
    assert (back.champion, back.can_roll_back) == (None, False)
    assert tribrid.corpus("c").search(QUERY).model_id == "retrieval"
    with pytest.raises(NoModel, match="nothing to go back to"):
        tribrid.corpus("c").rollback()
    again = tribrid.corpus("c").promote(champion)
    assert (again.champion, again.previous, again.can_roll_back) == (champion, None, True)
    newest = tribrid.corpus("c").models().promotions[0]
    assert (newest.kind, newest.forced) == ("hand", False)
    assert "rises from" in newest.reason, "the reasons of the evaluation that it won"
    assert tribrid.evaluations.get(str(newest.evaluation_id)).model_id == champion


def test_a_model_reaches_the_searches_it_was_trained_on(tribrid: Tribrid) -> None:
    record = tribrid.models.get(str(tribrid.corpus("c").models().champion))
    assert record.aliases == ("champion",)
    lineage = record.lineage
    assert lineage.triplet_set is not None
    assert lineage.triplet_set.by_source["judgments"].queries > 40
    assert lineage.kept_out_eval_dataset == tribrid.store.evalsets.current("c").sha256
    assert lineage.corpus.version == tribrid.store.corpora.get("c").version
    assert len(lineage.code.sha256 or "") == 64
    assert [row.decision for row in record.evaluations][-1] == "promote"
    page = tribrid.models.training_queries(record.model_id, limit=1000)
    assert page.total == len(page.queries) == sum(of.queries for of in lineage.triplet_set.by_source.values())
    by_source: dict[str, list[TrainingQuery]] = {"logs": [], "judgments": []}
    for row in page.queries:
        by_source[row.source].append(row)
    judged = {f"judgment:{query.query_id}" for query in tribrid.store.judgments.list("c")}
    assert all(row.evidence and judged.issuperset(row.evidence) for row in by_source["judgments"])
    assert lineage.impressions == sum(row.impressions_total for row in by_source["logs"])
    for row in by_source["logs"]:
        for impression in row.impressions:
            assert tribrid.store.logs.impression(impression.query_id).query == row.query
        assert set(row.evidence) <= {f"impression:{impression.query_id}" for impression in row.impressions}


def test_looks_at_the_eval_dataset_are_counted_and_every_guard_is_shown(tribrid: Tribrid) -> None:
    first, second = (tribrid.evaluations.get(row.evaluation_id) for row in reversed(tribrid.corpus("c").evaluations()))
    looks = [(found.looks.count, found.looks.models) for found in (first, second) if found.looks]
    assert looks == [(1, 1), (2, 1)], "the same model twice"
    assert first.gate is not None
    passed = {guard.name: guard.passed for guard in first.gate.guards}
    assert passed["interval"] is passed["minimum_effect"] is passed["retrieval"] is passed["judged@10"] is True
    assert passed["latency_p95"] is None


def test_a_report_says_promoted_only_of_a_model_that_was(tribrid: Tribrid) -> None:
    """The job may die, or the model not load, after the report was stored."""
    first = tribrid.evaluations.get("e1")
    assert first.promoted
    tribrid.store.evaluations.put("died", "c", first.model_copy(update={"evaluation_id": "died"}), [])
    assert tribrid.evaluations.get("died").promoted is False
    with tribrid.store.database.begin() as connection:
        connection.execute(sa.delete(tables.evaluations).where(tables.evaluations.c.evaluation_id == "died"))


def test_a_model_is_exported_with_its_card(tribrid: Tribrid, tmp_path: Path) -> None:
    champion = str(tribrid.corpus("c").models().champion)
    done = tribrid.models.export(champion, tmp_path / "out")
    assert {"README.md", "record.json", "blend.onnx", "tribrid/manifest.json"} <= set(done.files)
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    for told in (champion, "triplet set", "No cross-encoder", "ndcg@10", "Decision: promote", "vocabulary ids"):
        assert told in card
    session = onnxruntime.InferenceSession(tmp_path / "out" / "blend.onnx")
    (features,) = session.get_inputs()
    assert session.get_modelmeta().custom_metadata_map["features"].count("\n") + 1 == features.shape[1]
    with pytest.raises(InvalidInput, match="there already"):
        tribrid.models.export(champion, tmp_path / "out")
    with pytest.raises(ModelNotFound):
        tribrid.models.export("none", tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_is_erased_is_not_learned_again(tribrid: Tribrid) -> None:
    """A click is mined, then its search erased: the stored triplets are without it, and those of a later mining."""
    tribrid.create_corpus("log")
    tribrid.corpus("log").documents.add(learnable.documents())
    searches = [
        tribrid.corpus("log").search(query.text, client_id="ann") for query in learnable.queries("q", 8, seed=4)
    ]
    for found in searches:
        tribrid.feedback(found.query_id, "click", found.results[1].doc_id)
    mine.mine(open_corpus(tribrid.folder, "log"), MineParams.model_validate({"sources": ["logs"]}), quiet)
    mined = {row.query for row in tribrid.corpus("log").triplets(limit=1000).triplets}
    erased = searches[0].query_id, tribrid.store.logs.impression(searches[0].query_id).query
    assert erased[1] in mined
    done = tribrid.corpus("log").erase(query_id=erased[0])
    assert done.erased["impressions"] == 1
    assert done.erased["triplets"] > 0
    with pytest.raises(QueryNotFound):
        tribrid.corpus("log").erase(query_id=erased[0])
    assert {row.query for row in tribrid.corpus("log").triplets(limit=1000).triplets} == mined - {erased[1]}
    mine.mine(open_corpus(tribrid.folder, "log"), MineParams.model_validate({"sources": ["logs"]}), quiet)
    assert erased[1] not in {row.query for row in tribrid.corpus("log").triplets(limit=1000).triplets}
    assert [row.kind for row in tribrid.corpus("log").erasures()] == ["list"]

    shown = searches[1].results[1].doc_id
    (words,) = [document.text.encode() for document in learnable.documents() if document.doc_id == shown]
    gone = tribrid.corpus("log").erase(doc_id=shown)
    assert gone.erased["documents"] == 1
    files = [path for path in tribrid.folder.index_dir("log").rglob("*") if path.is_file()]
    assert not any(words in path.read_bytes() for path in files)
    text = tribrid.store.logs.impression(searches[1].query_id).query
    assert shown not in {r.doc_id for r in tribrid.corpus("log").search(text, top_k=50).results}
    tribrid.corpus("log").erase(client_id="ann")
    with pytest.raises(NoTriplets):
        tribrid.corpus("log").submit_train({"cross_encoder": False})
    for wrong in ({}, {"query": "a", "doc_id": "b"}, {"query": " "}):
        with pytest.raises(InvalidInput, match="exactly one"):
            tribrid.corpus("log").erase(**wrong)
    tribrid.corpus("log").delete()


def test_a_training_whose_triplets_are_erased_meanwhile_makes_no_model(tribrid: Tribrid) -> None:
    before = tribrid.corpus("c").models()
    query = tribrid.models.training_queries(str(before.champion), limit=1000).queries[0].query

    def emit(_: Any, data: Any) -> None:
        if data.get("stage") == "fit" and data["done"] == 0:
            done = tribrid.corpus("c").erase(query=query)
            assert done.models == (TaughtModel(model_id=str(before.champion), aliases=("champion",)),)

    with pytest.raises(Erased, match="Train again"):
        train.train(open_corpus(tribrid.folder, "c"), "second", {"seed": 5}, emit, lambda: False)
    assert tribrid.corpus("c").models() == before
    erased = tribrid.models.get(str(before.champion))
    assert erased.erasures[0].kind == "query"
    assert erased.lineage.triplet_set is not None
    assert erased.lineage.triplet_set.erased_triplets == erased.erasures[0].erased["triplets"] > 0
