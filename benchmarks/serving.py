"""Reranking one query's 50 passages: what Tribrid serves against what people run today, side by side.

    python benchmarks/serving.py ../shared/data/scifact --cache /tmp/cache

Queries take turns through: the trained blend; a cross-encoder as Tribrid serves it (mode local, no score known before);
sentence-transformers' CrossEncoder with the same weights (torch, fp32); and the same weights as FlashRank runs its
models: onnxruntime's int8 with default settings, unsorted batches of 32 padded to their longest.

No hub is needed: the cross-encoder is all-MiniLM-L6-v2 with a new head, trained for some minutes on the collection's
training judgments. It ranks badly; what is compared is speed, and that its served form ranks as its fp32 does.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from sentence_transformers.cross_encoder import CrossEncoder
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tribrid.app import Tribrid
from tribrid.encoders.models import ensure_export, locate
from tribrid.encoders.onnx import load_tokenizer, pad
from tribrid.evaluation.measures import evaluable, means, per_query
from tribrid.scoring.learned import Reading
from tribrid.scoring.scorer import ranked
from tribrid.types import JudgedQuery
from tribrid.workspace.corpus import open_corpus
from workbench import indexed, judged, parser, train_and_evaluate

WARM, PASSAGES, MAX_TOKENS, BATCH = 3, 50, 512, 32
OURS, BLEND, TORCH, FLASH = "Tribrid, cross-encoder", "Tribrid, blend", "sentence-transformers", "FlashRank's way"
Pairs = list[tuple[str, str]]


def make_cross_encoder(tribrid: Tribrid, corpus: str, queries: Sequence[JudgedQuery], folder: Path, steps: int) -> Path:
    """all-MiniLM with a head, taught by lists of a good passage, three others of the query and four of other queries;
    kept in `folder`.
    """
    if (folder / "tokenizer.json").is_file():
        return folder
    torch.manual_seed(13)
    source = locate("all-MiniLM-L6-v2")
    model = AutoModelForSequenceClassification.from_pretrained(source, num_labels=1)
    tokenizer = AutoTokenizer.from_pretrained(source)
    retriever = open_corpus(tribrid.folder, corpus).retriever
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    rng = np.random.default_rng(13)
    order, pool = rng.permutation(len(queries)), [""]
    for step in range(steps):
        query = queries[order[step % len(order)]]
        found = retriever.retrieve(query.text, 30)
        good = [c for c in found if query.judgments.get(c.doc_id, 0) > 0]
        bad = [c for c in found if c.doc_id not in query.judgments]
        if not good:
            continue
        near = [f"{c.passage.title}\n{c.passage.text}" for c in [good[0], *rng.choice(np.array(bad, object), 3)]]
        texts = [*near, *rng.choice(pool, 4)]
        pool += near
        inputs = tokenizer([query.text] * len(texts), texts, truncation=True, max_length=192, padding=True,
                           return_tensors="pt")  # fmt: skip
        loss = torch.nn.functional.cross_entropy(model(**inputs).logits.T, torch.zeros(1, dtype=torch.long))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


class FlashRank:
    """The same weights as FlashRank runs its models."""

    def __init__(self, export: Path, work: Path) -> None:
        path = work / "flashrank-int8.onnx"
        if not path.is_file():
            quantize_dynamic(export / "model.onnx", path, weight_type=QuantType.QInt8)
        self._session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        self._tokenizer = load_tokenizer(export, MAX_TOKENS)

    def score(self, pairs: Pairs) -> list[float]:
        rows = self._tokenizer.encode_batch(list(pairs))
        scores: list[float] = []
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            feed = {
                "input_ids": pad([row.ids for row in batch]),
                "attention_mask": pad([row.attention_mask for row in batch]),
                "token_type_ids": pad([row.type_ids for row in batch]),
            }
            scores += self._session.run(None, feed)[0].tolist()
        return scores


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds, and what came of it."""
    started = time.perf_counter()
    result = work()
    return (time.perf_counter() - started) * 1000, result


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--train", default="qrels_train.tsv")
    arguments.add_argument("--max-pairs", type=int, default=500, help="to train the blend from")
    arguments.add_argument("--queries", type=int, default=40, help="queries to time and to measure")
    arguments.add_argument("--steps", type=int, default=200, help="training steps of the cross-encoder")
    args = arguments.parse_args()
    corpus, queries = args.folder.name, evaluable(judged(args.folder, "qrels.tsv"))
    teaching = judged(args.folder, args.train)
    work = args.cache or Path()
    with indexed(args.folder, args.cache) as tribrid:
        tribrid.corpus(corpus).judgments.put(teaching)
        tribrid.corpus(corpus).eval_dataset.put(queries)
        tribrid.corpus(corpus).mine(max_pairs=args.max_pairs)
        report = train_and_evaluate(tribrid, corpus, args.seeds[:1], ["cross_encoder=false", *args.set])[0]
        source = make_cross_encoder(tribrid, corpus, teaching, work / f"cross-encoder-{corpus}", args.steps)
        local = {"reranker_mode": "local", "reranker_local_model": str(source)}
        tribrid.corpus(corpus).patch_settings({"reranking": local})
        export = ensure_export(tribrid.folder.models_dir, str(source), "cross-encoder")
        times, runs, form = measure(tribrid, corpus, queries[: args.queries + WARM], report.model_id, source,
                                    FlashRank(export, work))  # fmt: skip
    show(times, runs, queries, form)


