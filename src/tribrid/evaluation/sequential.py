"""Is the challenger better than the champion, by the outcomes so far? To be asked after each one, if one likes.

An outcome is what one client's searches of one day said, however many they were: searches of one person are no
independent witnesses, and nobody is to decide by asking often. A verdict takes a least number of clients, and must
stand without any one of them. Both make it rarer, so neither can raise the error.

Of the outcomes that one of the two won, the challenger wins a share p, and between equals p = 1/2. The e-value is
the likelihood of the wins and losses under a mixture of shares p ~ Beta(PRIOR, PRIOR), divided by that under p = 1/2.
While the two are equal it is a martingale that starts at 1, whatever comes before a draw, so it ever reaches 1 / alpha
with a chance of alpha at most (Ville). A fixed-horizon p-value has no such property: looked at after every impression,
it calls equals different sooner or later. Inverting the same test for every p gives an interval that holds p at all
times at once, with a chance of 1 - alpha; it leaves 1/2 at the moment when the e-value reaches 1 / alpha.

References:
    Robbins: Statistical methods related to the law of the iterated logarithm, Ann. Math. Statist. 1970 (mixtures).
    Johari, Koomen, Pekelis, Walsh: Always valid inference, Operations Research 2022 (the mixture SPRT for online
    experiments). Ramdas, Grünwald, Vovk, Shafer: Game-theoretic statistics and safe anytime-valid inference,
    Statistical Science 2023 (e-processes).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, lgamma, log, log1p

from tribrid.types import Verdict

PRIOR = 5.0
"""Spreads the mixture over shares from about 0.2 to 0.8. For true shares from 0.55 to 0.7 the mean number of decided
impressions then is about two thirds of what a single look with a power of 0.95 takes (PRIOR 2 to 20: 0.64 to 0.9).
Another value would find large or small differences a little sooner; none changes the error."""
_LOG_MAX = 700.0
_BISECTIONS = 60


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def _log_mixture(wins: int, losses: int) -> float:
    """Log-likelihood of one sequence with these wins and losses under the mixture."""
    return _log_beta(PRIOR + wins, PRIOR + losses) - _log_beta(PRIOR, PRIOR)


def log_e_value(wins: int, losses: int) -> float:
    """Natural logarithm of the evidence against the two being equal; 0 before the first impression."""
    return _log_mixture(wins, losses) - (wins + losses) * log(0.5)


def e_value(wins: int, losses: int) -> float:
    """The evidence itself, cut where a float ends."""
    return exp(min(_LOG_MAX, log_e_value(wins, losses)))


def verdict(wins: int, losses: int, alpha: float) -> Verdict | None:
    """Which is better, if that can be told by now; the error of ever telling it of equals is at most alpha."""
    if log_e_value(wins, losses) < -log(alpha):
        return None
    return "challenger_better" if wins > losses else "challenger_worse"


def decided(
    wins: int, losses: int, clients: Sequence[tuple[int, int]], alpha: float, least_clients: int
) -> Verdict | None:
    """The verdict, where enough clients are behind it and it would be the same without any one of them.

    Args:
        clients: wins and losses of each client.
        least_clients: that many make a verdict. With 1, one client alone may decide.
    """
    found = verdict(wins, losses, alpha)
    if found is None or len(clients) < least_clients:
        return None
    if least_clients == 1:
        return found
    return found if all(verdict(wins - won, losses - lost, alpha) == found for won, lost in clients) else None


def win_share(wins: int, losses: int, alpha: float) -> tuple[float, float]:
    """The interval of shares of decided impressions that the challenger may win in the long run.

    It holds the true share at every number of impressions at once with a chance of 1 - alpha.
    """
    decided = wins + losses
    if not decided:
        return 0.0, 1.0
    least = _log_mixture(wins, losses) + log(alpha)

    def holds(share: float) -> bool:
        return _log_likelihood(wins, losses, share) > least

    likeliest = wins / decided
    return _edge(holds, likeliest, 0.0), _edge(holds, likeliest, 1.0)


def _log_likelihood(wins: int, losses: int, share: float) -> float:
    return (wins * log(share) if wins else 0.0) + (losses * log1p(-share) if losses else 0.0)


def _edge(holds: Callable[[float], bool], inside: float, outside: float) -> float:
    """The end of the interval between a share that is in it and an extreme one."""
    if inside == outside:
        return outside
    for _ in range(_BISECTIONS):
        middle = (inside + outside) / 2
        if holds(middle):
            inside = middle
        else:
            outside = middle
    return inside


def in_words(
    found: Verdict | None,
    champion: str,
    wins: int,
    losses: int,
    counted: int,
    alpha: float,
    clients: int,
    per: str = "client and day",
) -> str:
    """What the outcomes say, and how sure that is.

    Args:
        per: what has one outcome.
    """
    low, high = win_share(wins, losses, alpha)
    told = f"Of {counted:,} outcomes (one a {per}), {wins + losses:,} told the two apart, from {clients:,} "
    told += f"{'client' if clients == 1 else 'clients'}, and the challenger won {wins:,} of these"
    held = f"{100 * low:.0f} to {100 * high:.0f} % of them in the long run"
    sure = f"at {100 * (1 - alpha):.4g} % confidence, however often one looks"
    if found is None:
        return f"{told}: {held}, {sure}. That is no verdict yet."
    if found == "no_difference":
        return f"{told}: {held}, {sure}. No difference was seen within the outcomes agreed upon."
    better = "better" if found == "challenger_better" else "worse"
    return f"{told}: {held}, {sure}. It is {better} than {champion}."
