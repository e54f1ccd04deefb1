"""What does it cost in nDCG@10 to keep token vectors small?

    python benchmarks/compression.py ../shared/data/scifact

The same 500 pairs, the same blend, the same eval candidates, with passages' token vectors as the encoder gives them
(float32), projected, and projected and rounded as the index keeps them. Beside the served blend stand its part without
memory and MaxSim alone, which rest on token vectors far more. Bytes are of the vectors of a mean passage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from tribrid.config.sections import TrainingConfig
from tribrid.encoders.onnx import EncodedText, Encoder, FloatArray
from tribrid.encoders.tokens import PassageTokens, TokenCodec, passage_text
from tribrid.evaluation.arms import base_scores
from tribrid.evaluation.measures import evaluable, means, per_query
from tribrid.loop import index
from tribrid.loop.frozen import read_queries
from tribrid.mining.splits import query_clusters
from tribrid.scoring.features import CorpusStatistics, Features, describe, remember
from tribrid.scoring.learned import Reading, Scores
from tribrid.scoring.scorer import ranked
from tribrid.training.blend import choose, feature_names, fit, stack
from tribrid.training.lists import Labels, TrainingList, labels_by_query, memory_of, own_features
from tribrid.types import JudgedQuery, Passage
from tribrid.workspace.corpus import OpenCorpus, open_corpus
from workbench import indexed, judged, parser

BATCH = 64
Key = tuple[str, int]
Encoded = Mapping[Key, EncodedText]


def encode(encoder: Encoder, readings: Sequence[Reading], max_tokens: int) -> dict[Key, EncodedText]:
    """Every candidate's passage once, whole."""
    passages: dict[Key, Passage] = {c.passage.key: c.passage for r in readings for c in r.candidates}
    ordered = sorted(passages.values(), key=lambda p: len(p.text))
    found: dict[Key, EncodedText] = {}
    for start in range(0, len(ordered), BATCH):
        batch = ordered[start : start + BATCH]
        texts = encoder.encode([passage_text(p.title, p.text) for p in batch], max_tokens)
        found.update(zip([p.key for p in batch], texts, strict=True))
    return found


class Kept:
    """Readings with the token vectors of one way to keep them."""

    def __init__(self, name: str, projection: FloatArray, bytes_of: int, *, rounded: bool) -> None:
        self.name, self.codec, self.rounded = name, TokenCodec(projection), rounded
        self.bytes_a_token = bytes_of

    def passage(self, text: EncodedText, passage: Passage, snippet_chars: int) -> PassageTokens:
        kept = self.codec.unpack(self.codec.pack(text, len(passage.title)), text.pooled)
        if not self.rounded:
            rows = text.vectors @ self.codec._projection
            rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
            kept = replace(kept, vectors=rows.astype(np.float32))
        return kept.cut(snippet_chars)

    def reading(self, of: Reading, query: EncodedText, encoded: Encoded, snippet_chars: int) -> Reading:
        passages = [self.passage(encoded[c.passage.key], c.passage, snippet_chars) for c in of.candidates]
        return Reading(of.query, self.codec.query(of.query, query), of.candidates, passages)


def ndcg(readings: Mapping[str, Reading], queries: Sequence[JudgedQuery], score: Callable[[Reading], Scores]) -> float:
    """nDCG@10 of the candidates in the order of `score`."""
    run = {query_id: ranked(reading, score(reading)) for query_id, reading in readings.items()}
    return means(per_query(run, queries, ["ndcg@10"]))["ndcg@10"]


