"""Does an experiment find the better of two rankings, how soon, and how often does it err?

    python benchmarks/interleaving.py
    python benchmarks/interleaving.py --experiments 1000 --impressions 5000 --seed 1

Simulated users look at the result at rank k with probability 1 / k^0.7 and click on what they look at with 0.05, 0.3 or
0.7, by its relevance. Each search has 20 documents, which a ranking sorts by their relevance plus noise of its own: the
less noise, the better it is. Both rankings are right about the same things, and err independently. Drafts, credit and
verdicts are the product's own code, and the verdict is asked for after every impression. Each is of a client that
searches once, so that each is an outcome.

Beside it stand what repeated looks do to an ordinary sign test at the same level, the number of impressions at which a
sign test that is looked at once has the power that the experiment had, and the same users' clicks if documents that
both rankings agree on are credited to whom the coin favours, as team draft did at first.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tribrid.evaluation.interleaving import credit, team_draft
from tribrid.evaluation.sequential import decided, verdict
from tribrid.types import Feedback, Signal, Team

DOCUMENTS, TOP_K = 20, 10
CLICKED = (0.05, 0.3, 0.7)
NOISE = 0.8
OTHERS = {"equal": 0.8, "slightly better": 0.7, "better": 0.6, "much better": 0.4, "worse": 1.05}
"""Noise of the challenger; the champion's is NOISE."""
LEAST_CLIENTS = 20
NAMES = [f"d{number:02}" for number in range(DOCUMENTS)]
Outcomes = NDArray[np.int64]
Coin = Callable[[], float]


def ndcg(order: list[str], grades: dict[str, int]) -> float:
    def gain(names: list[str]) -> float:
        return sum(grades[name] / np.log2(rank + 1) for rank, name in enumerate(names[:TOP_K], 1))

    return float(gain(order) / max(gain(sorted(grades, key=grades.__getitem__, reverse=True)), 1e-9))


@dataclass(frozen=True)
class Impressions:
    """What each of an experiment's impressions said, 1, 0 or -1, and the mean gain in nDCG@10 behind it."""

    outcomes: Outcomes
    plain: Outcomes
    gain: float


def simulate(challenger_noise: float, impressions: int, seed: str) -> Impressions:
    """One experiment's searches, all of them: what would be seen if it never stopped."""
    rng = random.Random(seed)
    outcomes, plain, gains = [], [], []
    for number in range(impressions):
        grades = {name: rng.choices((0, 1, 2), (14, 4, 2))[0] for name in NAMES}
        rankings = [
            sorted(NAMES, key=lambda name, noise=noise: -(grades[name] + rng.gauss(0, noise)))  # type: ignore[misc]
            for noise in (NOISE, challenger_noise)
        ]
        draft = team_draft(*rankings, TOP_K, f"{seed} {number}")
        clicks = [
            Feedback("q", Signal.CLICK, doc_id, None, 0)
            for rank, doc_id in enumerate(draft.doc_ids, 1)
            if rng.random() < rank**-0.7 * CLICKED[grades[doc_id]]
        ]
        outcomes.append(credit(draft.doc_ids, draft.teams, clicks).outcome)
        plain.append(credit(draft.doc_ids, by_coin(draft.teams, rng.random), clicks).outcome)
        if number < 100:
            gains.append(ndcg(rankings[1], grades) - ndcg(rankings[0], grades))
    return Impressions(np.array(outcomes), np.array(plain), float(np.mean(gains)))


def by_coin(teams: list[Team], coin: Coin) -> list[Team]:
    """The same list with nothing that is both's."""
    return [team if team != "both" else "champion" if coin() < 0.5 else "challenger" for team in teams]


def stopped(outcomes: Outcomes, alpha: float) -> tuple[int, str]:
    """After how many impressions an experiment ends, and how; asked after each."""
    wins = losses = 0
    for number, outcome in enumerate(outcomes.tolist(), 1):
        if outcome:
            wins, losses = wins + (outcome > 0), losses + (outcome < 0)
            if verdict(wins, losses, alpha) is None:
                continue
            found = decided(wins, losses, [*[(1, 0)] * wins, *[(0, 1)] * losses], alpha, LEAST_CLIENTS)
            if found is not None:
                return number, found
    return len(outcomes), "no_difference"


def significant(outcomes: Outcomes) -> NDArray[np.bool_]:
    """Whether a two-sided sign test at 5 % calls the two different, after each number of impressions."""
    difference, decided = np.cumsum(outcomes), np.cumsum(outcomes != 0)
    return (np.abs(difference) - 1 > 1.96 * np.sqrt(decided)) & (decided >= 10)


def row(name: str, runs: list[Impressions], alpha: float) -> str:
    found = [stopped(run.outcomes, alpha) for run in runs]
    plain = [stopped(run.plain, alpha) for run in runs]
    looks = np.array([significant(run.outcomes) for run in runs])
    wanted = np.mean([ending != "no_difference" for _, ending in found])
    power = looks.mean(axis=0)
    reached = np.flatnonzero(power >= wanted)
    fixed = f"{reached[0] + 1:,}" if len(reached) and name != "equal" else "–"
    shares = [np.mean([ending == kind for _, ending in found]) for kind in ("challenger_better", "challenger_worse")]
    cells = (
        name,
        f"{np.mean([run.gain for run in runs]):+.3f}",
        *(f"{share:.1%}" for share in shares),
        f"{np.mean([number for number, _ in found]):,.0f}",
        f"{np.median([number for number, _ in found]):,.0f}",
        fixed,
        f"{looks.any(axis=1).mean():.1%}",
        f"{np.mean([number for number, _ in plain]):,.0f}",
    )
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", type=int, default=200, help="of each kind of challenger")
    parser.add_argument("--impressions", type=int, default=2000, help="budget of an experiment")
    parser.add_argument("--challengers", nargs="+", choices=OTHERS, default=list(OTHERS))
    parser.add_argument("--alpha", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=13)
    given = parser.parse_args()
    print(
        "| challenger | nDCG@10 | found better | found worse | impressions, mean | median | one look of the same power "
        "| sign test, looked at after each | mean, agreed documents credited |\n|---|---|---|---|---|---|---|---|---|"
    )
    for name in given.challengers:
        seeds = [f"{given.seed} {name} {number}" for number in range(given.experiments)]
        runs = [simulate(OTHERS[name], given.impressions, seed) for seed in seeds]
        print(row(name, runs, given.alpha), flush=True)


if __name__ == "__main__":
    main()
