"""Corpora and what is kept for them: documents, judgments, eval datasets, settings, candidates."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

import reports
from segmented import segment
from tribrid.answers.report import QueryRow
from tribrid.errors import CorpusExists, CorpusNotFound, DocumentNotFound, InvalidInput, NoEvalDataset
from tribrid.store import Store, tables
from tribrid.store.corpora import check_id
from tribrid.store.documents import content_sha
from tribrid.store.evalsets import Bundle
from tribrid.store.logimport import NewList
from tribrid.store.ratings import Said
from tribrid.store.reviews import triplet_id
from tribrid.store.terms import Terms
from tribrid.store.untrained import UntrainedComparison
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
    Trial,
    Triplet,
)
from tribrid.types.edges import Mention
from tribrid.types.judging import JudgeLabel

OF_THE_SERVER = {"api_keys", "spending", "dropped_artifacts"}
"""Keys are no corpus's, what a corpus has cost stays spent when it is gone, and its files are named until they are."""
QUERIES = [JudgedQuery("q2", "second", {"d1": 0}), JudgedQuery("q1", "first", {"d1": 2, "d2": 1})]


def test_create_get_list(store: Store) -> None:
    made = store.corpora.create("a.b-c_1", "Näme")
    assert store.corpora.get("a.b-c_1") == made
    assert [corpus.corpus_id for corpus in store.corpora.list()] == ["a.b-c_1", "c"]
    with pytest.raises(CorpusExists):
        store.corpora.create("c", "again")
    with pytest.raises(CorpusNotFound):
        store.corpora.get("none")
    with pytest.raises(CorpusNotFound):
        store.corpora.delete("none")


@pytest.mark.parametrize("bad", ["", "-x", ".x", "a/b", "a b", "ä", "a\n", "x" * 65, "a\0"])
def test_ids_that_could_not_be_file_names_are_refused(bad: str) -> None:
    with pytest.raises(InvalidInput):
        check_id("corpus_id", bad, 64)
    check_id("corpus_id", "x" * 64, 64)


