"""Labels that are believed: drawn by how likely they are, learned of from ranks where nobody was shown anything."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from compared import make_inputs
from tribrid.evaluation.believed import LEAST_SHOWN, SETS, averaged, believe
from tribrid.evaluation.comparison import deltas
from tribrid.evaluation.report import build_report
from tribrid.types import EvalDataset, JudgedQuery, ScoredDoc
from tribrid.types.evidence import LogEvidence

QUERIES, DEPTH, SHOWN = 80, 30, 10
SURE = 6.0


def evidence(good: Any, log_odds: Any) -> LogEvidence:
    facts: dict[str, Any] = {"since_us": 0, "until_us": 86_400_000_000, "clients": 412, "searches": 9000}
    return LogEvidence(**facts, examination=(1.0, 0.5, 0.3), good=good, log_odds=log_odds)


def ranking(scores: list[float]) -> list[ScoredDoc]:
    return [ScoredDoc(f"d{number}", score) for number, score in enumerate(scores)]


def world(seed: int, second: float, sure: float = SURE) -> tuple[list[JudgedQuery], LogEvidence, list[Any], list[Any]]:
    """Two rankings of which the first was shown, down to a rank, and the truth."""
    rng = np.random.default_rng(seed)
    names = [f"q{at:02}" for at in range(QUERIES)]
    relevant = rng.random((QUERIES, DEPTH)) < 0.2
    relevant[:, 0] = True
    scores = [strength * relevant + rng.normal(size=relevant.shape) for strength in (1.0, second)]
    runs = [dict(zip(names, map(ranking, of.tolist()), strict=True)) for of in scores]
    shown = np.argsort(-scores[0], axis=1)[:, :SHOWN].tolist()
    signed = np.where(relevant, sure, -sure).tolist()
    said = {name: {f"d{n}": signed[at][n] for n in shown[at]} for at, name in enumerate(names)}
    queries, truth = judged(said), judged({name: labels(row) for name, row in zip(names, signed, strict=True)})
    good = {name: {doc: 1 / (1 + np.exp(-value)) for doc, value in of.items()} for name, of in said.items()}
    return queries, evidence(good, said), runs, truth


def labels(row: list[float]) -> dict[str, float]:
    return {f"d{number}": value for number, value in enumerate(row)}


def judged(said: dict[str, dict[str, float]]) -> list[JudgedQuery]:
    return [JudgedQuery(name, name, {doc: int(value > 0) for doc, value in of.items()}) for name, of in said.items()]


def change(second: float, seed: int = 3) -> tuple[float, float, float]:
    """What judgments of everything say, what is believed, and what taking clicks for judgments says."""
    from tribrid.evaluation.measures import per_query

    queries, rests, runs, truth = world(seed, second)
    candidates = {query.query_id: [f"d{n}" for n in range(DEPTH)] for query in queries}
    believed = believe(queries, rests, candidates, runs, 13)
    assert believed.imputed
    means = [averaged(believed.values(run, queries, ["ndcg@10"]))["ndcg@10"] for run in runs]
    plain = [[per_query(run, of, ["ndcg@10"])["ndcg@10"] for run in runs] for of in (truth, queries)]
    true, clicks = (float(np.mean([of[1][q] - of[0][q] for q in of[0]])) for of in plain)
    return true, float(np.mean([means[1][q] - means[0][q] for q in means[0]])), clicks


@pytest.mark.parametrize("second", [0.4, 1.0, 1.8])
def test_a_ranking_that_nobody_was_shown_is_measured_fairly(second: float) -> None:
    found = np.array([change(second, seed) for seed in range(6)])
    true, believed, clicks = found.mean(axis=0)
    assert believed == pytest.approx(true, abs=0.05)
    assert clicks < true - 0.1  # taken for judgments, clicks speak for whatever was shown


def test_labels_are_drawn_by_how_likely_they_are() -> None:
    queries = [JudgedQuery(f"q{at}", f"q{at}", {"a": 1, "b": 0}) for at in range(50)]
    rests = evidence({query.query_id: {"a": 0.9, "b": 0.3} for query in queries}, {})
    believed = believe(queries, rests, {query.query_id: ["a", "b", "c"] for query in queries}, [], 13)
    assert len(believed.sets) == SETS
    assert not believed.imputed  # no recorded list: nothing is known of what was not clicked
    chance = {doc: np.mean([of[doc] for of in believed.chances.values()]) for doc in "abc"}
    assert chance["a"] == pytest.approx(0.95, abs=0.03)
    assert chance["b"] == pytest.approx(0.3, abs=0.03)
    assert chance["c"] == 0
    assert all(query.has_positive for of in believed.sets for query in of)
    assert believe(queries, rests, {}, [], 13).sets == believe(queries, rests, {}, [], 13).sets


def test_too_few_shown_documents_make_no_model_of_ranks() -> None:
    queries, rests, runs, _ = world(3, 1.0)
    few = queries[: LEAST_SHOWN // SHOWN - 1]
    candidates = {query.query_id: [f"d{n}" for n in range(DEPTH)] for query in queries}
    assert not believe(few, rests, candidates, runs, 13).imputed
    assert believe(queries, rests, candidates, runs, 13).imputed


def test_the_less_sure_the_labels_the_wider_the_interval() -> None:
    widths = []
    for sure in (SURE, 1.0):
        queries, rests, runs, _ = world(5, 1.4, sure)
        candidates = {query.query_id: [f"d{n}" for n in range(DEPTH)] for query in queries}
        believed = believe(queries, rests, candidates, runs, 13)
        drawn = [believed.values(run, queries, ["ndcg@10"])["ndcg@10"] for run in runs]
        values = np.array([drawn[1][q] - drawn[0][q] for q in sorted(drawn[0])])
        delta = deltas(values[:, None], resamples=2000, confidence=0.95, seed=1)[0]
        plain = deltas(values.mean(axis=1)[:, None], resamples=2000, confidence=0.95, seed=1)[0]
        assert delta.mean == pytest.approx(plain.mean)
        widths.append((delta.ci95[1] - delta.ci95[0], plain.ci95[1] - plain.ci95[0]))
    assert widths[0][0] > widths[0][1]
    assert widths[1][0] > 1.2 * widths[1][1]


def test_labels_that_are_certain_give_the_interval_of_judgments() -> None:
    generator = np.random.default_rng(1)
    values = generator.normal(0.02, 0.1, (60, 2))
    drawn = np.repeat(values[:, :, None], 8, axis=2)
    plain, sets = (deltas(of, resamples=20_000, confidence=0.9, seed=5) for of in (values, drawn))
    for one, other in zip(plain, sets, strict=True):
        assert one.mean == pytest.approx(other.mean)
        assert (one.wins, one.losses) == (other.wins, other.losses)
        assert one.ci == pytest.approx(other.ci, abs=0.002)
        assert one.p_value == pytest.approx(other.p_value, abs=0.02)


def test_a_report_says_that_nobody_judged() -> None:
    inputs = make_inputs()
    queries = [query for query in inputs.dataset.queries if query.has_positive]
    said = {
        query.query_id: {doc: 3.0 if grade else -3.0 for doc, grade in query.judgments.items()} for query in queries
    }
    good = {name: {doc: 0.95 if value > 0 else 0.05 for doc, value in of.items()} for name, of in said.items()}
    dataset = EvalDataset("ab" * 32, 2, "wiki", tuple(queries), "nDCG@10", 0, evidence(good, said))
    summary = build_report(make_inputs(dataset=dataset)).summary
    assert summary.eval_dataset.source == "logs"
    assert summary.eval_dataset.log is not None
    assert summary.eval_dataset.log.told == "9,000 searches of 412 clients, 1970-01-01 to 1970-01-02"
    assert "labels from logs (9,000 searches of 412 clients" in summary.verdict.reasons[-1]
    assert [note.split(":")[0] for note in summary.notes[:3]] == ["Nobody judged", "Position bias", "Selection bias"]
    judged = build_report(inputs).summary
    assert judged.eval_dataset.source == "judgments"
    assert not any("logs" in text for text in (*judged.verdict.reasons, *judged.notes))
    assert all(
        of.means["ndcg@10"] <= summary.systems["oracle"].means["ndcg@10"] + 0.02  # type: ignore[union-attr]
        for of in summary.systems.values()
        if of is not None
    )
