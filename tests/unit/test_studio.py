"""What the studio decides without looking anything up: the next step, a judge's pool, a setting's field, words."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pydantic import JsonValue

import reports
from tribrid.answers.answer import time_at
from tribrid.answers.corpora import CorpusFacts
from tribrid.answers.costs import CostEstimate
from tribrid.answers.evalsets import EvalDatasetVersion
from tribrid.answers.evaluations import EvaluationRow
from tribrid.answers.jobs import JobStatus, MiningCounts
from tribrid.answers.judgments import Rating
from tribrid.answers.logs import Day, LogStats
from tribrid.answers.models import ModelList
from tribrid.answers.report import EvaluationReport
from tribrid.answers.search import SideBySide
from tribrid.answers.settings import Setting
from tribrid.answers.triplets import TripletPage
from tribrid.config import Config
from tribrid.errors import InvalidInput
from tribrid.studio import pool, words
from tribrid.studio.evaluations import on_schedule
from tribrid.studio.fields import Field, changed, fields
from tribrid.studio.overtime import over_time
from tribrid.studio.runs import curves, left
from tribrid.studio.steps import Standing, action, steps
from tribrid.types import Event, JobKind, JudgedQuery, State

AT = time_at(1_000_000)
MODEL: dict[str, Any] = {"model_id": "m1", "corpus_id": "c", "run_id": "r", "artifact": "a", "created_at": AT}
MODEL |= dict.fromkeys(("base", "data", "config", "versions", "metrics"))


def standing(**known: Any) -> Standing:
    """Of an empty corpus, but for what is named."""
    counts = {"queries": 0, "judgments": 0}
    facts = {"corpus_id": "c", "name": "", "version": 1, "created_at": AT, "passages": 0, "judgments": counts}
    facts |= {"documents": known.pop("documents", 1), "champion": known.get("champion")}
    logged = {"impressions": 0, "with_feedback": 0, "fallbacks": 0, "feedback": {}, "first_at": None, "last_at": None}
    models = {"corpus_id": "c", "champion": known.pop("champion", None), "challenger": None, "previous": None}
    models |= {"can_roll_back": False, "models": known.pop("models", ()), "promotions": ()}
    return Standing(
        facts=CorpusFacts.model_validate(facts),
        stats=LogStats.model_validate({"corpus_id": "c", **logged, **known.pop("stats", {})}),
        mined=known.pop("mined", None),
        dataset=known.pop("dataset", None),
        models=ModelList.model_validate(models),
        evaluations=known.pop("evaluations", ()),
        jobs=known.pop("jobs", ()),
    )


DATASET = EvalDatasetVersion(
    version=1,
    sha256="s",
    current=True,
    queries=12,
    judgments=12,
    primary_measure="ndcg@10",
    created_at=AT,
    bundle=None,
    source="judgments",
)
MINED = TripletPage.model_validate(
    {
        "corpus_id": "c",
        "triplet_set_id": "t",
        "created_at": AT,
        "counts": {"triplets": 7},
        "total": 7,
        "offset": 0,
        "triplets": (),
    }
)

NOTHING_MINED = MINED.model_copy(update={"counts": MiningCounts()})


def decided(decision: str) -> EvaluationRow:
    return EvaluationRow(evaluation_id="e", corpus_id="c", created_at=AT, model_id="m1", run_id="r", decision=decision)


def job(kind: JobKind, state: State, **fields: Any) -> JobStatus:
    known: dict[str, Any] = {
        "job_id": "j",
        "kind": kind,
        "corpus_id": "c",
        "state": state,
        "params": {},
        "progress": None,
    }
    known |= {"result": None, "problem": None, "cancel_requested": False, "created_at": AT}
    return JobStatus.model_validate({**known, "started_at": None, "finished_at": None, **fields})


LATER = {**MODEL, "created_at": AT + timedelta(hours=1)}


@pytest.mark.parametrize(
    ("known", "label"),
    [
        ({"documents": 0}, "Add documents"),
        ({}, "Judge queries"),
        ({"jobs": [job(JobKind.MINE, State.RUNNING)]}, "Watch the mining"),
        ({"dataset": DATASET}, "Mine"),
        ({"dataset": DATASET, "mined": MINED}, "Train"),
        ({"dataset": DATASET, "mined": NOTHING_MINED}, "Judge more"),
        ({"dataset": DATASET, "mined": MINED, "models": [LATER]}, "Evaluate"),
        ({"dataset": DATASET, "mined": MINED, "models": [LATER], "evaluations": [decided("promote")]}, "Promote"),
        ({"dataset": DATASET, "mined": MINED, "models": [LATER], "evaluations": [decided("keep")]}, "Search and judge"),
        ({"dataset": DATASET, "mined": MINED, "models": [LATER], "champion": "m1"}, "Search and judge"),
    ],
)
def test_there_is_always_one_next_step(known: dict[str, Any], label: str) -> None:
    assert action(standing(**known)).label == label


def conditions(**known: Any) -> dict[str, str]:
    return {step.name: step.condition for step in steps(standing(**known))}


def test_a_step_says_whether_it_is_done_blocked_or_failed() -> None:
    nothing = conditions(documents=0)
    assert nothing == {
        "Logged": "blocked",
        "Mined": "blocked",
        "Trained": "blocked",
        "Evaluated": "blocked",
        "Serving": "none",
    }
    begun = conditions(stats={"impressions": 3, "last_at": AT}, mined=MINED)
    assert begun == {"Logged": "done", "Mined": "done", "Trained": "none", "Evaluated": "blocked", "Serving": "none"}
    problem = {"type": "t", "title": "t", "status": 500, "code": "failed", "detail": "Out of memory."}
    failed = standing(jobs=[job(JobKind.TRAIN, State.FAILED, problem=problem), job(JobKind.MINE, State.QUEUED)])
    told = {step.name: (step.condition, step.why, step.page) for step in steps(failed)}
    assert told["Trained"] == ("failed", "Out of memory.", "runs/j")
    assert told["Mined"][0] == "running"
    assert (
        conditions(models=[MODEL], champion="m1", dataset=DATASET, evaluations=[decided("promote")])["Serving"]
        == "done"
    )


def comparison(*lists: list[str]) -> SideBySide:
    rankings = [
        {
            "system": f"s{number}",
            "model_id": None,
            "problem": None,
            "ranks": [{"doc_id": doc_id, "rank": rank, "score": 0.0} for rank, doc_id in enumerate(of, 1)],
        }
        for number, of in enumerate(lists)
    ]
    return SideBySide.model_validate({"query": "q", "rankings": rankings, "documents": {}})


def test_a_pool_is_shuffled_the_same_way_each_time() -> None:
    found = comparison(list("abcdefg"), list("gfxyz"))
    first = pool.work("q", found, [], [])
    assert sorted(first.pool) == sorted("abcdefgxyz")
    assert first.pool == pool.work("q", comparison(list("gfxyz"), list("gfedcba")), [], []).pool
    assert first.pool != pool.work("other", found, [], []).pool
    assert first.query_id == pool.work(" Q ", found, [], []).query_id


def test_what_comes_next_has_no_grade_yet() -> None:
    known = [JudgedQuery("7", "Q", {"a": 1, "b": 0})]
    this = pool.work("q", comparison(list("abcd")), known, [])
    assert (this.query_id, this.text, this.judged) == ("7", "Q", 2)
    left = [doc_id for doc_id in this.pool if doc_id in "cd"]
    assert this.after("") == left[0]
    assert {this.after(left[0]), this.after(left[1])} == set(left)
    done = pool.work("q", comparison(["a"]), known, [])
    assert done.after("") is None


def test_grades_of_the_eval_dataset_hold_until_the_judge_gives_his_own() -> None:
    fixed = [JudgedQuery("1", "q", {"a": 1, "b": 2})]
    this = pool.work("q", comparison(["a", "b"]), [JudgedQuery("1", "q", {"b": 0})], fixed)
    assert (this.measured, dict(this.grades)) == (True, {"a": 1, "b": 0})


def test_a_second_judge_does_not_see_what_the_first_said() -> None:
    this = pool.work("q", comparison(["a", "b", "c", "d"]), [JudgedQuery("1", "q", {"a": 1, "b": 2, "c": 3})], [])
    said = [rating("a", "anna", 1), rating("b", "anna", 2), rating("b", "bert", 0)]
    assert pool.seen_by("anna", this, said).grades == {"a": 1, "b": 2, "c": 3}
    assert pool.seen_by("bert", this, said).grades == {"b": 0, "c": 3}, "whose c is, nobody knows"


def rating(doc_id: str, judge: str, grade: int) -> Rating:
    return Rating(query_id="1", query="q", doc_id=doc_id, judge=judge, by="person", grade=grade, note="", at=AT)


def test_the_next_eval_dataset_keeps_what_it_has_and_takes_what_is_new() -> None:
    fixed = [JudgedQuery("1", "one", {"a": 1}), JudgedQuery("2", "two", {"a": 1})]
    judged = [JudgedQuery("x", "ONE", {"a": 0, "b": 3}), JudgedQuery("none", "none", {"a": 0})]
    judged += [JudgedQuery(f"n{number}", f"new {number}", {"a": 2}) for number in range(5)]
    whole, half = (pool.dataset(fixed, judged, share) for share in ("all", "half"))
    assert whole[:2] == [JudgedQuery("1", "one", {"a": 0, "b": 3}), fixed[1]]
    assert {query.query_id for query in whole[2:]} == {f"n{number}" for number in range(5)}
    assert whole[:5] == half
    assert pool.waiting(["one", "New 1", "other", " Other"], judged) == ["other"]


def made(section: str, **values: Any) -> dict[str, Field]:
    config = Config().model_dump(mode="json")[section]
    settings = {
        name: Setting(value=values.get(name, value), origin="default", default=value, description="d")
        for name, value in config.items()
    }
    return {field.name: field for field in fields(section, settings)}


def test_every_setting_has_a_field_that_takes_what_it_shows() -> None:
    wrong = []
    for section, values in Config().model_dump(mode="json").items():
        for name, field in made(section).items():
            value = values[name]
            if field.value(field.shown) != (value or None if value in ("", []) else value):
                wrong.append(f"{section}.{name}: {field.kind} {field.shown!r}")
    assert not wrong


def test_a_field_knows_its_bounds_and_what_was_changed() -> None:
    mining = made("mining")
    field = mining["max_pairs"]
    assert (field.kind, field.low, field.high, field.bounds) == ("integer", 1, 1_000_000, "1 to 1,000,000")
    assert made("retrieval")["fusion"].choices == ("weighted", "rrf")
    given = {name: field.shown for name, field in mining.items()} | {"max_pairs": "7"}
    assert changed(list(mining.values()), given) == {"max_pairs": 7}
    with pytest.raises(InvalidInput, match="max_pairs"):
        changed(list(mining.values()), {"max_pairs": "many"})


def test_a_curve_is_drawn_of_what_was_told_more_than_once() -> None:
    events = [Event(1, "log", 0, {"loss": 9.0}), Event(2, "metrics", 0, {"step": 1, "loss": 0.5, "once": 1})]
    events.append(Event(3, "metrics", 0, {"step": 2, "loss": 0.25, "ok": True}))
    ((name, found),) = curves(events)
    assert name == "loss"
    assert [(point.x, point.y) for point in found.series[0].points] == [(1, 0.5), (2, 0.25)]


def test_no_data_zero_and_failed_look_different_over_time() -> None:
    def day(at: int, impressions: int, fallbacks: int = 0, took_ms: float | None = None) -> Day:
        known: dict[str, Any] = {"impressions": impressions, "with_feedback": 0, "fallbacks": fallbacks}
        return Day(day=date(2026, 5, at), took_ms=took_ms, searches=impressions if took_ms else 0, **known)

    assert over_time([], date(2026, 5, 9)) is None
    found = over_time([day(1, 4, 1, 10.0), day(3, 6, 0, 20.0), day(4, 2)], date(2026, 5, 9))
    assert found is not None
    traffic, fallbacks, clicked, waited = found.figures
    assert (traffic.now, traffic.of) == ("12", "0 with feedback")
    assert (fallbacks.now, fallbacks.of, fallbacks.failed) == ("1", "of 12 searches", True)
    assert (clicked.now, clicked.curve) == ("no data", None)
    assert waited.of == "mean of 10 searches"
    assert traffic.curve is not None
    assert waited.curve is not None
    (asked,) = traffic.curve.series
    assert [point.y for point in asked.points][-9:] == [4, 0, 6, 2, 0, 0, 0, 0, 0], "nobody asked: zero"
    assert [len(piece.points) for piece in waited.curve.series] == [1, 1], "nothing to measure: a gap"
    old = over_time([day(1, 1)], date(2027, 5, 1))
    assert old is not None
    assert old.end == date(2026, 5, 1)


def test_scheduled_evaluations_are_drawn_by_day_on_one_dataset_and_measure() -> None:
    def made(day: int, value: float, **changes: Any) -> EvaluationReport:
        systems = {"retrieval": {"ci95": {}, "ndcg@10": 0.4}, "challenger": {"ci95": {}, "ndcg@10": value}}
        at = AT + timedelta(days=day)
        return reports.report(**{"scheduled": True, "created_at": at, "systems": systems, **changes})

    other = {**reports.SMALLEST["eval_dataset"], "sha256": "ef" * 32}
    mixed = [made(0, 0.9, eval_dataset=other), made(1, 0.5), made(2, 0.7, scheduled=False), made(8, 0.6)]
    assert on_schedule(mixed[:2]) is None
    found = on_schedule(mixed)
    assert found is not None
    assert found.measure == "ndcg@10"
    first_stage, serves = found.curve.series
    assert [(point.x, point.y) for point in first_stage.points] == [(0, 0.4), (7, 0.4)]
    assert [(point.x, point.y) for point in serves.points] == [(0, 0.5), (7, 0.6)]


def test_a_run_says_how_long_it_will_take() -> None:
    cost, now = CostEstimate(compute_s=600.0), AT + timedelta(seconds=120)
    running = job(JobKind.TRAIN, State.RUNNING, started_at=AT)
    told = [Event(at, "progress", at * 10_000_000, {"stage": "s", "done": at, "total": 9}) for at in (1, 2, 3)]
    assert left(running, told, cost, now) == "About 8 min left, of 10 min estimated. This stage takes about 60 s more."
    assert left(running, [], cost, AT + timedelta(seconds=700)).endswith("longer than the 10 min that were estimated.")
    assert left(job(JobKind.TRAIN, State.SUCCEEDED, started_at=AT), told, cost, now) == ""


def test_words() -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    assert [words.ago(at, now) for at in (None, now, now - timedelta(minutes=1), now - timedelta(days=3))] == [
        "never",
        "just now",
        "1 minute ago",
        "3 days ago",
    ]
    values: list[JsonValue] = [None, True, 12345, 42, -0.5, [], ["a", 1], {"a": 1}, ""]
    assert [words.plainly(value) for value in values] == [
        "none", "yes", "12,345", "42", "−0.5", "none", "a, 1", '{"a": 1}', "empty"
    ]  # fmt: skip
    assert [words.lasted(s) for s in (None, 0.5, 12, 600, 7200)] == ["not known", "500 ms", "12 s", "10 min", "2.0 h"]
    assert words.clipped("one  two\nthree", 8) == "one two …"
    assert words.logline({"message": "m", "x": 1}) == "m"
    assert words.logline({"state": "queued"}) == "state queued"