def test_delete_takes_every_row_of_the_corpus_and_no_other(store: Store) -> None:
    store.corpora.create("other", "")
    for corpus_id in ("c", "other"):
        _fill(store, corpus_id)
    before = _rows(store)
    assert all(count > 0 for count in before.values())
    store.corpora.delete("c")
    assert _rows(store) == {name: count // 2 for name, count in before.items()}
    assert store.settings.get("c") == {}
    store.corpora.delete("other")
    assert set(_rows(store).values()) == {0}


def _fill(store: Store, corpus_id: str) -> None:
    store.documents.upsert(corpus_id, [Document("d1", "text")])
    store.mentions.put(corpus_id, [(Document("d1", "text"), [Mention("link", "d2")])])
    store.judgments.put(corpus_id, QUERIES, replace=False, judge="a")
    store.judge_labels.put(corpus_id, [JudgeLabel("q", "0" * 64, "d1", "m", "1" * 64, "2" * 64)], 0)
    sha256 = store.evalsets.put(corpus_id, QUERIES, "nDCG@10").sha256
    store.evalsets.freeze(corpus_id, Bundle(sha256=sha256, candidates_sha256="a" * 64, corpus_version=1, depth=2))
    store.settings.patch(corpus_id, {"training": {"epochs": 3}})
    shown = (ShownDoc("d1", 1, 1.0, 0, 4, {}),)
    store.logs.add_impression(Impression(f"q-{corpus_id}", corpus_id, "q", shown, "m", True, None, 1.0, 5))
    store.logs.add_feedback(Feedback(f"q-{corpus_id}", Signal.CLICK, "d1", None, 6))
    segment(store, corpus_id, [NewList(f"old-{corpus_id}", "q", [("d1", 1, 0.0, 0, 0)], 5, "imported")])
    store.logs.add_feedback(Feedback(f"old-{corpus_id}", Signal.CLICK, "d1", None, 6))
    store.triplets.put(corpus_id, {}, {}, [Triplet("q", "q", ("d1", 0), ("d2", 0), Source.LOGS, 1.0, "click")])
    store.reviews.decide(triplet_id(corpus_id, "q", "d1", "d2"), Mark.DROP)
    job = store.jobs.create(JobKind.TRAIN, corpus_id, {})
    store.events.append(job.job_id, "log", {})
    store.models.put(ModelVersion(f"m-{corpus_id}", corpus_id, job.job_id, "0" * 64, {}, 7))
    store.models.promote(corpus_id, f"m-{corpus_id}", "better")
    store.evaluations.put(f"e-{corpus_id}", corpus_id, reports.report(), [QueryRow(query_id="q1", text="a")])
    store.candidates.put(f"k-{corpus_id}", corpus_id, {})
    store.untrained.put(corpus_id, UntrainedComparison(None, 30, "ndcg@10", 0.4, 0.5))
    store.logs.add_impression(Impression(f"r-{corpus_id}", corpus_id, "r", shown, "m", True, None, 1.0, 5))
    store.erasures.lists(corpus_id, str.casefold, query_id=f"r-{corpus_id}")
    experiment = store.experiments.start(corpus_id, None, f"m-{corpus_id}", Terms(0.05, 100, 60, "report"))
    mixed = Impression(f"t-{corpus_id}", corpus_id, "t", shown, "m", True, None, 1.0, 5)
    mixed = replace(mixed, trial=Trial(experiment.experiment_id, ("challenger",)))
    store.logs.add_impression(mixed)
    store.experiments.join(mixed)
    store.schedules.take(corpus_id, "0 3 * * *", 1, 2, {})
    store.publications.move(corpus_id, None, f"s-{corpus_id}")
    store.unfinished.add(f"u-{corpus_id}", corpus_id, "upload")


def _rows(store: Store) -> dict[str, int]:
    with store.database.read() as connection:
        return {
            table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in tables.metadata.sorted_tables
            if table.name not in OF_THE_SERVER
        }


# ------------------------------------------------------------------------------------------ documents


def test_upsert_counts_and_names_what_to_embed(store: Store) -> None:
    one, two, three = (Document(f"d{n}", f"text {n}", f"title {n}", "u", {"n": [n, None]}) for n in (1, 2, 3))
    first = store.documents.upsert("c", [two, one, three])
    assert (first.inserted, first.changed, first.unchanged, first.changed_ids) == (3, 0, 0, ["d2", "d1", "d3"])
    assert store.corpora.get("c").version == 1
    again = store.documents.upsert("c", [one, two, three])
    assert (again.inserted, again.changed, again.unchanged, again.changed_ids) == (0, 0, 3, [])
    assert store.corpora.get("c").version == 1
    mixed = store.documents.upsert("c", [replace(one, uri="v"), replace(two, text="new"), three, Document("d4", "")])
    assert (mixed.inserted, mixed.changed, mixed.unchanged, mixed.changed_ids) == (1, 2, 1, ["d2", "d4"])
    assert store.corpora.get("c").version == 2
    assert store.documents.get("c", "d1") == replace(one, uri="v")
    assert store.documents.get("c", "d2").text == "new"


def test_metadata_in_another_order_is_no_change(store: Store) -> None:
    store.documents.upsert("c", [Document("d", "t", metadata={"a": 1, "b": {"x": 1, "y": 2}})])
    again = store.documents.upsert("c", [Document("d", "t", metadata={"b": {"y": 2, "x": 1}, "a": 1})])
    assert again.unchanged == 1


def test_of_two_documents_with_one_id_the_last_stays(store: Store) -> None:
    done = store.documents.upsert("c", [Document("d", "old"), Document("d", "new")])
    assert (done.inserted, done.changed_ids) == (1, ["d"])
    assert store.documents.get("c", "d").text == "new"


def test_content_hash_is_of_title_and_text_only() -> None:
    document = Document("d", "text", "title", "uri", {"a": 1})
    assert content_sha(document) == content_sha(replace(document, uri="", metadata={}, doc_id="e"))
    assert content_sha(document) != content_sha(replace(document, text="title", title="text"))
    assert content_sha(Document("d", "ab", "")) != content_sha(Document("d", "b", "a"))


def test_a_document_is_found_by_what_it_says(store: Store) -> None:
    documents = [Document("b", "soup", "Soup"), Document("a", "soup", "Soup"), Document("c", "pasta")]
    store.documents.upsert("c", documents)
    soup, pasta, none = (content_sha(document) for document in (documents[0], documents[2], Document("", "no")))
    assert store.documents.by_content("c", [soup, pasta, none]) == {soup: "a", pasta: "c"}
    store.corpora.create("other", "")
    assert store.documents.by_content("other", [soup]) == {}


def test_reads_span_batches_in_code_point_order(store: Store) -> None:
    ids = [f"{letter}{n}" for n in range(400) for letter in ("B", "a", "é", "_")]
    store.documents.upsert("c", [Document(doc_id, f"text of {doc_id}") for doc_id in ids])
    assert [document.doc_id for document in store.documents.iterate("c", batch=100)] == sorted(ids)
    assert [document.doc_id for document in store.documents.iterate("c", batch=7)] == sorted(ids)
    assert store.documents.count("c") == len(ids)
    assert set(store.documents.get_many("c", [*ids, "none"])) == set(ids)
    assert store.documents.exists("c", ["B1", "none"]) == {"B1"}
    assert store.documents.hashes("c")["a7"] == content_sha(Document("a7", "text of a7"))
    assert store.documents.delete("c", [*ids[:1000], "none"]) == 1000
    assert store.documents.count("c") == 600
    assert store.documents.delete("c", ["none"]) == 0
    assert store.corpora.get("c").version == 2


def test_documents_belong_to_their_corpus(store: Store) -> None:
    store.corpora.create("other", "")
    store.documents.upsert("c", [Document("d", "mine")])
    store.documents.upsert("other", [Document("d", "theirs")])
    assert store.documents.get("c", "d").text == "mine"
    with pytest.raises(DocumentNotFound):
        store.documents.get("c", "e")
    with pytest.raises(CorpusNotFound):
        store.documents.upsert("none", [Document("d", "")])
    assert list(store.documents.iterate("none")) == []


# ------------------------------------------------------------------------------- judgments, eval datasets


def test_judgments_are_merged_by_query_or_replaced(store: Store) -> None:
    assert store.judgments.counts("c") == {"queries": 0, "judgments": 0}
    store.judgments.put("c", QUERIES, replace=False)
    assert store.judgments.list("c") == QUERIES[::-1]
    store.judgments.put("c", [JudgedQuery("q2", "2nd", {"d9": 1})], replace=False)
    assert store.judgments.list("c") == [QUERIES[1], JudgedQuery("q2", "2nd", {"d9": 1})]
    assert store.judgments.counts("c") == {"queries": 2, "judgments": 3}
    store.judgments.put("c", QUERIES[:1], replace=True)
    assert store.judgments.list("c") == QUERIES[:1]
    with pytest.raises(CorpusNotFound):
        store.judgments.put("none", QUERIES, replace=False)


def test_one_grade_is_put_beside_the_others_and_taken_back(store: Store) -> None:
    assert store.judgments.grade("c", "q1", "leave", "a", 3) == {"a": 3}
    assert store.judgments.grade("c", "q1", "leave", "b", 0) == {"a": 3, "b": 0}
    assert store.judgments.grade("c", "q1", "leave", "a", 1) == {"a": 1, "b": 0}
    assert store.judgments.counts("c") == {"queries": 1, "judgments": 2}
    assert store.judgments.grade("c", "q1", "leave", "a", None) == {"b": 0}
    assert store.judgments.grade("c", "q1", "leave", "b", None) == {}
    assert store.judgments.list("c") == []
    assert store.judgments.grade("c", "q1", "leave", "b", None) == {}
    with pytest.raises(CorpusNotFound):
        store.judgments.grade("none", "q1", "leave", "a", 3)


def test_what_each_judge_said_is_kept_beside_the_grade_that_holds(store: Store) -> None:
    def said() -> list[tuple[str, str, int, str]]:
        return [(one.judge, one.by, one.grade, one.note) for one in store.ratings.list("c", "q1")]

    store.judgments.put("c", [JudgedQuery("q1", "leave", {"a": 0})], replace=False, judge="m", by="model")
    assert [query.judgments for query in store.judgments.list("c")] == [{}], "a model's word is no judgment"
    store.judgments.grade("c", "q1", "leave", "a", 3, Said("anna", note="just that"))
    assert store.judgments.grade("c", "q1", "leave", "a", 1, Said("bert")) == {"a": 1}
    assert said() == [("anna", "person", 3, "just that"), ("bert", "person", 1, ""), ("m", "model", 0, "")]
    assert store.judgments.grade("c", "q1", "leave", "a", None, Said("bert")) == {"a": 3}, (
        "what was said last of the others"
    )
    assert store.judgments.grade("c", "q1", "leave", "a", 0, Said("m", "model")) == {"a": 3}, "nor takes one's place"
    store.judgments.put("c", [JudgedQuery("q1", "leave", {"a": 0})], replace=False, judge="m", by="model")
    assert store.judgments.list("c")[0].judgments == {"a": 3}
    assert store.judgments.grade("c", "q1", "leave", "a", None, Said("anna")) == {}, "and does not come to hold"
    assert store.judgments.grade("c", "q1", "leave", "a", None, Said("m", "model")) == {}
    assert store.judgments.list("c") == [], "of which nobody says anything any more"
    store.judgments.grade("c", "q1", "leave", "a", 2, Said("anna", note="on a second look"))
    assert said()[0] == ("anna", "person", 2, "on a second look")
    store.judgments.put("c", [JudgedQuery("q2", "other", {"a": 1})], replace=True)
    assert said() == []


def test_documents_come_in_pages_and_are_found_by_id_and_title(store: Store) -> None:
    documents = [Document(f"d{number}", "text", f"Title {number}") for number in range(5)]
    store.documents.upsert("c", [*documents, Document("100%", "abc", "", "file:x")])
    rows, total = store.documents.page("c", 1, 2)
    assert ([row.doc_id for row in rows], total) == (["d0", "d1"], 6)
    rows, total = store.documents.page("c", 0, 10, "TITLE 3")
    assert ([row.doc_id for row in rows], total) == (["d3"], 1)
    rows, total = store.documents.page("c", 0, 10, "%")
    assert (rows[0].doc_id, rows[0].uri, rows[0].chars, total) == ("100%", "file:x", 3, 1)
    assert store.documents.page("c", 0, 10, "nothing") == ([], 0)


def test_same_content_is_the_same_version(store: Store) -> None:
    with pytest.raises(NoEvalDataset):
        store.evalsets.current("c")
    first = store.evalsets.put("c", QUERIES, "nDCG@10")
    assert (first.version, first.queries) == (1, tuple(QUERIES[::-1]))
    assert store.evalsets.put("c", QUERIES[::-1], "AP") == first  # the measure is frozen with the content
    second = store.evalsets.put("c", QUERIES[:1], "AP")
    assert (second.version, second.primary_measure) == (2, "AP")
    assert store.evalsets.current("c") == second
    assert store.evalsets.put("c", QUERIES, "nDCG@10") == first  # put again, it is the one in force again
    assert store.evalsets.current("c") == first
    assert store.evalsets.get("c", second.sha256) == second
    with pytest.raises(NoEvalDataset):
        store.evalsets.get("c", "0" * 64)
    assert [(v.version, v.current, v.queries, v.judgments) for v in store.evalsets.versions("c")] == [
        (2, False, 1, 1),
        (1, True, 2, 3),
    ]


def test_a_grade_or_a_word_changes_the_hash(store: Store) -> None:
    shas = {
        store.evalsets.put("c", [JudgedQuery("q", text, judgments)], "AP").sha256
        for text, judgments in (("t", {"d": 1}), ("t", {"d": 2}), ("u", {"d": 1}), ("t", {"e": 1}))
    }
    assert len(shas) == 4


def undated(bundle: Bundle | None) -> Bundle | None:
    return bundle and replace(bundle, created_us=0)


def test_what_a_dataset_was_measured_on_is_kept_in_order(store: Store) -> None:
    sha256 = store.evalsets.put("c", QUERIES, "AP").sha256
    assert store.evalsets.bundle("c", sha256) is None
    first = Bundle(sha256=sha256, candidates_sha256="a" * 64, corpus_version=3, depth=50, settings={"k": [1, {}]})
    second = replace(first, corpus_version=4)
    assert store.evalsets.freeze("c", first) is None
    assert undated(store.evalsets.freeze("c", first)) == first  # again: noted once
    assert undated(store.evalsets.freeze("c", second)) == first
    assert first.bundle_sha256 != second.bundle_sha256
    assert undated(store.evalsets.freeze("c", first)) == second
    assert undated(store.evalsets.bundle("c", sha256)) == first  # the corpus is back where it was
    imported = Bundle(sha256=sha256, candidates_sha256="b" * 64, corpus_version=None, depth=5, source="import")
    store.evalsets.freeze("c", imported)
    assert undated(store.evalsets.bundle("c", sha256)) == imported
    assert store.evalsets.bundle("c", "0" * 64) is None
    with pytest.raises(CorpusNotFound):
        store.evalsets.freeze("none", first)
    store.corpora.delete("c")
    assert store.evalsets.bundle("c", sha256) is None


def test_an_eval_dataset_with_a_query_twice_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInput, match="same query_id"):
        store.evalsets.put("c", [QUERIES[0], QUERIES[0]], "AP")


