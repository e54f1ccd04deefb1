"""Mining end to end over a small corpus: the budget, the order of trust, and what may never be mined."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counting import calls_of
from minable import Corpus, nothing, numbered, pairs_of, session
from tribrid.config.sections import MiningConfig
from tribrid.corpus.lexical import near_duplicate, normalise
from tribrid.mining.clicks.evidence import evidence
from tribrid.mining.mine import Mined, MiningInputs, mine
from tribrid.mining.negatives import spread
from tribrid.mining.splits import QueryMatcher
from tribrid.types import (
    Document,
    JudgedQuery,
    Passage,
    Signal,
    Source,
)


def test_judgments_become_triplets_with_negatives_from_the_top_ranks() -> None:
    corpus = Corpus(numbered(40, "green tea"))
    mined = corpus.mine(judged=[JudgedQuery("1", "green tea own3", {"d03": 1})])
    assert len(mined.triplets) == 7
    top = [c.doc_id for c in corpus.retrieve("green tea own3")[:30]]
    for triplet in mined.triplets:
        assert triplet.positive == ("d03", 0)
        assert triplet.negative[0] in top
        assert (triplet.query_id, triplet.source, triplet.weight) == ("1", Source.JUDGMENTS, 0.7)
        assert triplet.reason.startswith("judged 1; the negative was retrieved at rank ")
        assert triplet.evidence == "judgment:1"
    assert mined.counts["pairs"] == mined.counts["queries"] == 1
    assert mined.counts["by_source"]["judgments"] == {"pairs": 1, "triplets": 7, "queries": 1}
    assert mined.counts["by_negative"] == {"retrieved_not_chosen": 7}
    assert mined.counts["rejected"] == {}


def test_what_was_judged_bad_comes_first_and_hardest() -> None:
    corpus = Corpus(numbered(40, "green tea") | {"far": "nothing alike"})
    judgments = {"d03": 1, "d04": 0, "far": 0}
    mined = corpus.mine(judged=[JudgedQuery("1", "green tea own3", judgments)], config={"negatives_per_pair": 3})
    assert mined.triplets[0].negative == ("d04", 0)
    assert mined.triplets[0].weight == 1.0
    assert "far" not in {t.negative[0] for t in mined.triplets}
    alone = Corpus({"a": "green tea", "far": "nothing alike"})
    assert pairs_of(alone.mine(judged=[JudgedQuery("1", "green", {"a": 1, "far": 0})])) == {("green", "a", "far")}


def test_a_document_graded_lower_is_a_light_negative_of_a_better_one() -> None:
    corpus = Corpus(numbered(20, "green tea"))
    mined = corpus.mine(judged=[JudgedQuery("1", "green tea", {"d01": 3, "d02": 1, "d03": 0})])
    weights = {(t.positive[0], t.negative[0]): t.weight for t in mined.triplets}
    assert 0 < weights["d01", "d02"] < weights["d01", "d03"]
    assert ("d02", "d01") not in weights


def test_duplicates_and_near_duplicates_of_a_positive_are_no_negatives() -> None:
    long_text = " ".join(f"green tea word{n}" for n in range(40))
    texts = numbered(5, "green tea") | {"pos": long_text, "copy": long_text.upper(), "nearly": f"{long_text} more"}
    mined = Corpus(texts).mine(judged=[JudgedQuery("1", "green tea", {"pos": 1, "nearly": 0})])
    assert {t.negative[0] for t in mined.triplets} == {f"d0{n}" for n in range(5)}
    assert mined.counts["rejected"] == {"near_duplicate": 2}


def test_logs_give_examined_negatives_and_nothing_that_was_not_examined() -> None:
    corpus = Corpus(numbered(12, "green tea"))
    shown = [f"d{n:02}" for n in range(8)]
    mined = corpus.mine(impressions=[session("green tea", shown, ("d02", "click"))])
    kinds = {t.negative[0]: t.reason for t in mined.triplets}
    assert {"d00", "d01", "d03"} <= kinds.keys() <= {"d00", "d01", "d03", "d08", "d09", "d10", "d11"}
    assert "shown above a click and passed over 1x" in kinds["d00"]
    assert "next below" in kinds["d03"]
    assert "retrieved at rank" in kinds["d09"]
    weights = {t.negative[0]: t.weight for t in mined.triplets}
    assert weights["d00"] > weights["d03"] > weights["d09"] > 0
    assert mined.counts["rejected"]["shown_not_examined"] == 4
    assert mined.counts["by_negative"] == {"skipped_above": 2, "next_not_clicked": 1, "retrieved_not_chosen": 4}


def test_nothing_of_the_eval_dataset_enters_from_any_source() -> None:
    corpus = Corpus(numbered(30, "how to make green tea at home " * 3), {"d05": "How to make green tea at home"})
    mined = corpus.mine(
        impressions=[session("Make green teas at HOME?", ["d00", "d01"], ("d01", "click"))],
        judged=[JudgedQuery("1", "how to make green tea at home", {"d01": 1}), JudgedQuery("2", "own7", {"d07": 1})],
        documents=lambda: corpus.documents,
        eval_queries=["how to make green tea at home"],
    )
    assert {t.query for t in mined.triplets} <= {"own7"}
    assert mined.counts["rejected"]["in_eval_dataset"] == 3


def test_a_label_for_an_unknown_document_is_counted_and_named() -> None:
    corpus = Corpus(numbered(10, "green tea"))
    mined = corpus.mine(
        judged=[JudgedQuery("1", "green tea", {"gone": 1, "d01": 1, "lost": 0}), JudgedQuery("2", "own2", {"gone": 1})]
    )
    assert {t.positive[0] for t in mined.triplets} == {"d01"}
    assert mined.counts["rejected"]["unknown_document"] == 3
    assert mined.counts["unknown_documents"] == ["gone", "lost"]


def test_a_positive_that_retrieval_missed_is_kept_by_the_passage_nearest_the_query() -> None:
    corpus = Corpus(numbered(10, "green tea") | {"far": "x"})
    corpus.passages["far"] = [Passage("far", n, 0, 1, "", text) for n, text in enumerate(["x", "beverage tea", "y"])]
    corpus.words["far"] = set()
    mined = corpus.mine(judged=[JudgedQuery("1", "green tea", {"far": 1})])
    assert {t.positive for t in mined.triplets} == {("far", 1)}
    assert mined.counts["positives_not_retrieved"] == 1


def test_the_budget_is_spent_on_breadth() -> None:
    corpus = Corpus(numbered(30, "green tea"))
    judged = [JudgedQuery(str(n), f"own{n} green", {f"d{n:02}": 1, f"d{n + 10}": 1, f"d{n + 20}": 1}) for n in range(8)]
    mined = corpus.mine(judged=judged, config={"max_pairs": 10})
    assert mined.counts["pairs"] == 10
    assert mined.counts["queries"] == 8
    assert len(corpus.retrieved) <= 10


def test_a_trusted_source_fills_the_budget_first() -> None:
    corpus = Corpus(numbered(30, "green tea"), {"d09": "A title nobody uses"})

    def never() -> Iterable[Document]:
        raise AssertionError("heuristics were not needed")

    inputs: dict[str, Any] = {
        "impressions": [session("own1 green", ["d00", "d01"], ("d01", "cite"))],
        "judged": [JudgedQuery("1", "own1 green", {"d01": 1}), JudgedQuery("2", "own2 green", {"d02": 1})],
        "documents": never,
    }
    mined = corpus.mine(config={"max_pairs": 2}, **inputs)
    assert mined.counts["by_source"] == {
        "logs": {"pairs": 1, "triplets": 7, "queries": 1},
        "judgments": {"pairs": 1, "triplets": 7, "queries": 1},
        "judge": {"pairs": 0, "triplets": 0, "queries": 0},
        "heuristics": {"pairs": 0, "triplets": 0, "queries": 0},
    }
    assert mined.counts["rejected"] == {"already_mined": 1}
    only = corpus.mine(sources=(Source.JUDGMENTS,), **inputs)
    assert {t.source for t in only.triplets} == {Source.JUDGMENTS}
    assert list(only.counts["by_source"]) == ["judgments"]


def test_what_one_source_knows_to_be_good_is_no_negative_of_another() -> None:
    corpus = Corpus(numbered(10, "green tea"))
    mined = corpus.mine(
        impressions=[session("green teas", ["d03", "d01"], ("d01", "click"))],
        judged=[JudgedQuery("1", "the green tea", {"d03": 1})],
    )
    assert not {("green teas", "d01", "d03"), ("the green tea", "d03", "d01")} & pairs_of(mined)
    assert mined.counts["rejected"]["positive_for_similar_query"] >= 2


def test_a_positive_that_another_source_disputes_is_dropped() -> None:
    corpus = Corpus(numbered(10, "green tea"))
    mined = corpus.mine(
        impressions=[session("green tea", ["d03", "d01"], ("d01", "thumbs_down"), ("d03", "click"))],
        judged=[JudgedQuery("1", "green tea", {"d01": 1})],
    )
    assert {t.positive[0] for t in mined.triplets} == {"d03"}
    assert "d01" not in {t.negative[0] for t in mined.triplets}
    assert mined.counts["rejected"]["conflicting_feedback"] == 1


def test_one_text_has_one_query_id_and_one_id_names_one_text() -> None:
    corpus = Corpus(numbered(10, "green tea"))
    mined = corpus.mine(
        impressions=[session("green tea", ["d00", "d01"], ("d01", "click"), query_id="1")],
        judged=[JudgedQuery("1", "own2 tea", {"d02": 1}), JudgedQuery("2", "Green  tea", {"d05": 1})],
    )
    ids = {(normalise(t.query), t.query_id) for t in mined.triplets}
    assert ids == {("green tea", "1"), ("own2 tea", "judgments:1")}


def test_heuristics_prefer_what_retrieval_does_not_answer_and_fill_up_with_the_rest() -> None:
    answer = "a sufficiently long answer that goes on and on about the matter " * 2
    texts = {f"d{n}": f"{answer} own{n} filler" for n in range(12)}
    titles = {"d1": "Very clear title one", "d2": "Very clear title two", "d3": "matter about the answer"}
    corpus = Corpus(texts, titles)

    def mined(max_pairs: int) -> Mined:
        return corpus.mine(documents=lambda: corpus.documents, config={"max_pairs": max_pairs})

    few, many = mined(2), mined(10)
    assert next(t.positive[0] for t in few.triplets) == "d3"
    assert few.counts["pairs"] == 2
    assert few.counts["rejected"]["trivial"] == 1
    assert many.counts["pairs"] == 3
    weights = {t.positive[0]: t.weight for t in many.triplets}
    assert weights["d1"] == weights["d2"] == weights["d3"] / 2
    assert all(t.source is Source.HEURISTICS for t in many.triplets)


def test_the_answer_decides_the_positive_passage_of_a_heuristic() -> None:
    words = "unrelated filler words that say nothing of it at all whatsoever " * 3
    text = f"## The heading of this part\n{words}"
    corpus = Corpus({"doc": text, "other": f"heading part {words} x y z"})
    head = Passage("doc", 0, 0, 30, "", text[:30])
    corpus.passages["doc"] = [head, Passage("doc", 1, 30, len(text), "", text[30:])]
    mined = corpus.mine(documents=lambda: corpus.documents)
    assert {t.positive for t in mined.triplets} == {("doc", 1)}


def test_the_same_inputs_give_the_same_triplets_and_progress_is_told() -> None:
    told: list[Any] = []
    judged = [JudgedQuery(str(n), f"own{n} green", {f"d{n:02}": 1}) for n in range(20)]
    first = Corpus(numbered(60, "green tea")).mine(judged=judged, emit=lambda kind, data: told.append((kind, data)))
    assert Corpus(numbered(60, "green tea")).mine(judged=judged) == first
    assert told[-1] == ("progress", {"source": "judgments", "done": 20, "total": 20})
    assert len({t.negative for t in first.triplets}) > 20


def test_nothing_in_nothing_out() -> None:
    mined = Corpus({}).mine(judged=[JudgedQuery("1", "q", {"a": 1})], documents=tuple)
    assert mined.triplets == []
    assert mined.counts["pairs"] == 0
    alone = Corpus({"a": "q"}).mine(judged=[JudgedQuery("1", "q", {"a": 1})])
    assert alone.counts["rejected"] == {"no_negative": 1}


@given(st.integers(0, 60), st.integers(0, 12), st.text(max_size=5))
def test_a_draw_is_spread_and_repeatable(size, count, seed) -> None:
    drawn = spread(range(size), count, seed)
    assert drawn == spread(range(size), count, seed)
    assert drawn == sorted(set(drawn))
    assert len(drawn) == min(size, count)
    if 0 < count < size:
        assert all(abs(number * count // size - i) <= 1 for i, number in enumerate(drawn))


# The invariants of design section 8, over whatever users and judges may have done.

DOCS = [f"d{n:02}" for n in range(10)]
TEXTS = ["green tea", "the green teas", "black tea pot", "green kettle", "own3 other3"]
GRADES = st.dictionaries(st.sampled_from([*DOCS, "gone"]), st.integers(-1, 3), max_size=6)
ACTS = st.tuples(
    st.sampled_from(DOCS), st.sampled_from([str(s) for s in Signal]), st.sampled_from([None, 1.0, 3.0, 5.0, 40.0])
)
LOGS = st.lists(
    st.tuples(st.sampled_from(TEXTS), st.permutations(DOCS), st.integers(1, 8), st.lists(ACTS, max_size=3)), max_size=6
)
JUDGED = st.lists(st.tuples(st.sampled_from(TEXTS), GRADES), max_size=4)
CORPUS = Corpus(numbered(10, "green black tea kettle pot") | {"copy": "green black tea kettle pot own1 other1 third1"})


@settings(deadline=None)
@given(LOGS, JUDGED, st.lists(st.sampled_from(TEXTS), max_size=1), st.integers(1, 6), st.integers(1, 8))
def test_the_invariants_hold(logs, judged, eval_queries, max_pairs, negatives) -> None:
    # Feedback on what was not shown is refused by the store, so mining never meets it.
    sessions = [
        session(text, order[:length], *[act for act in acts if act[0] in order[:length]], query_id=f"i{n}")
        for n, (text, order, length, acts) in enumerate(logs)
    ]
    queries = [JudgedQuery(f"j{n}", text, grades) for n, (text, grades) in enumerate(judged)]
    mined = CORPUS.mine(
        impressions=sessions,
        judged=queries,
        eval_queries=eval_queries,
        config={"max_pairs": max_pairs, "negatives_per_pair": negatives},
    )
    assert mined.counts["pairs"] <= max_pairs
    matcher = QueryMatcher(eval_queries)
    looked_at = [
        (normalise(shown.query), {*found.opinions, *(shown.doc_ids[: found.lowest + 1] if found.lowest else ())})
        for shown in sessions
        for found in [evidence(shown)]
    ]
    for triplet in mined.triplets:
        text, positive, negative = normalise(triplet.query), triplet.positive[0], triplet.negative[0]
        assert 0 < triplet.weight <= 1
        assert triplet.reason
        assert {positive, negative} <= CORPUS.passages.keys()
        assert positive != negative
        assert not matcher.matches(triplet.query)
        ours, theirs = CORPUS.passages[positive][0].text, CORPUS.passages[negative][0].text
        assert triplet.remembered or not near_duplicate(ours, theirs, 0.9)
        if triplet.source is Source.LOGS:
            shown = any(negative in item.doc_ids for item in sessions if normalise(item.query) == text)
            assert not shown or any(negative in seen for query, seen in looked_at if query == text)
        if triplet.source is Source.JUDGMENTS:
            grades = [grades for query, grades in judged if normalise(query) == text]
            best = {doc: max(g[doc] for g in grades if doc in g) for doc in DOCS if any(doc in g for g in grades)}
            assert best.get(negative, 0) < best[positive]


@pytest.mark.slow
@pytest.mark.parametrize(("positives", "most_calls"), [(1, 10_000), (8, 45_000)])
@pytest.mark.timeout(600)
def test_all_but_the_retrieval_is_fast(positives, most_calls) -> None:
    body = " ".join(f"common{n} words{n}" for n in range(75))
    corpus = Corpus({f"d{n:03}": f"{body} " + " ".join(f"own{n}x{i}" for i in range(60)) for n in range(100)})
    ready = corpus.retrieve("common1")[:50]
    judged = [
        JudgedQuery(str(n), f"query about {n} and nothing", {f"d{(n * 7 + i) % 100:03}": 1 for i in range(positives)})
        for n in range(500)
    ]
    inputs = MiningInputs(known=corpus.known, passages_of=corpus.passages_of, judged=judged)
    config = MiningConfig.model_validate({"max_pairs": 500})
    mined, calls = calls_of(lambda: mine(inputs, lambda _: ready, config, nothing))
    assert mined.counts["pairs"] == 500
    assert calls.total() < 500 * most_calls
    assert calls["lexical.shingles"] < 500 * 100, "each document once for each query"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_thousands_of_judgments_a_query_take_seconds() -> None:
    corpus = Corpus(numbered(3000, "green tea " * 20))
    ready = corpus.retrieve("green tea")[:50]
    returned = {candidate.doc_id for candidate in ready}
    grades = {d.doc_id: 1 + n % 2 for n, d in enumerate(corpus.documents) if d.doc_id not in returned}
    judged = [JudgedQuery(f"q{n}", f"what of tea{n}", grades) for n in range(2)]
    inputs = MiningInputs(known=corpus.known, passages_of=corpus.passages_of, judged=judged)
    config = MiningConfig.model_validate({"max_pairs": 100})
    mined, calls = calls_of(lambda: mine(inputs, lambda _: ready, config, nothing))
    assert mined.counts["pairs"] == 100
    assert calls.total() < 60_000_000, "not the judgments of a query once for each candidate of each pair"


def test_what_stands_right_below_a_heuristics_own_document_is_no_negative() -> None:
    corpus = Corpus(numbered(40, "green tea " * 20), {"d20": "own20 green tea"})
    mined = corpus.mine(documents=lambda: corpus.documents, config={"negative_depth": 40, "negatives_per_pair": 40})
    ranks = {c.doc_id: c.rank for c in corpus.retrieve("own20 green tea")}
    assert min(ranks[t.negative[0]] for t in mined.triplets) == 9
    assert len(mined.triplets) == 32
