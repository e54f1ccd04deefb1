"""Does an encoder rank the same in bfloat16 as in float32, and how much faster does it read? Both, on real data.

    python benchmarks/encoders.py ../shared/data/cranfield ../shared/data/scifact [--documents 2000]

Of each collection the judged documents are read first, then others up to `--documents`. Dense is the cosine over all of
them; MaxSim orders its first 50, as the index keeps token vectors. Batches of both forms are read by turns, on one
thread each; passages a second are of processor time.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tribrid.encoders.bfloat16 import Bfloat16, available
from tribrid.encoders.models import ensure_export
from tribrid.encoders.onnx import Encoder, FloatArray, load_small_session
from tribrid.encoders.tokens import PassageEmbedder, PassageTokens, maxsim, passage_text
from tribrid.evaluation.comparison import compare
from tribrid.evaluation.measures import evaluable, per_query
from tribrid.types import JudgedQuery, ScoredDoc

MEASURE = "ndcg@10"
PASSAGES_AT_A_TIME = 64


@dataclass
class Form:
    """An encoder in one precision, what it made of a collection, and its processor time."""

    embedder: PassageEmbedder
    took_s: float = 0.0

    def read(self, rows: list[dict[str, str]]) -> tuple[FloatArray, list[PassageTokens]]:
        texts = [passage_text(row.get("title", ""), row["text"]) for row in rows]
        titles = [len(row.get("title", "")) for row in rows]
        codec, started = self.embedder.codec, time.process_time()
        found = self.embedder.encoder.encode(texts, self.embedder.max_tokens)
        packed = [codec.pack(text, title) for text, title in zip(found, titles, strict=True)]
        self.took_s += time.process_time() - started
        vectors = np.stack([text.pooled for text in found])
        return vectors, [codec.unpack(blob, row) for blob, row in zip(packed, vectors, strict=True)]


def form(folder: Path, model: Path, fast: bool) -> Form:
    encoder = Encoder(folder, threads=1)
    if fast:
        encoder._alone = encoder._beside = Bfloat16(model, 1)
    else:
        session = load_small_session(model)
        run = lambda ids, mask: session.run(None, {"input_ids": ids, "attention_mask": mask})[0]  # noqa: E731
        encoder._alone = encoder._beside = run
    return Form(PassageEmbedder(encoder))


def collection(folder: Path, documents: int) -> tuple[list[dict[str, str]], list[JudgedQuery]]:
    """Documents, the judged ones first, and the queries that have a relevant one among them."""
    with (folder / "queries.jsonl").open(encoding="utf-8") as stream:
        texts = {row["_id"]: row["text"] for row in map(json.loads, stream)}
    grades = judgments(min(folder.glob("qrels*.tsv")))
    judged = {doc for of in grades.values() for doc, grade in of.items() if grade > 0}
    with (folder / "corpus.jsonl").open(encoding="utf-8") as stream:
        rows = sorted(map(json.loads, stream), key=lambda row: row["_id"] not in judged)[:documents]
    known = {row["_id"] for row in rows}
    asked = [JudgedQuery(name, texts[name], only(of, known)) for name, of in grades.items() if name in texts]
    return rows, evaluable(asked)


def judgments(path: Path) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    with path.open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            found.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
    return found


def only(grades: dict[str, int], known: set[str]) -> dict[str, int]:
    return {doc: grade for doc, grade in grades.items() if doc in known}


def runs(
    form: Form, ids: list[str], vectors: FloatArray, tokens: list[PassageTokens], queries: list[JudgedQuery]
) -> dict[str, dict[str, list[ScoredDoc]]]:
    found: dict[str, dict[str, list[ScoredDoc]]] = {"dense": {}, "MaxSim": {}}
    for query in queries:
        asked = form.embedder.query_tokens(query.text)
        cosines = vectors @ asked.embedding
        best = np.argsort(-cosines)[:50]
        found["dense"][query.query_id] = [ScoredDoc(ids[i], float(cosines[i])) for i in best]
        late = sorted(((maxsim(asked, tokens[i]), ids[i]) for i in best), reverse=True)
        found["MaxSim"][query.query_id] = [ScoredDoc(name, score) for score, name in late]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--documents", type=int, default=2000)
    asked = parser.parse_args()
    if not available():
        raise SystemExit("This processor, or this environment, has no bfloat16: there is nothing to compare.")
    with tempfile.TemporaryDirectory() as scratch:
        folder = ensure_export(Path(scratch), "all-MiniLM-L6-v2", "encoder")
        print("| collection | queries | leg | float32 | bfloat16 | difference, 95 % | passages/s | ratio |")
        print("|---|---|---|---|---|---|---|---|")
        for source in asked.folders:
            one(folder, source, asked.documents)


def one(export: Path, source: Path, documents: int) -> None:
    rows, queries = collection(source, documents)
    forms = [form(export, export / "model.onnx", fast) for fast in (False, True)]
    made: list[list[tuple[FloatArray, list[PassageTokens]]]] = [[], []]
    for start in range(0, len(rows), PASSAGES_AT_A_TIME):
        for at in range(2):
            made[at].append(forms[at].read(rows[start : start + PASSAGES_AT_A_TIME]))
    ids = [row["_id"] for row in rows]
    found = [runs(form, ids, *joined(of), queries) for form, of in zip(forms, made, strict=True)]
    speed = [len(rows) / of.took_s for of in forms]
    for leg in found[0]:
        told = difference(*(per_query(run[leg], queries, [MEASURE])[MEASURE] for run in found))
        what = f"{source.name}, {len(rows)} documents | {len(queries)} | {leg}"
        print(f"| {what} | {told} | {speed[0]:.1f}, {speed[1]:.1f} | {speed[1] / speed[0]:.2f} |", flush=True)


def joined(parts: list[tuple[FloatArray, list[PassageTokens]]]) -> tuple[FloatArray, list[PassageTokens]]:
    return np.concatenate([vectors for vectors, _ in parts]), [text for _, tokens in parts for text in tokens]


def difference(before: dict[str, float], after: dict[str, float]) -> str:
    low, high = compare(before, after, resamples=10_000, confidence=0.95, seed=1).ci
    was, now = (sum(of.values()) / len(of) for of in (before, after))
    return f"{was:.4f} | {now:.4f} | {now - was:+.4f} [{low:+.4f}, {high:+.4f}]"


if __name__ == "__main__":
    main()