def blends(
    lists: Sequence[TrainingList],
    statistics: CorpusStatistics,
    readings: Mapping[str, Reading],
    queries: Sequence[JudgedQuery],
    config: TrainingConfig,
) -> tuple[float, float]:
    """nDCG@10 of the blend that training would serve, and of the same without memory."""
    choice = choose(lists, config, lambda done, all_: True)
    memory = memory_of(lists)
    features = [item.features(memory) for item in lists]
    of = {
        query_id: describe(r.tokens, r.candidates, r.passages, statistics) | remember(r.tokens, r.candidates, memory)
        for query_id, r in readings.items()
    }
    by_reading = {id(reading): of[query_id] for query_id, reading in readings.items()}
    found = []
    for use_memory in (choice.use_memory, False):
        names = feature_names(features, use_memory)
        blend = fit(stack(lists, features, names), names, choice.form, config.seed)
        found.append(ndcg(readings, queries, lambda reading, blend=blend: blend.score(by_reading[id(reading)])))  # type: ignore[misc]
    return found[0], found[1]


def readings(corpus: OpenCorpus, queries: Mapping[str, str]) -> dict[str, Reading]:
    """query_id → its candidates."""
    return {f.query_id: f.reading for f in read_queries(corpus, queries, lambda kind, data: None)}


def lists_of(
    labels: Sequence[Labels], read: Mapping[str, Reading], described: Mapping[str, Features]
) -> list[TrainingList]:
    """What is learned from."""
    clusters = query_clusters([label.query for label in labels])
    return [
        TrainingList.of(label, cluster, read[label.query_id], described[label.query_id])
        for label, cluster in zip(labels, clusters, strict=True)
        if label.query_id in read
    ]


def compare(corpus: OpenCorpus, queries: Sequence[JudgedQuery], pairs: str) -> None:
    """Print a row for each way to keep the vectors."""
    config = corpus.config
    snippet = config.reranking.rerank_input_snippet_chars
    labels = labels_by_query(corpus.store.triplets.load(pairs))
    texts = {label.query_id: label.query for label in labels}
    learned = readings(corpus, texts)
    measured = readings(corpus, {q.query_id: q.text for q in queries})
    encoder = corpus.embedder.encoder
    encoded = encode(encoder, [*learned.values(), *measured.values()], corpus.embedder.max_tokens)
    asked = {text: encoder.encode([text])[0] for text in {*texts.values(), *(q.text for q in queries)}}
    tokens = float(np.mean([len(text.ids) for text in encoded.values()]))
    whole, width = np.eye(encoder.dim, dtype=np.float32), encoder.projection.shape[1]
    ways = [
        Kept(f"float32, {encoder.dim} dimensions", whole, 4 * encoder.dim, rounded=False),
        Kept(f"float32, {width} dimensions", encoder.projection, 4 * width, rounded=False),
        Kept(f"int8, {width} dimensions, with a scale (kept)", encoder.projection, width + 2, rounded=True),
    ]
    statistics = index.statistics(corpus, lambda kind, data: None)
    print("| token vectors | bytes a passage | served blend | without memory | MaxSim alone |\n|---|---|---|---|---|")
    for way in ways:
        own = {i: way.reading(r, asked[r.query], encoded, snippet) for i, r in measured.items()}
        read = {i: way.reading(r, asked[r.query], encoded, snippet) for i, r in learned.items() if r.candidates}
        described = {i: own_features(r, statistics, snippet) for i, r in read.items()}
        lists = lists_of(labels, read, described)
        served, without = blends(lists, statistics, own, queries, config.training)
        print(
            f"| {way.name} | {way.bytes_a_token * tokens:,.0f} | {served:.4f} | {without:.4f} "
            f"| {ndcg(own, queries, base_scores):.4f} |",
            flush=True,
        )


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--train", default="qrels_train.tsv")
    args = arguments.parse_args()
    corpus, queries = args.folder.name, evaluable(judged(args.folder, "qrels.tsv"))
    with indexed(args.folder, args.cache) as tribrid:
        tribrid.corpus(corpus).judgments.put(judged(args.folder, args.train))
        tribrid.corpus(corpus).eval_dataset.put(queries)
        tribrid.corpus(corpus).patch_settings({"mining": {"max_remembered": 0}})
        mined = tribrid.corpus(corpus).mine(max_pairs=500)
        compare(open_corpus(tribrid.folder, corpus), queries, mined.triplet_set_id)


if __name__ == "__main__":
    main()
