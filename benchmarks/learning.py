"""Does learning from this collection's labels, or from its structure alone, make its ranking better?

    python benchmarks/learning.py ../shared/data/wikiqa                       # judgments of qrels_train.tsv
    python benchmarks/learning.py ../shared/data/esci-us-small --halve        # half of qrels.tsv teaches
    python benchmarks/learning.py ../shared/data/medline --train none         # no label at all: heuristics
    python benchmarks/learning.py ../shared/data/nfcorpus --queries 30         # drawn at random

Prints nDCG@10 and MRR@10 before and after, for every seed, with intervals, and the last seed's systems: what stands
above `untrained` was learned, and what stands above `blend_without_memory` was remembered.
"""

from __future__ import annotations

import random

from workbench import halves, indexed, judged, parser, table, train_and_evaluate

DRAW = 13
"""Seed of which queries are drawn."""


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--train", default="qrels_train.tsv", help="judgments to train from; none: heuristics only")
    arguments.add_argument("--eval", default="qrels.tsv", help="judgments of the eval dataset")
    arguments.add_argument("--halve", action="store_true", help="train on half of the eval file's queries instead")
    arguments.add_argument("--max-pairs", type=int, default=500)
    arguments.add_argument("--queries", type=int, default=None, help="labelled queries to train on; default: all")
    args = arguments.parse_args()
    evaluation = judged(args.folder, args.eval)
    training = [] if args.train == "none" or args.halve else judged(args.folder, args.train)
    if args.halve:
        training, evaluation = halves(evaluation)
    if args.queries:
        training = random.Random(DRAW).sample(training, min(args.queries, len(training)))
    corpus = args.folder.name
    with indexed(args.folder, args.cache) as tribrid:
        if training:
            tribrid.corpus(corpus).judgments.put(training)
        tribrid.corpus(corpus).eval_dataset.put(evaluation)
        mined = tribrid.corpus(corpus).mine(max_pairs=args.max_pairs)
        reports = train_and_evaluate(tribrid, corpus, args.seeds, args.set)
    print(f"## {corpus}: {mined.pairs} pairs of {mined.by_source}, {mined.remembered} remembered\n")
    for measure in ("ndcg@10", "mrr@10"):
        print(table(reports, args.seeds, measure), "\n")
    print("| system | nDCG@10 | MRR@10 |\n|---|---|---|")
    for name, system in reports[-1].systems.items():
        if system is not None:
            print(f"| {name} | {system.means['ndcg@10']:.4f} | {system.means['mrr@10']:.4f} |")


if __name__ == "__main__":
    main()
