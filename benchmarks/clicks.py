"""How much of what judgments teach can be learned from clicks alone?

    python benchmarks/clicks.py ../shared/data/scifact
    python benchmarks/clicks.py ../shared/data/esci-us-small --halve

Simulated users search for the training queries and click by a position-based model: the result at rank k is looked at
with probability 1 / k^eta, and clicked, once looked at, with the probability of its relevance: 1 - noise for the
highest grade, noise for none. Beside it stand what judgments of the same queries teach, and what a naive reading of the
same clicks does: clicked = relevant, first and not clicked = not relevant.

References: Joachims et al., Unbiased learning-to-rank with biased feedback, WSDM 2017 (the simulation).
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from tribrid.app import Tribrid
from tribrid.types import JudgedQuery
from workbench import halves, indexed, judged, parser, table, train_and_evaluate

Session = tuple[str, list[str], list[str]]
"""A query's text, what was shown, what was clicked."""


def simulate(
    tribrid: Tribrid, corpus: str, queries: Sequence[JudgedQuery], sessions: int, eta: float, noise: float
) -> list[Session]:
    """Searches and clicks as users would, logged by the product itself."""
    rng = random.Random(7)
    best = max(grade for query in queries for grade in query.judgments.values())
    made = []
    for _ in range(sessions):
        query = rng.choice(queries)
        answer = tribrid.search(corpus, query.text)
        shown = [found["doc_id"] for found in answer["results"]]
        clicked = []
        for rank, doc_id in enumerate(shown, 1):
            relevance = max(query.judgments.get(doc_id, 0), 0) / best
            if rng.random() < rank**-eta * (noise + (1 - 2 * noise) * relevance):
                tribrid.feedback(answer["query_id"], "click", doc_id)
                clicked.append(doc_id)
        made.append((query.text, shown, clicked))
    return made


def naive(sessions: Sequence[Session]) -> list[JudgedQuery]:
    """Clicked is relevant; first and never clicked is not."""
    labels: dict[str, dict[str, int]] = {}
    for text, shown, clicked in sessions:
        known = labels.setdefault(text, {})
        known.update(dict.fromkeys(clicked, 1))
        if shown and clicked:
            known.setdefault(shown[0], 0)
    return [JudgedQuery(f"n{number}", text, known) for number, (text, known) in enumerate(labels.items()) if known]


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--train", default="qrels_train.tsv")
    arguments.add_argument("--halve", action="store_true", help="train on half of the eval file's queries instead")
    arguments.add_argument("--sessions", type=int, default=2000)
    arguments.add_argument("--eta", type=float, default=1.0)
    arguments.add_argument("--noise", type=float, default=0.1)
    arguments.add_argument("--click-pairs", type=int, default=500, help="most pairs to mine from the clicks")
    args = arguments.parse_args()
    corpus = args.folder.name
    evaluation = judged(args.folder, "qrels.tsv")
    training, evaluation = halves(evaluation) if args.halve else (judged(args.folder, args.train), evaluation)
    training = [query for query in training if query.has_positive]
    gains = {}
    sessions: list[Session] = []
    for name in ("clicks", "naive reading of the clicks", "judgments"):
        with indexed(args.folder, args.cache) as tribrid:
            if name == "clicks":
                sessions = simulate(tribrid, corpus, training, args.sessions, args.eta, args.noise)
            else:
                tribrid.put_judgments(corpus, naive(sessions) if "naive" in name else training)
            tribrid.put_eval_dataset(corpus, evaluation)
            pairs = args.click_pairs if name == "clicks" else 500
            mined = tribrid.mine(corpus, max_pairs=pairs, sources=["logs" if name == "clicks" else "judgments"])
            reports = train_and_evaluate(tribrid, corpus, args.seeds, args.set)
        clicks = sum(len(clicked) for _, _, clicked in sessions)
        print(f"## {corpus}, {name}: {mined['pairs']} pairs ({len(sessions)} sessions, {clicks} clicks)\n")
        print(table(reports, args.seeds, "ndcg@10"), "\n", flush=True)
        # What is served counts: a challenger that the gate keeps out gains nothing and costs nothing.
        after = [report["after" if report["promoted"] else "before"]["ndcg@10"] for report in reports]
        gains[name] = sum(after) / len(after) - reports[0]["before"]["ndcg@10"]
    for name in gains:
        print(f"{name}: {gains[name]:+.4f} served, {gains[name] / gains['judgments']:.0%} of the judgments' gain")


if __name__ == "__main__":
    main()
