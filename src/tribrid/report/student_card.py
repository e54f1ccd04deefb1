"""The card of a cross-encoder that was taught a model's order: how to use it, what it is worth, what it cannot do."""

from __future__ import annotations

from collections.abc import Iterator

from tribrid.answers.changes import Delta
from tribrid.answers.models import ModelRecord, Student
from tribrid.report.model_card import made_from

_TAGS = "tags: [sentence-transformers, cross-encoder, reranker, text-embeddings-inference, tribrid]"


def student_card(record: ModelRecord, student: Student) -> str:
    """Markdown.

    Args:
        record: of the teacher.
    """
    teacher = made_from(record, "The teacher was made from")
    parts = [*_head(record, student), *_measures(student), *_taught(student), *teacher, *_limits(student)]
    return "\n".join(parts).rstrip() + "\n"


def _head(record: ModelRecord, student: Student) -> Iterator[str]:
    yield from ["---", "library_name: sentence-transformers", "pipeline_tag: text-ranking", _TAGS, "---", ""]
    yield from [f"# Cross-encoder taught by {record.model_id}", ""]
    yield (
        f"A plain cross-encoder that was taught the order of the reranker `{record.model_id}`, which Tribrid trained "
        f"on the corpus `{record.corpus_id}`. It needs neither Tribrid nor remote code."
    )
    yield from ["", "```python", "from sentence_transformers import CrossEncoder", ""]
    yield 'CrossEncoder("this-folder").predict([("query", "title\\ntext of the passage")])'
    yield from ["```", ""]
    yield "Servers take the folder as a model: `text-embeddings-router --model-id this-folder`, and so does infinity."
    yield (
        "Scores are logits: they order the passages of one query, and do not compare between queries. Servers that "
        "press them between 0 and 1 keep their order."
    )
    yield ""


def _measures(student: Student) -> Iterator[str]:
    measured = student.measured
    yield from ["## Measured", ""]
    yield (
        f"On {measured.queries:,} queries of eval dataset `{measured.eval_dataset}`, which it did not learn from, all "
        "three ordering the same candidates:"
    )
    yield from ["", "| Ranking | ndcg@10 | The student against it | 95 % interval |", "| --- | --- | --- | --- |"]
    worth = measured.ndcg_at_10
    yield _row("First stage, no reranker", worth["first_stage"], measured.over_first_stage)
    yield _row("Teacher", worth["teacher"], measured.over_teacher)
    yield f"| This cross-encoder | {worth['student']:.4f} | | |"
    yield from ["", f"How alike the orders are, on {student.held_out:,} more queries that it did not learn from:", ""]
    yield from ["| Orders | Kendall's tau | Shared among the first 10 |", "| --- | --- | --- |"]
    for name, agree in (
        ("This cross-encoder and its teacher", student.agrees),
        ("The first stage and the teacher", student.first_stage_agrees),
    ):
        yield f"| {name} | {agree.kendall_tau:.3f} | {agree.shared_at_10:.1%} |"
    yield ""


def _row(name: str, worth: float, change: Delta) -> str:
    low, high = change.ci95
    return f"| {name} | {worth:.4f} | {change.mean:+.4f} | [{low:+.4f}, {high:+.4f}] |"


def _taught(student: Student) -> Iterator[str]:
    yield from ["## Taught", ""]
    yield f"- started from: `{student.base_model}`"
    sources = ", ".join(f"{name} {count:,}" for name, count in student.learned_from.items())
    yield f"- queries that the teacher ordered candidates for: {sources}; time sufficed to learn from {student.lists:,}"
    yield f"- best after {student.steps:,} steps; {student.took_s / 60:.1f} minutes in all"
    yield "- labels: the teacher's scores alone"
    yield ""


def _limits(student: Student) -> Iterator[str]:
    yield from ["## Limits", ""]
    yield "- It was taught for one corpus. Elsewhere, measure first."
    yield (
        f"- It reads {student.max_tokens:,} tokens of query and passage together, and was taught on the first "
        f"{student.snippet_chars:,} characters of a passage's text: cut longer ones as it is used."
    )
    yield "- It knows what words say, not what its teacher knows besides: retrieval's scores, past queries, the index."
    yield "- It was trained on queries of your users and on your documents: share it as you would share those."
    yield "- The licence of what it started from applies to it."
