"""What nothing may learn from, and that a training on it is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import handmade
from tribrid.errors import Leakage
from tribrid.loop.eval_queries import NAMED_ROWS, eval_queries_of, kept_out, refuse_leakage
from tribrid.types import JudgedQuery, Source, Triplet
from tribrid.workspace.corpus import OpenCorpus, open_corpus

ASKED = [JudgedQuery(f"e{n}", f"how is part number {n} of the engine cleaned", {"d": 1}) for n in range(30)]


@pytest.fixture
def corpus(tmp_path: Path) -> Iterator[OpenCorpus]:
    """One without an eval dataset."""
    folder = handmade.opened(tmp_path)
    folder.store.corpora.create("c", "c")
    yield open_corpus(folder, "c")
    folder.close()


def triplet(query: str, doc_id: str = "d") -> Triplet:
    return Triplet(f"t {query}", query, (doc_id, 0), ("n", 0), Source.LOGS, 1.0, "")


def test_without_an_eval_dataset_nothing_is_kept_out(corpus: OpenCorpus) -> None:
    assert eval_queries_of(corpus) == ()
    assert kept_out(corpus) is None
    refuse_leakage(corpus, [triplet(ASKED[0].text)])


def test_the_dataset_in_force_is_what_is_kept_out_and_no_older_one(corpus: OpenCorpus) -> None:
    corpus.store.evalsets.put("c", ASKED[:1], "nDCG@10")
    newest = corpus.store.evalsets.put("c", ASKED[1:2], "nDCG@10")
    assert [query.query_id for query in eval_queries_of(corpus)] == ["e1"]
    assert kept_out(corpus) == newest.sha256
    refuse_leakage(corpus, [triplet(ASKED[0].text)])
    with pytest.raises(Leakage):
        refuse_leakage(corpus, [triplet(ASKED[1].text)])
    # One that is put again is in force again, though it came first.
    back = corpus.store.evalsets.put("c", ASKED[:1], "nDCG@10")
    assert kept_out(corpus) == back.sha256


@pytest.mark.parametrize("spelled", [ASKED[0].text, f"  {ASKED[0].text.upper()}? "])
def test_a_training_query_that_is_an_eval_query_is_refused_by_name(corpus: OpenCorpus, spelled: str) -> None:
    corpus.store.evalsets.put("c", ASKED[:1], "nDCG@10")
    with pytest.raises(Leakage, match=r"1 queries .*'e0' is training query") as refused:
        refuse_leakage(corpus, [triplet("something else entirely"), triplet(spelled)])
    facts = refused.value.facts
    assert (facts["overlapping"], facts["overlapping_total"], facts["rows_total"]) == (["e0"], 1, 1)
    assert facts["rows"][0]["training_query"] == spelled


def test_another_question_is_no_leak(corpus: OpenCorpus) -> None:
    corpus.store.evalsets.put("c", ASKED[:1], "nDCG@10")
    refuse_leakage(corpus, [triplet("where do birds spend the winter")])


def test_of_many_leaks_some_are_named_and_all_are_counted(corpus: OpenCorpus) -> None:
    words = ["alpha", "bravo", "delta", "echo", "foxtrot", "golf", "hotel", "india", "kilo", "lima", "mike", "oscar"]
    asked = [JudgedQuery(f"e{n:02}", f"{word} {words[-1 - n]}", {"d": 1}) for n, word in enumerate(words)]
    twice = [triplet(text) for query in asked for text in (query.text, f"{query.text}!")]
    corpus.store.evalsets.put("c", asked, "nDCG@10")
    with pytest.raises(Leakage) as refused:
        refuse_leakage(corpus, twice)
    facts = refused.value.facts
    assert facts["rows_total"] >= facts["overlapping_total"] == len(asked)
    assert len(facts["rows"]) == min(NAMED_ROWS, facts["rows_total"])
    assert len(set(facts["overlapping"])) == len(facts["overlapping"])
