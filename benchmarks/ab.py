"""How often does an A/B call equals different, and how many clients does it take to tell rankings apart?

    python benchmarks/ab.py
    python benchmarks/ab.py --experiments 500 --clients 3000 --seed 1

Users and rankings are those of benchmarks/interleaving.py, and clients differ: each has its own readiness to click
(uniform, up to twice what a user there has), those that click most come first, and each searches on 1 to 10 days. Whose
ranking a client sees, what a search is worth and verdicts are the product's own code; the verdict is asked for after
every search. Beside it stand what the same test says if each day of a client were an outcome, which the product does
not do, and how many outcomes an interleaving of the same rankings takes.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from interleaving import CLICKED, LEAST_CLIENTS, NAMES, NOISE, OTHERS, TOP_K, simulate, stopped
from tribrid.evaluation.ab import outcome, side, worth
from tribrid.evaluation.sequential import decided, verdict
from tribrid.types import Feedback, Signal

MOST_DAYS = 10


@dataclass
class Tally:
    """One way of counting: wins and losses of each client, and what all searches were worth."""

    by_client: dict[int, list[int]]
    wins: int = 0
    losses: int = 0
    worths: float = 0.0
    counted: int = 0

    def add(self, client: int, said: int, found: float) -> None:
        each = self.by_client.setdefault(client, [0, 0])
        each[0], each[1] = each[0] + (said > 0), each[1] + (said < 0)
        self.wins, self.losses = self.wins + (said > 0), self.losses + (said < 0)
        self.worths, self.counted = self.worths + found, self.counted + 1

    def verdict(self, alpha: float) -> str | None:
        if verdict(self.wins, self.losses, alpha) is None:
            return None
        return decided(self.wins, self.losses, [(w, n) for w, n in self.by_client.values()], alpha, LEAST_CLIENTS)


def searches(clients: int, noise: float, seed: str) -> Iterable[tuple[int, bool, float]]:
    """Each search in its order: the client, whether it is its first, and what it was worth."""
    rng = random.Random(seed)
    ready = sorted((rng.betavariate(1, 1) for _ in range(clients)), reverse=True)
    days = [(client + rng.randrange(30) * day, client, day == 0) for client in range(clients)
            for day in range(rng.randint(1, MOST_DAYS))]  # fmt: skip
    for _, client, first in sorted(days):
        grades = {name: rng.choices((0, 1, 2), (14, 4, 2))[0] for name in NAMES}
        own = noise if side(seed, str(client)) == "challenger" else NOISE
        shown = sorted(NAMES, key=lambda name: -(grades[name] + rng.gauss(0, own)))[:TOP_K]
        clicks = [
            Feedback("q", Signal.CLICK, doc_id, None, 0)
            for rank, doc_id in enumerate(shown, 1)
            if rng.random() < 2 * ready[client] * rank**-0.7 * CLICKED[grades[doc_id]]
        ]
        yield client, first, worth(shown, clicks)


def experiment(clients: int, noise: float, alpha: float, seed: str) -> tuple[int, str, str]:
    """After how many clients it ends and how, and how it ends if every day counts."""
    once, daily = Tally({}), Tally({})
    ended: dict[str, str] = {}
    at = clients
    for client, first, found in searches(clients, noise, seed):
        for name, tally in (("once", once), ("daily", daily)):
            if name in ended or (name == "once" and not first):
                continue
            saw = side(seed, str(client))
            tally.add(client, outcome(found, tally.worths, tally.counted, saw), found)
            if (said := tally.verdict(alpha)) is not None:
                ended[name] = said
                at = tally.counted if name == "once" else at
    return at, ended.get("once", "no_difference"), ended.get("daily", "no_difference")


def row(name: str, given: argparse.Namespace) -> str:
    seeds = [f"{given.seed} {name} {number}" for number in range(given.experiments)]
    runs = [experiment(given.clients, OTHERS[name], given.alpha, seed) for seed in seeds]
    mixed = [stopped(simulate(OTHERS[name], given.clients, seed).outcomes, given.alpha) for seed in seeds[:100]]
    ended = [found for _, found, _ in runs]
    cells = (
        name,
        *(f"{ended.count(kind) / len(runs):.1%}" for kind in ("challenger_better", "challenger_worse")),
        f"{np.mean([at for at, _, _ in runs]):,.0f}",
        f"{np.median([at for at, _, _ in runs]):,.0f}",
        f"{1 - [daily for _, _, daily in runs].count('no_difference') / len(runs):.1%}",
        f"{np.median([number for number, _ in mixed]):,.0f}",
    )
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", type=int, default=200, help="of each kind of challenger")
    parser.add_argument("--clients", type=int, default=1000, help="budget of an experiment")
    parser.add_argument("--challengers", nargs="+", choices=OTHERS, default=["equal", "better", "much better"])
    parser.add_argument("--alpha", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=13)
    given = parser.parse_args()
    print(
        "| challenger | found better | found worse | clients, mean | median | told apart if each day counted | "
        "interleaving, median outcomes |\n|---|---|---|---|---|---|---|"
    )
    for name in given.challengers:
        print(row(name, given), flush=True)


if __name__ == "__main__":
    main()
