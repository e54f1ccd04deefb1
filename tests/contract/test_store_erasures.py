"""Erasure: what goes goes from everywhere that a later run reads, what stays stays, and who had used it is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import reports
from segmented import segment
from stored_rows import everything
from tribrid.answers.erasures import ErasedEvalDataset, ErasedTripletSet, StoppedJob, TaughtModel
from tribrid.answers.report import QueryRow, TopDoc
from tribrid.corpus.lexical import normalise
from tribrid.errors import CorpusNotFound, Erased, NoEvalDataset, NotFound, NoTriplets, QueryNotFound
from tribrid.store import Store
from tribrid.store.erasing import OF_CONTENT
from tribrid.store.logimport import NewList
from tribrid.store.ratings import Said
from tribrid.store.reviews import triplet_id
from tribrid.types import (
    Document,
    Feedback,
    Impression,
    JobKind,
    JudgedQuery,
    Mark,
    ModelVersion,
    ShownDoc,
    Signal,
    Source,
    State,
    Triplet,
)
from tribrid.types.stored import Manifest

SHOWN = tuple(ShownDoc(doc_id, rank, 1.0, 0, 4, {}) for rank, doc_id in enumerate(("d1", "d2", "d%_"), 1))
SECRET = "Who is Mrs. Zzyzx?"


def ask(store: Store, query_id: str, query: str, client_id: str | None = None) -> None:
    store.logs.add_impression(
        Impression(query_id, "c", query, SHOWN, "m", True, None, 1.0, 5, client_id=client_id),
    )
    store.logs.add_feedback(Feedback(query_id, Signal.CLICK, "d1", None, 6))


def imported(query_id: str, query: str, client_id: str) -> NewList:
    shown = [(doc.doc_id, doc.rank, doc.score, doc.start, doc.end) for doc in SHOWN]
    click = Feedback(query_id, Signal.CLICK, "d1", None, 6)
    return NewList(query_id, query, shown, 5, "imported", "import", client_id, [click])


def triplet(query: str, good: str = "d1", bad: str = "d2", source: Source = Source.LOGS) -> Triplet:
    return Triplet(f"id of {query}", query, (good, 0), (bad, 0), source, 1.0, "clicked", "first")


def trained_on(triplet_set_id: str) -> Manifest:
    return {"data": {"triplet_set_id": triplet_set_id, "sha256": "s"}}


def loaded(store: Store, triplet_set_id: str) -> list[tuple[str, str, Source]]:
    return [(t.query, t.positive[0], t.source) for t in store.triplets.load(triplet_set_id)]


def same_as(text: str) -> Callable[[str], bool]:
    return lambda other: normalise(other) == normalise(text)


def top(*doc_ids: str) -> tuple[TopDoc, ...]:
    return tuple(TopDoc(rank=at, doc_id=doc_id, score=1.0, grade=None) for at, doc_id in enumerate(doc_ids, 1))


@pytest.fixture(params=["rows", "a segment"])
def filled(store: Store, request: pytest.FixtureRequest) -> Store:
    """A log of two users, labels of every kind, an eval dataset, a set mined of all of it, a model, a report."""
    store.documents.upsert("c", [Document("d1", "one"), Document("d2", "two")])
    asked = [("q1", SECRET, "ann"), ("q2", SECRET.upper(), "bob"), ("q3", "tea", "ann")]
    if request.param == "rows":
        for one in asked:
            ask(store, *one)
    else:
        segment(store, "c", [imported(*one) for one in asked])
    judged = [JudgedQuery("j1", SECRET, {"d1": 1}), JudgedQuery("j2", "tea", {"d1": 1, "d2": 0})]
    store.judgments.put("c", judged, replace=False, judge="jo")
    store.judgments.grade("c", "j1", SECRET, "d1", 1, Said("jo", note=f"says what {SECRET} is"))
    store.evalsets.put(
        "c", [JudgedQuery("e1", SECRET, {"d1": 1}), JudgedQuery("e2", "coffee", {"d1": 2, "d2": 1})], "nDCG@10"
    )
    mined = [triplet(SECRET), triplet("tea"), triplet("tea", source=Source.JUDGMENTS), triplet("milk", "d2", "d%_")]
    made = store.triplets.put("c", {}, {}, mined)
    store.reviews.decide(triplet_id("c", SECRET, "d1", "d2"), Mark.ACCEPT)
    store.models.put(ModelVersion("m1", "c", "run", "a" * 64, trained_on(made.triplet_set_id), 1))
    store.models.promote("c", "m1", "better")
    rows = [
        QueryRow(query_id="e1", text=SECRET, top_after=top("d1", "d2")),
        QueryRow(query_id="e2", text="coffee", top_after=top("d1", "d2"), delta_primary=0.5),
    ]
    store.evaluations.put("report", "c", reports.report(after={"ndcg@10": 0.5}), rows)
    store.candidates.put("k1", "c", {"depth": 2, "doc_ids": {"e1": ["d1", "d2"]}})
    store.candidates.put("k2", "c", {"depth": 2, "doc_ids": {"e2": ["d3"]}})
    job = store.jobs.create(JobKind.TRAIN, "c", {})
    store.events.append(job.job_id, "error", {"detail": f"leaks {SECRET!r}", "rows": [{"training_query": SECRET}]})
    store.jobs.finish(job.job_id, State.FAILED, problem={"code": "leakage", "detail": f"leaks {SECRET}", "n": 3})
    store.corpora.create("other", "")
    store.judgments.put("other", [JudgedQuery("o", SECRET, {"d1": 1})], replace=False)
    return store


def test_a_query_goes_from_everywhere(filled: Store) -> None:
    set_id = filled.triplets.latest("c").triplet_set_id
    old = filled.evalsets.current("c")
    done = filled.erasures.query("c", same_as(SECRET.lower()))
    filled.corpora.delete("other")  # whose query of the same text was not ours to erase
    assert "zzyzx" not in everything(filled).lower()
    assert done.report.erased == {
        "impressions": 2,
        "feedback": 2,
        "judged_queries": 1,
        "triplets": 1,
        "reviews": 1,
        "report_rows": 1,
        "eval_queries": 1,
        "candidates": 1,
        "stories": 1,
    }
    assert loaded(filled, set_id) == [
        ("tea", "d1", Source.LOGS),
        ("tea", "d1", Source.JUDGMENTS),
        ("milk", "d2", Source.LOGS),
    ]
    assert done.report.triplet_sets == (ErasedTripletSet(triplet_set_id=set_id, triplets=1),)
    assert done.report.models == (TaughtModel(model_id="m1", aliases=("champion",)),)
    new = filled.evalsets.current("c")
    assert [query.query_id for query in new.queries] == ["e2"]
    assert (new.version, new.primary_measure) == (old.version + 1, old.primary_measure)
    (told,) = done.report.eval_datasets
    assert told == ErasedEvalDataset(sha256=old.sha256, version=1, queries=1, replaced_by=new.sha256)
    with pytest.raises(NoEvalDataset):
        filled.evalsets.get("c", old.sha256)
    assert [row.query_id for row in filled.evaluations.queries("report")[0]] == ["e2"]
    assert filled.evaluations.get("report").after == {"ndcg@10": 0.5}
    assert filled.candidates.get("k1") is None
    assert filled.candidates.get("k2") is not None
    assert filled.jobs.list("c")[0].problem == {"code": "leakage", "detail": "leaks (erased)", "n": 3}
    assert filled.erasures.list("c") == [done]


def test_one_search_goes_with_what_was_mined_of_its_query(filled: Store) -> None:
    set_id = filled.triplets.latest("c").triplet_set_id
    before = filled.triplets.erased(set_id)
    done = filled.erasures.lists("c", normalise, query_id="q1")
    assert done.report.erased == {"impressions": 1, "feedback": 1, "triplets": 1}
    with pytest.raises(QueryNotFound):
        filled.logs.impression("q1")
    assert filled.logs.impression("q2").client_id == "bob", "another's search for the same is his own"
    assert filled.triplets.erased(set_id) == before + 1
    assert SECRET not in {query for query, _, _ in loaded(filled, set_id)}
    assert [review.query for review in filled.reviews.list("c")] == [SECRET], "bob's query still has it"
    assert filled.evalsets.current("c").version == 1


def test_a_user_s_searches_go_and_the_labels_of_others_stay(filled: Store) -> None:
    done = filled.erasures.lists("c", normalise, client_id="ann")
    assert done.report.erased == {"impressions": 2, "feedback": 2, "triplets": 2}
    assert [logged.query_id for logged in filled.logs.iterate_with_feedback("c")] == ["q2"]
    sources = {(query, source) for query, _, source in loaded(filled, filled.triplets.latest("c").triplet_set_id)}
    assert sources == {("tea", Source.JUDGMENTS), ("milk", Source.LOGS)}


def test_sets_mined_before_a_search_never_used_it(filled: Store) -> None:
    first = filled.triplets.latest("c").triplet_set_id
    ask(filled, "q4", "tea")
    second = filled.triplets.put("c", {}, {}, [triplet("tea")]).triplet_set_id
    done = filled.erasures.lists("c", normalise, query_id="q4")
    assert [row.triplet_set_id for row in done.report.triplet_sets] == [second]
    assert done.report.models == ()
    assert ("tea", "d1", Source.LOGS) in loaded(filled, first)
    with pytest.raises(NoTriplets):
        filled.triplets.latest("c")
    # Its number may be given out again, to a search that no mining has read.
    ask(filled, "q5", "tea")
    assert filled.erasures.lists("c", normalise, query_id="q5").report.triplet_sets == ()


def test_a_document_goes_with_all_that_names_it(filled: Store) -> None:
    version = filled.corpora.get("c").version
    done = filled.erasures.document("c", "d2")
    assert done.report.erased == {
        "documents": 1,
        "shown": 3,
        "judgments": 1,
        "triplets": 4,
        "reviews": 1,
        "report_rows": 2,
        "eval_queries": 1,
        "candidates": 1,
    }
    filled.corpora.delete("other")
    assert "'d2'" not in everything(filled)
    assert [doc.doc_id for doc in filled.logs.impression("q1").shown] == ["d1", "d%_"]
    assert [doc.rank for doc in filled.logs.impression("q1").shown] == [1, 3]
    assert filled.logs.stats("c").feedback == {"click": 3}, "clicks on other documents stay"
    assert {q.query_id: dict(q.judgments) for q in filled.judgments.list("c")} == {"j1": {"d1": 1}, "j2": {"d1": 1}}
    assert [dict(q.judgments) for q in filled.evalsets.current("c").queries] == [{"d1": 1}, {"d1": 2}]
    assert filled.corpora.get("c").version == version + 1


def test_a_document_goes_from_the_order_that_came_with_a_rerank(store: Store) -> None:
    """Also where it was given and not shown; the places of the others stay, by which feedback may name them."""
    asked = [("r1", ("d9", "d1", "d2")), ("r2", ("d1", "d2")), ("r3", ("d1",))]
    for query_id, given in asked:
        store.logs.add_impression(
            Impression(
                query_id,
                "c",
                "tea",
                SHOWN[:1],
                "m",
                True,
                None,
                1.0,
                5,
                source="rerank",
                given=given,
                given_fields={"d1": {"price": 1}, "d2": {"price": 2}} if "d2" in given else None,
            )
        )
    done = store.erasures.document("c", "d2")
    assert done.report.erased == {"shown": 2}
    assert "'d2'" not in everything(store)
    assert [store.logs.impression(query_id).given for query_id, _ in asked] == [
        ("d9", "d1", "(erased)"),
        ("d1", "(erased)"),
        ("d1",),
    ]
    assert store.logs.given("c", ["tea", "milk"]) == {"tea": ["d1"]}, "the newest"
    assert store.logs.given_fields("c", ["tea"]) == {"tea": {"d1": {"price": 1}}}


def test_candidates_go_with_a_query_that_only_reports_still_hold(store: Store) -> None:
    store.evalsets.put("c", [JudgedQuery("e1", SECRET, {"d2": 1}), JudgedQuery("e2", "tea", {"d1": 1})], "nDCG@10")
    store.evaluations.put("report", "c", reports.report(), [QueryRow(query_id="e1", text=SECRET)])
    run = "c/run/abc"
    store.candidates.put(run, "c", {"tag": "solr", "lists": {"e1": [["d1", 1.0]]}})
    store.evalsets.put("c", [JudgedQuery("e2", "tea", {"d1": 1})], "nDCG@10")
    store.erasures.document("c", "d2")  # takes the older version away as a whole
    assert store.candidates.get(run) is not None
    store.erasures.query("c", same_as(SECRET))
    assert store.candidates.get(run) is None


def test_an_eval_dataset_knows_what_it_was(filled: Store) -> None:
    first = filled.evalsets.current("c").sha256
    assert filled.erasures.formerly("c", first) == [first]
    filled.erasures.query("c", same_as(SECRET))
    second = filled.evalsets.current("c").sha256
    filled.erasures.document("c", "d2")
    third = filled.evalsets.current("c").sha256
    assert filled.erasures.formerly("c", third) == [third, second, first]


def test_a_name_is_no_pattern(filled: Store) -> None:
    done = filled.erasures.document("c", "d%_")
    assert done.report.erased == {"shown": 3, "triplets": 1}
    assert filled.logs.stats("c").feedback == {"click": 3}


def test_what_is_not_there_is_told(filled: Store) -> None:
    before = everything(filled)
    for erase in (
        lambda: filled.erasures.query("c", same_as("nobody asked this")),
        lambda: filled.erasures.lists("c", normalise, query_id="none"),
        lambda: filled.erasures.lists("c", normalise, client_id="none"),
        lambda: filled.erasures.document("c", "none"),
    ):
        with pytest.raises(NotFound, match="nothing was erased"):
            erase()
    with pytest.raises(CorpusNotFound):
        filled.erasures.document("none", "d1")
    assert everything(filled) == before
    assert filled.erasures.count("c") == 0


def test_an_eval_dataset_of_which_nothing_is_left_is_gone(store: Store) -> None:
    store.evalsets.put("c", [JudgedQuery("e1", SECRET, {"d1": 1})], "nDCG@10")
    done = store.erasures.query("c", same_as(SECRET))
    assert done.report.eval_datasets[0].replaced_by is None
    with pytest.raises(NoEvalDataset):
        store.evalsets.current("c")


@pytest.mark.parametrize("kind", [JobKind.MINE, JobKind.TRAIN])
def test_work_that_read_it_before_is_not_kept(filled: Store, kind: JobKind) -> None:
    seen = filled.erasures.count("c")
    job = filled.jobs.create(kind, "c", {})
    assert filled.jobs.claim("w", lease_s=30)
    done = filled.erasures.query("c", same_as(SECRET))
    assert done.report.jobs == (StoppedJob(job_id=job.job_id, kind=kind),)
    with pytest.raises(Erased, match="Mine again"):
        filled.triplets.put("c", {}, {}, [triplet(SECRET)], erasures=seen)
    filled.corpora.delete("other")
    assert SECRET not in everything(filled)


def test_an_evaluation_that_may_show_it_is_not_kept(filled: Store) -> None:
    """Its rows name the first documents of each ranking, judged or not."""
    seen = filled.erasures.count("c", OF_CONTENT)
    evaluation = filled.jobs.create(JobKind.EVALUATE, "c", {})
    assert filled.jobs.claim("w", lease_s=30)
    assert filled.erasures.lists("c", normalise, client_id="ann").report.jobs == ()
    filled.evaluations.put("before", "c", reports.report(), [], erasures=seen)  # a user's searches are not read by it
    done = filled.erasures.document("c", "d%_")
    assert done.report.jobs == (StoppedJob(job_id=evaluation.job_id, kind=JobKind.EVALUATE),)
    row = QueryRow(query_id="e2", text="coffee", top_after=top("d%_"))
    with pytest.raises(Erased, match="Evaluate again"):
        filled.evaluations.put("after", "c", reports.report(), [row], erasures=seen)


def test_what_was_erased_is_not_left_in_the_file(tmp_path: Path) -> None:
    """Deleted rows of an SQLite file stay readable in its free pages unless they are overwritten."""
    store = Store.open(tmp_path)
    store.corpora.create("c", "")
    for number in range(50):
        ask(store, f"q{number}", f"{SECRET} {number}", "ann")
    assert any(b"Zzyzx" in file.read_bytes() for file in tmp_path.glob("tribrid.db*"))
    store.erasures.lists("c", normalise, client_id="ann")
    for file in tmp_path.glob("tribrid.db*"):  # while it is open, the write-ahead log beside it too
        assert b"Zzyzx" not in file.read_bytes(), file
    store.close()
    assert b"Zzyzx" not in (tmp_path / "tribrid.db").read_bytes()


def test_lineage_reaches_the_lists_that_were_read(filled: Store) -> None:
    triplet_set = filled.triplets.latest("c")
    ask(filled, "later", SECRET)
    asked = filled.lineage.asked(triplet_set.triplet_set_id, Source.LOGS)
    assert asked == {SECRET, "tea", "milk"}
    read = filled.lineage.spellings(triplet_set.triplet_set_id, normalise)
    assert read == {normalise(SECRET): {SECRET: 1, SECRET.upper(): 1}, "tea": {"tea": 1}}
    lists = filled.lineage.lists(triplet_set.triplet_set_id, [SECRET, "tea"], 10)
    assert {text: [(one.query_id, one.client_id, one.feedback) for one in of] for text, of in lists.items()} == {
        SECRET: [("q1", "ann", 1)],
        "tea": [("q3", "ann", 1)],
    }
    page, total = filled.lineage.queries(triplet_set.triplet_set_id, 1, 2)
    assert total == 4
    assert [(row.query, row.source, row.triplets, row.evidence) for row in page] == [
        ("tea", Source.LOGS, 1, ("first",)),
        ("tea", Source.JUDGMENTS, 1, ("first",)),
    ]
    assert filled.lineage.totals(triplet_set.triplet_set_id) == {
        "judgments": {"queries": 1, "triplets": 1},
        "logs": {"queries": 3, "triplets": 3},
    }
    with pytest.raises(NotFound):
        filled.lineage.spellings("none", normalise)


def test_what_rose_is_no_longer_named(store: Store) -> None:
    """A report names queries and documents of the log, in fields and in words; so does the result of its job."""
    ask(store, "first", SECRET, "ann")
    rows = [
        {"query": query, "doc_id": doc_id, "before": 40, "after": 3, "without": 38, "clients": 1}
        for query, doc_id in ((SECRET, "d1"), ("soup", "d2"), ("soup", "d1"))
    ]
    told = f"'d1' for {SECRET!r} from rank 40 to 3; 'd2' for 'soup'; 'd1' for 'soup'."
    guard = {"name": "few_clients", "passed": False, "detail": told}
    risers = {"queries": 2, "clients": 12, "risen": 3, "named": rows}
    verdict = {"decision": "keep", "reasons": [told]}
    job_id = store.jobs.create(JobKind.EVALUATE, "c", {}).job_id
    report = reports.report(evaluation_id=job_id, risers=risers, verdict=verdict, gate={"guards": [guard]})
    store.evaluations.put(job_id, "c", report, [])
    store.jobs.finish(job_id, State.SUCCEEDED, report.model_dump(mode="json"), None)

    def named() -> list[tuple[str, str]]:
        kept = store.evaluations.get(job_id).risers
        return [(row.query, row.doc_id) for row in kept.named] if kept else []

    assert SECRET in everything(store)
    store.erasures.query("c", same_as(SECRET))
    assert SECRET not in everything(store)
    assert named() == [("soup", "d2"), ("soup", "d1")]
    store.erasures.document("c", "d1")
    assert "'d1'" not in everything(store)
    assert named() == [("soup", "d2")]
    assert store.evaluations.get(job_id).verdict.reasons == (
        "(erased) for (erased) from rank 40 to 3; 'd2' for 'soup'; (erased) for 'soup'.",
    )
