"""How queries are sliced, and that a loss on some of them shows beside a gain on average."""

from __future__ import annotations

from typing import Any

import pytest

from tribrid.config.sections import EvaluationConfig
from tribrid.evaluation.slices import SEEN, UNSEEN, SliceFacts, count_words, reads_like_code, slice_rows, slices
from tribrid.types import JudgedQuery

CONFIG = EvaluationConfig.model_validate({"slice_queries": 2, "resamples": 200})


def asked(*texts: str) -> list[JudgedQuery]:
    return [JudgedQuery(f"q{at}", text, {f"d{at}": 1, "other": 0}) for at, text in enumerate(texts)]


def named(
    queries: list[JudgedQuery], facts: SliceFacts, config: EvaluationConfig = CONFIG
) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for piece in slices(queries, facts, config):
        found.setdefault(piece.field, {})[piece.name] = len(piece.query_ids)
    return found


@pytest.mark.parametrize(
    "text",
    ["parse_json error", "what is readFile for", "os.path.join", "foo(bar)", "std::vector", "a == b", "x=1",
     "src/tribrid/config.py", "git log --oneline", "ls -l", "dict[str]", "if (x) {"],
)  # fmt: skip
def test_code_is_told(text: str) -> None:
    assert reads_like_code(text)


@pytest.mark.parametrize(
    "text", ["how do i renew my certificate", "Python 3.11 release notes", "e.g. this one", "file(s) and folders",
             "is it open 24/7?", "what's new - and what is not", "naïve Bayes", "C&A opening hours"],
)  # fmt: skip
def test_prose_is_told(text: str) -> None:
    assert not reads_like_code(text)


def test_queries_are_sliced_by_length_and_a_lonely_slice_is_left_out() -> None:
    queries = asked("tea", "green tea", "tea of the far east", "where does it grow", "a b c d e f g h i j k l")
    assert named(queries, SliceFacts())["query_length"] == {"1-2 words": 2, "3-5 words": 2}


def test_rare_terms_are_counted_in_the_corpus() -> None:
    queries = asked("the tea", "the Tea", "the zymurgy", "the unheardof")
    documents, holding = count_words(queries, ["the tea is the best", "The zymurgy of tea", "the end"])
    assert (documents, holding) == (3, {"the": 3, "tea": 2, "zymurgy": 1, "unheardof": 0})
    facts = SliceFacts(documents, holding)
    assert named(queries, facts)["rare_terms"] == {"a rare term": 2, "common terms only": 2}
    assert "rare_terms" not in named(queries, SliceFacts())  # nothing was counted: nothing is claimed


def test_metadata_of_the_relevant_documents() -> None:
    queries = asked("a", "b", "c", "d")
    metadata: dict[str, dict[str, Any]] = {
        "d0": {"lang": "en", "id": "1", "draft": True},
        "d1": {"lang": "en", "id": "2", "draft": True, "tags": ["x"]},
        "d2": {"lang": "de", "id": "3", "draft": False, "tags": ["y"]},
        "d3": {"lang": "de", "id": "4", "draft": False},
        "other": {"lang": "fr"},
    }
    found = named(queries, SliceFacts(metadata=metadata))
    assert found["metadata.lang"] == {"de": 2, "en": 2}
    assert found["metadata.draft"] == {"false": 2, "true": 2}
    assert not {"metadata.tags"} & found.keys()  # lists sort nothing
    chosen = EvaluationConfig.model_validate({"slice_queries": 2, "slice_metadata": ["draft"]})
    assert {field for field in named(queries, SliceFacts(metadata=metadata), chosen) if "metadata" in field} == {
        "metadata.draft"
    }


def test_a_field_with_many_values_names_things_and_is_not_taken_unasked() -> None:
    queries = asked(*"abcdefghijklmnopqrstuvwxyz")
    metadata = {f"d{at}": {"author": f"author {at // 2}"} for at in range(26)}
    assert "metadata.author" not in named(queries, SliceFacts(metadata=metadata))
    asked_for = EvaluationConfig.model_validate({"slice_queries": 2, "slice_metadata": "author"})
    assert len(named(queries, SliceFacts(metadata=metadata), asked_for)["metadata.author"]) == 13


def test_what_training_had_seen_stands_apart_beside_the_same_without_memory() -> None:
    queries = asked(*["tea"] * 30, *["coffee"] * 10)
    seen = SliceFacts(taught={f"d{at}" for at in range(30)} | {"other"})  # "other" is relevant to nothing
    before = dict.fromkeys((query.query_id for query in queries), 0.5)
    after = {query.query_id: 0.9 if at < 30 else 0.4 for at, query in enumerate(queries)}
    without = dict.fromkeys(before, 0.6)
    found = {row.slice: row for row in slice_rows(slices(queries, seen, CONFIG), before, after, CONFIG, without)}
    had, had_not = found[SEEN], found[UNSEEN]
    for row, count, gain in ((had, 30, 0.4), (had_not, 10, -0.1)):
        assert row.queries == count
        assert row.delta is not None
        assert row.delta.mean == pytest.approx(gain)
        assert row.without_memory is not None
        assert row.without_memory.delta is not None
        assert row.without_memory.after == pytest.approx(0.6)
        assert row.without_memory.delta.ci95 == pytest.approx((0.1, 0.1))
    assert [name for name, _ in had.shown] == ["training", "training, without memory"]
    assert "training" not in named(queries, SliceFacts())  # nothing is known of a training


def test_a_loss_on_some_shows_beside_a_gain_on_average() -> None:
    queries = asked(*["tea"] * 30, *["parse_json in io.reader"] * 10)
    before = dict.fromkeys((query.query_id for query in queries), 0.5)
    after = {query.query_id: 0.9 if at < 30 else 0.1 for at, query in enumerate(queries)}
    rows = slice_rows(slices(queries, SliceFacts(), CONFIG), before, after, CONFIG)
    code = next(row for row in rows if (row.field, row.slice) == ("code_or_prose", "code"))
    assert (code.queries, code.before) == (10, 0.5)
    assert code.after == pytest.approx(0.1)
    assert code.delta is not None
    assert code.delta.mean == pytest.approx(-0.4)
    assert (code.delta.wins, code.delta.losses, code.delta.ties) == (0, 10, 0)
    assert code.delta.p_holm is not None
    assert code.delta.p_holm >= code.delta.p_value
