"""The same labels, the same base model: Tribrid against sentence-transformers' own CrossEncoderTrainer.

    pip install datasets
    python benchmarks/trainers.py ../shared/data/scifact

Both learn from the same mined triplets (500 pairs, 2 epochs, batches of 16), start at all-MiniLM-L6-v2, and rerank the
same 50 candidates of every eval query. Theirs is taken at its best over three losses, each with the same hard negatives
from the deployed retrieval. Quality is nDCG@10; time is training alone, in processor seconds of this machine, so that
other work beside it does not count.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

from datasets import Dataset
from sentence_transformers.cross_encoder import CrossEncoder, CrossEncoderTrainer, CrossEncoderTrainingArguments
from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss, LambdaLoss, ListNetLoss

from tribrid.app import Tribrid
from tribrid.encoders.models import locate
from tribrid.evaluation.measures import evaluable, means, per_query
from tribrid.loop import train
from tribrid.types import Candidate, JudgedQuery, ScoredDoc, Triplet, rank_order
from tribrid.workspace.corpus import open_corpus
from workbench import indexed, judged, parser

NEGATIVES = 4
"""Hard negatives a positive, as many as Tribrid's own cross-encoder is shown (training.negatives_per_list)."""
LOSSES = {"BCE": BinaryCrossEntropyLoss, "LambdaLoss": LambdaLoss, "ListNet": ListNetLoss}


@dataclass(frozen=True)
class Example:
    """A query, a positive's text and hard negatives' texts."""

    query: str
    positive: str
    negatives: list[str]


def examples(tribrid: Tribrid, corpus: str, triplets: Iterable[Triplet]) -> list[Example]:
    """One for each mined pair; its negatives are drawn from those mined for it."""
    pairs: dict[tuple[str, tuple[str, int]], list[tuple[str, int]]] = {}
    for triplet in triplets:
        pairs.setdefault((triplet.query, triplet.positive), []).append(triplet.negative)
    keys = {key for (_, positive), negatives in pairs.items() for key in (positive, *negatives)}
    passages = tribrid.folder.index(corpus).passages_of(sorted({doc_id for doc_id, _ in keys}))
    text = {p.key: f"{p.title}\n{p.text}" for found in passages.values() for p in found}
    rng = random.Random(13)
    return [
        Example(query, text[positive], [text[key] for key in rng.sample(negatives, min(NEGATIVES, len(negatives)))])
        for (query, positive), negatives in pairs.items()
    ]


def dataset(found: Sequence[Example], loss: str) -> Dataset:
    """In the form that the loss wants: labelled pairs, or a list with labels."""
    if loss == "BCE":
        rows = [(e.query, text, float(text == e.positive)) for e in found for text in (e.positive, *e.negatives)]
        return Dataset.from_dict(
            dict(zip(("query", "document", "label"), map(list, zip(*rows, strict=True)), strict=True))
        )
    return Dataset.from_dict(
        {
            "query": [e.query for e in found],
            "docs": [[e.positive, *e.negatives] for e in found],
            "labels": [[1.0] + [0.0] * len(e.negatives) for e in found],
        }
    )


def theirs(found: Sequence[Example], loss: str, seed: int) -> tuple[CrossEncoder, float]:
    """A model trained by their trainer, and the processor seconds it took."""
    model = CrossEncoder(str(locate("all-MiniLM-L6-v2")), num_labels=1, max_length=256)
    with TemporaryDirectory() as folder:
        arguments = CrossEncoderTrainingArguments(
            output_dir=folder,
            num_train_epochs=2,
            per_device_train_batch_size=16,
            learning_rate=2e-5,
            warmup_steps=0.1,
            seed=seed,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
        )
        data = dataset(found, loss)
        trainer = CrossEncoderTrainer(model=model, args=arguments, train_dataset=data, loss=LOSSES[loss](model))
        started = time.process_time()
        trainer.train()
        return model, time.process_time() - started


def rerank(model: CrossEncoder, candidates: Mapping[str, Sequence[Candidate]], queries: Sequence[JudgedQuery]) -> float:
    """nDCG@10 of the model's order of the same candidates."""
    run: dict[str, list[ScoredDoc]] = {}
    for query in queries:
        found = candidates[query.query_id]
        pairs = [(query.text, f"{c.passage.title}\n{c.passage.text}") for c in found]
        scores: Any = model.predict(pairs, batch_size=32, show_progress_bar=False)
        run[query.query_id] = rank_order(ScoredDoc(c.doc_id, float(s)) for c, s in zip(found, scores, strict=True))
    return means(per_query(run, queries, ["ndcg@10"]))["ndcg@10"]


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--train", default="qrels_train.tsv")
    arguments.add_argument("--eval", default="qrels.tsv")
    arguments.add_argument("--queries", type=int, default=None, help="measure on the first so many; default: all")
    arguments.add_argument("--losses", nargs="+", default=list(LOSSES), choices=list(LOSSES))
    args = arguments.parse_args()
    corpus, queries = args.folder.name, evaluable(judged(args.folder, args.eval))[: args.queries]
    with indexed(args.folder, args.cache) as tribrid:
        tribrid.corpus(corpus).judgments.put(judged(args.folder, args.train))
        tribrid.corpus(corpus).eval_dataset.put(queries)
        tribrid.corpus(corpus).patch_settings({"mining": {"max_remembered": 0}})  # both learn from the same
        mined = tribrid.corpus(corpus).mine(max_pairs=500)
        params = {"seed": args.seeds[0], **dict(pair.split("=", 1) for pair in args.set)}
        started = time.process_time()
        # In this process, not as a job, so that its processor time can be told.
        opened = open_corpus(tribrid.folder, corpus)
        model = train.train(opened, "trainers", params, lambda kind, data: None, lambda: False)
        took = time.process_time() - started
        report = tribrid.corpus(corpus).evaluate(model_id=model.model_id)
        found = examples(tribrid, corpus, opened.store.triplets.load(mined.triplet_set_id))
        retriever, depth = opened.retriever, opened.config.reranking.tribrid_reranker_topn
        candidates = {q.query_id: retriever.retrieve(q.text, depth) for q in queries}
    ours = report.after["ndcg@10"]
    print(f"## {corpus}: {len(found)} pairs, {len(queries)} queries; before {report.before['ndcg@10']:.4f}\n")
    print("| trainer | nDCG@10 | ours minus theirs | training, processor s | times ours |\n|---|---|---|---|---|")
    print(f"| Tribrid | {ours:.4f} | | {took:.0f} | |", flush=True)
    for loss in args.losses:
        encoder, seconds = theirs(found, loss, args.seeds[0])
        value = rerank(encoder, candidates, queries)
        ratio = seconds / took
        print(f"| {loss} | {value:.4f} | {ours - value:+.4f} | {seconds:.0f} | {ratio:.1f} |", flush=True)


if __name__ == "__main__":
    main()
