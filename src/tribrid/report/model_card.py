"""A model's card, made from its record: what it is, what it was made from, what was measured, and what it cannot do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tribrid.answers.models import ModelRecord
from tribrid.answers.report import EvaluationReport

Json = Mapping[str, Any]


def model_card(record: ModelRecord, report: EvaluationReport | None, served: Json, loads_in: Mapping[str, str]) -> str:
    """Markdown.

    Args:
        record: as `lineage.record` makes it.
        report: of the newest evaluation; None where there was none.
        served: of the artifact's manifest.
        loads_in: library -> how it loads what it can.
    """
    parts = [
        *_head(record, served, loads_in),
        *_contents(record, served, loads_in),
        *made_from(record),
        *_signals(served.get("signals") or {}),
        *_measures(report),
        *_limits(record, served, report),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _head(record: ModelRecord, served: Json, loads_in: Mapping[str, str]) -> Iterator[str]:
    crossed = float(served["cross_encoder_weight"]) > 0
    library = ["library_name: sentence-transformers"] if "sentence_transformers" in loads_in else []
    yield from ["---", *library, "pipeline_tag: text-ranking", "tags: [reranker, tribrid]", "---", ""]
    yield f"# Reranker {record.model_id}"
    yield ""
    what = "a blend of retrieval scores, token interaction, lexical evidence and memory of past queries" + (
        ", and a cross-encoder that reorders its best candidates" if crossed else ""
    )
    yield f"Trained by Tribrid on the corpus `{record.corpus_id}` ({record.created_at.isoformat()}): {what}."
    yield ""


def _contents(record: ModelRecord, served: Json, loads_in: Mapping[str, str]) -> Iterator[str]:
    yield from ["## What is in this folder", ""]
    yield "- `tribrid/`: the whole model, as Tribrid serves it (ONNX, safetensors, JSON)."
    yield "- `record.json`: where it came from, what was measured and when it served."
    features = served["blends"]["blend"]
    yield f"- `blend.onnx`: the blend alone, float64 features (n, {len(features)}) in, score (n,) out."
    yield from _cross_encoder(record, served, loads_in)
    yield ""
    if loads_in:
        yield from ["```python", *_code(loads_in), "```", ""]
    yield "A whole reranking needs Tribrid: the features come from its retrieval and its index."
    yield ""
    yield f"Features of the blend, in order: {', '.join(f'`{name}`' for name in features)}."
    yield ""


def _cross_encoder(record: ModelRecord, served: Json, loads_in: Mapping[str, str]) -> Iterator[str]:
    measured = (record.metrics or {}).get("cross_encoder")
    found = measured if isinstance(measured, dict) else {}
    weight = float(served["cross_encoder_weight"])
    role = f"its weight beside the blend is {weight:g}" if weight else "it is not served: it did not help on dev"
    if "lower.onnx" in loads_in.get("onnxruntime", ""):
        yield (
            f"- `lower.onnx`, `joint.onnx`, `tokenizer.json`: the cross-encoder; {role}. Its lower layers read query "
            "and passage apart, which no standard architecture does: sentence-transformers loads it through Tribrid's "
            "own class (`trust_remote_code=True`, with tribrid installed), to score, not to train."
        )
    elif "sentence_transformers" in loads_in:
        yield f"- `config.json`, `model.safetensors`, the tokenizer, `model.onnx`: the cross-encoder; {role}."
    else:
        why = found.get("reason") or found.get("left_out") or "it was not trained"
        yield (
            "- No cross-encoder, so there is nothing here for sentence-transformers: this version is served without "
            f"one. Why: {why}"
        )


def _code(loads_in: Mapping[str, str]) -> Iterator[str]:
    said = loads_in.get("onnxruntime", "")
    if "sentence_transformers" in loads_in:
        trust = ", trust_remote_code=True" if "trust" in loads_in["sentence_transformers"] else ""
        yield from [
            "from sentence_transformers import CrossEncoder",
            "",
            f'CrossEncoder("this-folder"{trust}).predict([("query", "title\\ntext of the passage")])',
            "",
        ]
    if said:
        name = "model.onnx" if "model.onnx" in said else "joint.onnx" if "joint.onnx" in said else "blend.onnx"
        yield from ["import onnxruntime", "", f'onnxruntime.InferenceSession("this-folder/{name}")']


def made_from(record: ModelRecord, head: str = "Made from") -> Iterator[str]:
    """The lines that say what a model was trained on."""
    lineage = record.lineage
    triplets, base, code = lineage.triplet_set, record.base or {}, lineage.code
    yield from [f"## {head}", ""]
    if triplets:
        for source, counts in triplets.by_source.items():
            yield f"- {source}: {counts.queries:,} queries, {counts.triplets:,} triplets"
        yield f"- searches that mining read for them: {lineage.impressions:,}"
        if triplets.clients and triplets.clients.heaviest_share is not None:
            share = triplets.clients.heaviest_share
            yield f"- of the pairs that clients' acts made, from the heaviest client: {share:.1%}"
        mined = f"mined {triplets.mined_at.isoformat()}, sha256 `{triplets.sha256}`"
        yield f"- triplet set `{triplets.triplet_set_id}`, {mined}"
        if triplets.erased_triplets:
            yield f"- erased from it since, and known to this model: {triplets.erased_triplets:,} triplets"
    yield f"- corpus version {lineage.corpus.version}"
    yield f"- base model `{base.get('model')}`, sha256 `{base.get('sha256')}`"
    if lineage.kept_out_eval_dataset:
        yield f"- kept out: the queries of eval dataset `{lineage.kept_out_eval_dataset}`"
    yield f"- Tribrid {code.version}, source sha256 `{code.sha256}`; run `{record.run_id}`"
    yield ""


_WAYS = {0: "either", 1: "more never lowers a score", -1: "more never raises it"}


def _signals(found: Json) -> Iterator[str]:
    """What it knows of documents beside their texts."""
    fields, clicks = found.get("fields") or (), found.get("clicks")
    if not fields and clicks is None:
        return
    yield from ["## Beside the texts", ""]
    if fields:
        yield from ["| Field | Kind | Direction | Missing at the training |", "| --- | --- | --- | --- |"]
    for field in fields:
        name = str(field["name"]).replace("|", "\\|")
        yield f"| {name} | {field['kind']} | {_WAYS[field['monotone']]} | {field['shares'][-1]:.1%} |"
    if clicks is not None:
        yield from ["", f"How much each of {len(clicks['counts']):,} documents was used, as the log had it then."]
    yield ""


def _measures(report: EvaluationReport | None) -> Iterator[str]:
    yield from ["## Measured", ""]
    if report is None:
        yield from ["It was never evaluated. Nothing is known of how good it is.", ""]
        return
    dataset, verdict = report.eval_dataset, report.verdict
    if not report.before or not report.after:
        yield from [f"Its newest evaluation compared nothing. {' '.join(verdict.reasons)}", ""]
        return
    what = f"labels from logs ({dataset.log.told})" if dataset.log else "judgments"
    yield (
        f"On {dataset.counted:,} queries with {dataset.judgments:,} {what} (eval "
        f"dataset `{dataset.sha256}`), against {_opponent(report)}, on the same candidates:"
    )
    yield from ["", "| Measure | Before | After | Change | 95 % interval |", "| --- | --- | --- | --- | --- |"]
    for key in report.measures:
        delta = (report.delta or {}).get(key)
        if delta:
            low, high = delta.ci95
            yield (
                f"| {key} | {report.before[key]:.4f} | {report.after[key]:.4f} | {delta.mean:+.4f} "
                f"| [{low:+.4f}, {high:+.4f}] |"
            )
    yield from ["", f"Decision: {verdict.decision}. {' '.join(verdict.reasons)}", ""]


def _scores(report: EvaluationReport | None) -> str:
    """Whether its scores compare between queries, as the report has it, and tell queries without an answer apart."""
    if report is None or report.calibration is None:
        return "Scores order one list. Whether they compare between queries was not measured."
    apart = f" {report.answerable.told}" if report.answerable else ""
    return f"{report.calibration.order.told}{apart}"


def _opponent(report: EvaluationReport) -> str:
    """What it was compared with, by name."""
    before, champion_id = report.compared.before, report.champion_id
    return f"the champion `{champion_id}`" if before == "champion" else str(before)


def _limits(record: ModelRecord, served: Json, report: EvaluationReport | None) -> Iterator[str]:
    triplets = record.lineage.triplet_set
    sources: Sequence[str] = sorted(triplets.by_source) if triplets else []
    yield from ["## Limits", ""]
    yield "- It was trained for one corpus, one retrieval and one encoder. Elsewhere, measure first."
    if sources:
        yield f"- It knows what its labels knew ({', '.join(sources)}), and nothing of what nobody looked at."
    yield f"- Of a passage it reads the first {served['snippet_chars']:,} characters."
    yield f"- {_scores(report)}"
    if served["memory"]["clusters"]:
        yield (
            "- It remembers its training queries: `tribrid/knowledge.safetensors` holds their embeddings and their "
            "words as vocabulary ids. Treat the folder as you treat your search log."
        )
    looks = report.looks if report is not None else None
    if looks is not None and looks.models > 1:
        yield f"- By then the eval dataset had been looked at {looks.count} times, with {looks.models} models."
    yield "- The base model's licence applies to what was made of it."
