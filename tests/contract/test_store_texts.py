"""The texts that a rerank brought under a document's id go with it, when it is deleted and when it is erased."""

from __future__ import annotations

import reports
from stored_rows import everything
from tribrid.answers.report import QueryRow, TopDoc
from tribrid.store import Store
from tribrid.types import Document, Feedback, Impression, JudgedQuery, ShownDoc, Signal, Source, Triplet

TEXT = "h.pdf#text-0123456789abcdef"
NO_TEXTS = ("h.pdf#text-notes", "h.pdf#text-0123456789abcdeg", "h.pdf.bak#text-0123456789abcdef", "h.pdf#page-2")


def triplet(query: str, good: str, bad: str = "d2") -> Triplet:
    return Triplet(f"{query} {good} {bad}", query, (good, 0), (bad, 0), Source.LOGS, 1.0, "clicked", "first")


def test_the_texts_that_came_under_a_document_s_id_go_with_it(store: Store) -> None:
    """A rerank keeps them as documents of their own; lists and judgments may name one that is deleted since."""
    gone = "h.pdf#text-" + "f" * 16
    store.documents.upsert("c", [Document(name, "x") for name in ("h.pdf", TEXT, *NO_TEXTS)])
    shown = tuple(ShownDoc(name, rank, 1.0, 0, 4, {}) for rank, name in enumerate((TEXT, *NO_TEXTS), 1))
    given = ("h.pdf", gone, *NO_TEXTS)
    store.logs.add_impression(
        Impression("r", "c", "tea", shown, "m", True, None, 1.0, 5, source="rerank", given=given),
    )
    store.logs.add_feedback(Feedback("r", Signal.CLICK, TEXT, None, 6))
    store.logs.add_feedback(Feedback("r", Signal.CLICK, NO_TEXTS[0], None, 7))
    store.judgments.put("c", [JudgedQuery("j", "milk", {TEXT: 1, "d1": 1})], replace=False)
    store.evalsets.put("c", [JudgedQuery("e", "coffee", {TEXT: 1, "d1": 1})], "nDCG@10")
    store.triplets.put("c", {}, {}, [triplet("tea", TEXT), triplet("tea", "d1", gone), triplet("tea", NO_TEXTS[0])])
    store.candidates.put("k", "c", {"depth": 1, "doc_ids": {"e": [TEXT]}})
    best = TopDoc(rank=1, doc_id=TEXT, score=1.0, grade=None)
    store.evaluations.put("report", "c", reports.report(), [QueryRow(query_id="e", text="coffee", top_after=(best,))])
    done = store.erasures.document("c", "h.pdf")
    assert done.report.erased == {
        "documents": 2,
        "shown": 1,
        "feedback": 1,
        "judgments": 1,
        "triplets": 2,
        "report_rows": 1,
        "eval_queries": 1,
        "candidates": 1,
    }
    left = everything(store)
    assert f"'{TEXT}'" not in left
    assert gone not in left
    assert store.documents.exists("c", NO_TEXTS) == set(NO_TEXTS)
    assert store.logs.impression("r").given == ("(erased)", "(erased)", *NO_TEXTS)


def test_deleting_a_document_deletes_the_texts_that_came_under_its_id(store: Store) -> None:
    long = "l" * 512
    its = long[: 512 - len("#text-") - 16] + "#text-" + "0" * 16
    store.documents.upsert("c", [Document(name, "x") for name in ("h.pdf", TEXT, *NO_TEXTS, long, its)])
    assert store.documents.delete("c", ["h.pdf"]) == 2
    assert store.documents.delete("c", [TEXT, long]) == 2, "also where the document itself went before"
    assert set(store.documents.hashes("c")) == set(NO_TEXTS)
