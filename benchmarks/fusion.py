"""Untrained retrieval on every collection: each leg, reciprocal rank fusion, and fixed weights, side by side.

    python benchmarks/fusion.py ../shared/data/adi ../shared/data/medline ../shared/data/scifact ...

A collection's eval judgments are qrels.tsv, or qrels_train.tsv where that is all there is.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tribrid.app import Tribrid
from tribrid.config.sections import RetrievalConfig
from tribrid.corpus.formats import judged_queries, parse_qrels, parse_queries
from tribrid.evaluation.measures import evaluable, means, per_query
from tribrid.retrieval.search import Retriever
from tribrid.types import LEGS, JudgedQuery, ScoredDoc

DEPTH = 50
MOST_QUERIES = 500
WEIGHTS = (0.5, 0.6, 0.7, 0.75, 0.8)


def judged(folder: Path) -> list[JudgedQuery]:
    qrels = next(path for name in ("qrels.tsv", "qrels_train.tsv") if (path := folder / name).is_file())
    with (folder / "queries.jsonl").open("rb") as stream:
        queries = judged_queries(parse_queries(stream), parse_qrels(qrels.read_text("utf-8")))
    return evaluable(queries)[:MOST_QUERIES]


def main() -> None:
    variants = {"rrf": RetrievalConfig(fusion="rrf")} | {f"w={w}": RetrievalConfig(dense_weight=w) for w in WEIGHTS}
    columns = [*LEGS, *variants]
    print("| collection | queries | " + " | ".join(columns) + " |\n|" + "---|" * (len(columns) + 2))
    with tempfile.TemporaryDirectory() as data_dir, Tribrid(data_dir) as tribrid:
        for name in sys.argv[1:]:
            folder = Path(name)
            queries = judged(folder)
            tribrid.create_corpus(folder.name)
            tribrid.corpus(folder.name).documents.add_path(folder / "corpus.jsonl")
            workspace = tribrid.folder
            index, embedder = workspace.index(folder.name), workspace.embedder(workspace.config())
            runs: dict[str, dict[str, list[ScoredDoc]]] = {column: {} for column in columns}
            for variant, config in variants.items():
                retriever = Retriever(index, embedder, config)
                for query in queries:
                    found = retriever.search(query.text, DEPTH)
                    runs[variant][query.query_id] = [ScoredDoc(c.doc_id, c.score) for c in found.candidates]
                    for leg in LEGS:
                        runs[leg][query.query_id] = list(found.leg_runs[leg])
            row = [means(per_query(runs[column], queries, ["ndcg@10"]))["ndcg@10"] for column in columns]
            cells = " | ".join(f"{value:.4f}" for value in row)
            print(f"| {folder.name} | {len(queries)} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
