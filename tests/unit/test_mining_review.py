"""What is held back for review, what decisions do to later minings, and whose relatives are no negatives."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import pytest

from tribrid.config.sections import MiningConfig
from tribrid.mining.mine import Mined, MiningInputs, mine
from tribrid.types import (
    DENSE,
    SPARSE,
    Candidate,
    JudgedQuery,
    LegScore,
    Mark,
    Passage,
    Place,
    Review,
    Source,
)

QUERY = "how to make green tea"
RANKING = [f"d{n:02}" for n in range(20)]
"""Both legs score the first document 1 and each after it 0.04 less."""


def passage(doc_id: str) -> Passage:
    return Passage(doc_id, 0, 0, 9, "", f"the text of {doc_id} {doc_id * 2} {doc_id * 3}")


def retrieve(_query: str, ranking: Sequence[str] = RANKING) -> list[Candidate]:
    return [
        Candidate(passage(doc_id), rank, score, {leg: LegScore(rank, score) for leg in (SPARSE, DENSE)})
        for rank, doc_id in enumerate(ranking, 1)
        for score in [1.04 - 0.04 * rank]
    ]


def mined(judged: Sequence[JudgedQuery], *, config: dict[str, Any] | None = None, **inputs: Any) -> Mined:
    def known(doc_ids: Collection[str]) -> set[str]:
        return {doc_id for doc_id in doc_ids if doc_id != "gone"}

    made = MiningInputs(
        known=known, passages_of=lambda ids: {i: [passage(i)] for i in known(ids)}, judged=judged, **inputs
    )
    return mine(made, retrieve, MiningConfig.model_validate({"relative_margin": 0.1} | (config or {})), lambda *_: None)


def one(positive: str) -> list[JudgedQuery]:
    return [JudgedQuery("q", QUERY, {positive: 1})]


def negatives(found: Mined, positive: str, *, held_back: bool = False) -> list[str]:
    return [t.negative[0] for t in found.triplets if t.positive[0] == positive and t.held_back is held_back]


def test_what_every_leg_prefers_to_a_well_ranked_positive_waits_for_review() -> None:
    """d03 scores 0.88; by 10 % and more above it are d00 (1.00)."""
    found = mined(one("d03"))
    assert negatives(found, "d03", held_back=True) == ["d00"]
    assert negatives(found, "d03") == [doc_id for doc_id in RANKING if doc_id not in ("d00", "d03")]
    assert found.counts["held_back"] == 1
    assert found.counts["triplets"] == len(RANKING) - 2
    assert found.counts["margin"]["calibrated"] is False
    (waiting,) = [t for t in found.triplets if t.held_back]
    assert "may be relevant" in waiting.reason


def test_a_positive_that_retrieval_ranks_low_keeps_what_stands_above_it() -> None:
    found = mined(one("d15"))
    assert found.counts["held_back"] == 0
    assert negatives(found, "d15") == [doc_id for doc_id in RANKING if doc_id != "d15"]


def test_what_a_judge_found_bad_and_what_he_looked_past_is_never_suspected() -> None:
    found = mined([JudgedQuery("q", QUERY, {"d03": 1, "d00": 0})])
    assert found.counts["held_back"] == 0
    assert {"d00", "d01"} <= set(negatives(found, "d03"))


def test_judgments_set_the_margin_of_what_is_not_judged() -> None:
    """Where the first six are always relevant, a query with one judgment is missing some."""
    rich = [JudgedQuery(f"r{n}", f"other question number{n}", dict.fromkeys(RANKING[:6], 1)) for n in range(30)]
    found = mined([*one("d02"), *rich])
    margin = found.counts["margin"]
    assert margin["calibrated"] is True
    assert margin["judged_pairs"] == 30 * 30
    assert 0.8 < (margin["ratio"] or 0) < 1
    assert margin["false_negative_rate"] is not None
    assert 0 <= margin["false_negative_rate"] < 0.1
    ours = [t for t in found.triplets if t.query == QUERY]
    assert {t.negative[0] for t in ours if t.held_back} >= {"d00", "d01", "d03"}
    assert "d10" in {t.negative[0] for t in ours if not t.held_back}
    assert found.counts["queries_retrieved"] == 31, "a ranking of the calibration is not asked for again"


def review(negative: str, mark: Mark, positive: str = "d03", query: str = "How to make  GREEN tea") -> Review:
    return Review(query, positive, negative, mark)


def test_an_accepted_one_is_a_sure_negative_of_every_later_mining() -> None:
    found = mined(one("d03"), reviews=[review("d00", Mark.ACCEPT)], config={"negatives_per_pair": 1})
    (triplet,) = [t for t in found.triplets if not t.held_back]
    assert (triplet.negative[0], triplet.weight) == ("d00", 1.0)
    assert "accepted in review" in triplet.reason
    assert "d00" not in negatives(found, "d03", held_back=True)


def test_a_flipped_one_is_a_positive_of_every_later_mining() -> None:
    found = mined(one("d03"), reviews=[review("d00", Mark.FLIP)])
    assert "d00" not in negatives(found, "d03") + negatives(found, "d03", held_back=True)
    assert "d01" in negatives(found, "d00") + negatives(found, "d00", held_back=True)
    assert "d03" not in negatives(found, "d00")
    assert found.counts["pairs"] == 2


def test_a_flip_outranks_a_judge_who_found_it_bad() -> None:
    judged = [JudgedQuery("q", QUERY, {"d03": 1, "d00": 0})]
    found = mined(judged, reviews=[review("d00", Mark.FLIP)])
    assert {t.positive[0] for t in found.triplets} == {"d00", "d03"}
    assert found.counts["rejected"] == {}


def test_a_flip_leaves_the_query_s_other_suspects_in_review() -> None:
    before = mined(one("d04"))
    assert negatives(before, "d04", held_back=True) == ["d00", "d01"]
    after = mined(one("d04"), reviews=[review("d00", Mark.FLIP, positive="d04")])
    assert negatives(after, "d04", held_back=True) == ["d01"]


def test_a_dropped_one_is_used_for_nothing() -> None:
    found = mined(one("d03"), reviews=[review("d00", Mark.DROP), review("d09", Mark.DROP)])
    assert not {"d00", "d09"} & {t.negative[0] for t in found.triplets}
    assert found.counts["rejected"] == {"dropped_in_review": 2}
    assert "d09" in negatives(mined(one("d15"), reviews=[review("d09", Mark.DROP)]), "d15"), "of that positive alone"


def test_a_decision_about_a_document_that_is_gone_changes_nothing() -> None:
    assert mined(one("d03"), reviews=[review("gone", Mark.FLIP)]).triplets == mined(one("d03")).triplets


def places(**parents: str) -> Any:
    return lambda ids: {i: Place("", parents.get(i)) for i in ids}


def test_parents_children_and_siblings_are_no_negatives() -> None:
    found = mined(one("d15"), places_of=places(d15="whole", d02="whole", d05="d15"))
    assert not {"d02", "d05"} & {t.negative[0] for t in found.triplets}
    assert found.counts["rejected"] == {"parent_or_sibling": 2}


def test_a_sibling_that_was_judged_bad_is_a_negative_and_a_child_is_not() -> None:
    judged = [JudgedQuery("q", QUERY, {"d15": 1, "d02": 0, "d05": 0})]
    found = mined(judged, places_of=places(d15="whole", d02="whole", d05="d15"))
    assert "d02" in negatives(found, "d15")
    assert "d05" not in negatives(found, "d15")


def test_a_family_that_is_most_of_the_corpus_is_no_family() -> None:
    found = mined(one("d15"), places_of=places(**dict.fromkeys(RANKING, "everything")))
    assert len(negatives(found, "d15")) == len(RANKING) - 1


@pytest.mark.parametrize("marks", [[], [Mark.DROP]])
def test_a_pair_with_nothing_but_suspects_waits_and_is_not_counted(marks: list[Mark]) -> None:
    found = mined(
        one("d01"),
        sources=[Source.JUDGMENTS],
        config={"negative_depth": 2, "relative_margin": 0.0},
        reviews=[review("d00", mark, positive="d01") for mark in marks],
    )
    assert (found.counts["pairs"], found.counts["held_back"]) == (0, 0 if marks else 1)
    assert found.counts["rejected"]["no_negative"] == 1
