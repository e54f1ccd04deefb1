"""How much of what judgments teach can be learned from clicks alone?

    python benchmarks/clicks.py ../shared/data/scifact
    python benchmarks/clicks.py ../shared/data/esci-us-small --halve

Simulated users search for the training queries and click by a position-based model: the result at rank k is looked at
with probability 1 / k^eta, and clicked, once looked at, with the probability of its relevance: 1 - noise for the
highest grade, noise for none. Beside it stand what judgments of the same queries teach; what an oracle makes of the
same clicks, who knows which were right; and what a naive reading of them does: clicked = relevant, first and not
clicked = not relevant.

References: Joachims et al., Unbiased learning-to-rank with biased feedback, WSDM 2017 (the simulation).
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from dataclasses import replace
from statistics import mean

from tribrid.app import Tribrid
from tribrid.types import JudgedQuery
from workbench import halves, indexed, judged, parser, table, train_and_evaluate

CLICKS, NAIVE, ORACLE, JUDGMENTS = "clicks", "naive reading of the clicks", "an oracle's reading", "judgments"
Session = tuple[str, list[str], list[str]]
"""A query's text, what was shown, what was clicked."""


def simulate(
    tribrid: Tribrid, corpus: str, queries: Sequence[JudgedQuery], seed: int, args: argparse.Namespace
) -> list[Session]:
    """Searches and clicks as users would, logged by the product itself."""
    rng = random.Random(seed)
    best = max(grade for query in queries for grade in query.judgments.values())
    made = []
    for _ in range(args.sessions):
        query = rng.choice(queries)
        answer = tribrid.corpus(corpus).search(query.text)
        shown = [found.doc_id for found in answer.results]
        clicked = []
        for rank, doc_id in enumerate(shown, 1):
            relevance = max(query.judgments.get(doc_id, 0), 0) / best
            if rng.random() < rank**-args.eta * (args.noise + (1 - 2 * args.noise) * relevance):
                tribrid.feedback(answer.query_id, "click", doc_id)
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


def oracle(sessions: Sequence[Session], queries: Sequence[JudgedQuery]) -> list[JudgedQuery]:
    """What was clicked and is relevant: nobody can learn more of these clicks without knowing more than they say."""
    clicked: dict[str, set[str]] = {}
    for text, _, used in sessions:
        clicked.setdefault(text, set()).update(used)
    right = [
        replace(q, judgments={d: g for d, g in q.judgments.items() if d in clicked.get(q.text, ())}) for q in queries
    ]
    return [query for query in right if query.has_positive]


def labels(name: str, sessions: Sequence[Session], queries: list[JudgedQuery]) -> list[JudgedQuery]:
    """What is learned from in place of the clicks themselves."""
    if name == NAIVE:
        return naive(sessions)
    return oracle(sessions, queries) if name == ORACLE else queries


def learned(tribrid: Tribrid, name: str, args: argparse.Namespace) -> float:
    """What learning from these labels gains as served; a challenger that the gate keeps out gains nothing."""
    corpus = args.folder.name
    pairs, source = 500 if name == JUDGMENTS else args.click_pairs, "logs" if name == CLICKS else "judgments"
    tribrid.corpus(corpus).patch_settings({"mining": {"max_remembered": 0}})  # so many pairs and no others
    mined = tribrid.corpus(corpus).mine(max_pairs=pairs, sources=[source])
    reports = train_and_evaluate(tribrid, corpus, args.seeds, args.set)
    print(f"## {corpus}, {name}: {mined.pairs} pairs\n\n{table(reports, args.seeds, 'ndcg@10')}\n", flush=True)
    after = [(report.after if report.promoted else report.before)["ndcg@10"] for report in reports]
    return mean(after) - float(reports[0].before["ndcg@10"])


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--train", default="qrels_train.tsv")
    arguments.add_argument("--halve", action="store_true", help="train on half of the eval file's queries instead")
    arguments.add_argument("--simulations", type=int, nargs="+", default=[7, 1, 2, 3], help="one set of users each")
    arguments.add_argument("--sessions", type=int, default=2000)
    arguments.add_argument("--eta", type=float, default=1.0)
    arguments.add_argument("--noise", type=float, default=0.1)
    arguments.add_argument("--click-pairs", type=int, default=1000, help="most pairs to mine from clicks")
    args = arguments.parse_args()
    corpus = args.folder.name
    evaluation = judged(args.folder, "qrels.tsv")
    training, evaluation = halves(evaluation) if args.halve else (judged(args.folder, args.train), evaluation)
    training = [query for query in training if query.has_positive]
    gains: dict[str, list[float]] = {}
    for seed in args.simulations:
        sessions: list[Session] = []
        for name in (CLICKS, NAIVE, ORACLE, *([] if JUDGMENTS in gains else [JUDGMENTS])):
            with indexed(args.folder, args.cache) as tribrid:
                if name == CLICKS:
                    sessions = simulate(tribrid, corpus, training, seed, args)
                else:
                    tribrid.corpus(corpus).judgments.put(labels(name, sessions, training))
                tribrid.corpus(corpus).eval_dataset.put(evaluation)
                gains.setdefault(name, []).append(learned(tribrid, name, args))
        clicks = sum(len(clicked) for _, _, clicked in sessions)
        print(f"simulation {seed}: {len(sessions)} sessions, {clicks} clicks\n", flush=True)
    share = mean(gains[JUDGMENTS])
    for name, found in gains.items():
        each = ", ".join(f"{gain:+.4f}" for gain in found)
        told = f", {mean(found) / share:.0%} of the judgments' gain" if share > 0 else ""
        print(f"{name}: {mean(found):+.4f} served ({each}){told}")


if __name__ == "__main__":
    main()