def measure(
    tribrid: Tribrid, corpus: str, queries: Sequence[JudgedQuery], model_id: str, source: Path, flash: FlashRank
) -> tuple[dict[str, list[float]], dict[str, dict[str, Any]], Any]:
    """Milliseconds and rankings by system and query, and the form in which the cross-encoder serves."""
    opened = open_corpus(tribrid.folder, corpus)
    blend, ours = opened.learned(model_id), opened.scorer
    if ours is None:
        raise SystemExit("mode local has no reranker")
    theirs = CrossEncoder(str(source), max_length=MAX_TOKENS)
    retriever = opened.retriever
    times: dict[str, list[float]] = {name: [] for name in (BLEND, OURS, TORCH, FLASH)}
    runs: dict[str, dict[str, Any]] = {name: {} for name in times}

    def read(query: str, candidates: Any) -> Reading:
        later = opened.read(query, candidates)
        return replace(later, passages=list(later.passages))  # read before the clock runs

    for number, query in enumerate(queries):
        candidates = retriever.retrieve(query.text, PASSAGES)
        reading = read(query.text, candidates)
        chars = opened.config.reranking.rerank_input_snippet_chars
        texts = [(c.passage.title, c.passage.text[:chars]) for c in candidates]
        pairs = [(query.text, f"{title}\n{text}" if title else text) for title, text in texts]
        row = {
            BLEND: timed(lambda q=query, c=candidates: blend.score(read(q.text, c))),
            OURS: timed(lambda r=reading: ours.score(r)),
            TORCH: timed(lambda p=pairs: theirs.predict(p, show_progress_bar=False, activation_fn=torch.nn.Identity())),
            FLASH: timed(lambda p=pairs: flash.score(p)),
        }
        sys.stderr.write(f"query {number}: {', '.join(f'{name} {took:.0f} ms' for name, (took, _) in row.items())}\n")
        for name, (took_ms, scores) in row.items():
            runs[name][query.query_id] = ranked(reading, np.asarray(scores, np.float64))
            if number >= WARM:
                times[name].append(took_ms)
    form = tribrid.info()["runtime"]["cross_encoders"][-1]
    return times, runs, form


def show(
    times: dict[str, list[float]], runs: dict[str, dict[str, Any]], queries: Sequence[JudgedQuery], form: Any
) -> None:
    measured = [query for query in queries if query.query_id in runs[TORCH]]
    ndcg = {name: means(per_query(run, measured, ["ndcg@10"]))["ndcg@10"] for name, run in runs.items()}
    print(f"| {PASSAGES} passages, one query | p50, ms | p95, ms | times {TORCH} | times {FLASH} | nDCG@10 |")
    print("|---|---|---|---|---|---|")
    p50 = {name: statistics.median(values) for name, values in times.items()}
    for name, values in times.items():
        p95 = sorted(values)[int(len(values) * 0.95)]
        print(
            f"| {name} | {p50[name]:.1f} | {p95:.1f} | {p50[TORCH] / p50[name]:.2f} | {p50[FLASH] / p50[name]:.2f} "
            f"| {ndcg[name]:.4f} |"
        )
    print(f"\nserved: {form['serves']}, decided by {form['decision']}\n")
    bars = {
        "blend at least 20 times faster than sentence-transformers": p50[TORCH] / p50[BLEND] >= 20,
        "cross-encoder at least 2.5 times faster than sentence-transformers": p50[TORCH] / p50[OURS] >= 2.5,
        "cross-encoder at least 1.3 times faster than FlashRank's way": p50[FLASH] / p50[OURS] >= 1.3,
        "nDCG@10 within 0.002 of fp32": abs(ndcg[OURS] - ndcg[TORCH]) <= 0.002,
    }
    for bar, met in bars.items():
        print(f"- {'met' if met else 'MISSED'}: {bar}")


if __name__ == "__main__":
    main()
