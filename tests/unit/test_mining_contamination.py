"""Rows of the training data that ask what the eval dataset asks, by name."""

from __future__ import annotations

from tribrid.mining.contamination import contaminated_rows
from tribrid.types import JudgedQuery, Source, Triplet


def triplet(query_id: str, query: str, positive: str, source: Source = Source.LOGS) -> Triplet:
    return Triplet(query_id, query, (positive, 0), ("other", 0), source, 0.5, "a reason")


TRIPLETS = [
    triplet("t1", "sort python lists", "sorting.md"),
    triplet("t1", "sort python lists", "lists.md", Source.JUDGMENTS),
    triplet("t2", "Python list sort?", "sorting.md"),
    triplet("t3", "open a file", "files.md"),
]


def test_both_sides_of_every_row_are_named() -> None:
    eval_queries = [
        JudgedQuery("e2", "close a socket", {"sockets.md": 1}),
        JudgedQuery("e1", "python list sort", {"sorting.md": 1, "lists.md": 0}),
    ]
    assert contaminated_rows(eval_queries, TRIPLETS) == [
        {
            "eval_query_id": "e1",
            "training_query_id": "t2",
            "training_query": "Python list sort?",
            "sources": ["logs"],
            "documents": ["sorting.md"],
        },
        {
            "eval_query_id": "e1",
            "training_query_id": "t1",
            "training_query": "sort python lists",
            "sources": ["judgments", "logs"],
            "documents": ["sorting.md"],
        },
    ]


def test_clean_data_has_none() -> None:
    assert contaminated_rows([JudgedQuery("e", "close a socket", {})], TRIPLETS) == []
    assert contaminated_rows([], TRIPLETS) == []
    assert contaminated_rows([JudgedQuery("e", "close a socket", {})], []) == []