# ------------------------------------------------------------------------------- settings, candidates


def test_settings_are_sparse_and_null_takes_back(store: Store) -> None:
    assert store.settings.get("") == {}
    patched = store.settings.patch("", {"training": {"epochs": 3, "seed": 0}, "retrieval": {"fusion": "rrf"}})
    assert patched == {"training": {"epochs": 3, "seed": 0}, "retrieval": {"fusion": "rrf"}}
    assert store.settings.patch("", {"training": {"epochs": None, "seed": 1, "batch_size": None}}) == {
        "training": {"seed": 1},
        "retrieval": {"fusion": "rrf"},
    }
    assert store.settings.patch("", {"training": None}) == {"retrieval": {"fusion": "rrf"}}
    assert store.settings.patch("", {}) == {"retrieval": {"fusion": "rrf"}}
    assert store.settings.get("c") == {}
    assert store.settings.patch("c", {"training": {"epochs": 9}}) == {"training": {"epochs": 9}}
    assert store.settings.get("") == {"retrieval": {"fusion": "rrf"}}
    with pytest.raises(CorpusNotFound):
        store.settings.patch("none", {"training": {"epochs": 9}})


def test_frozen_candidates_stay_as_they_are(store: Store) -> None:
    assert store.candidates.get("k") is None
    store.candidates.put("k", "c", {"lists": {"q": [["d1", 0.5]]}})
    store.candidates.put("k", "c", {"lists": {}})
    assert store.candidates.get("k") == {"lists": {"q": [["d1", 0.5]]}}
    with pytest.raises(CorpusNotFound):
        store.candidates.put("k2", "none", {})
