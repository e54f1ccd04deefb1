"""A/B: each client sees one of the two rankings, always the same, and what its first search says of the two.

Which ranking a client sees is a coin that is made of its name: it needs no memory, and another experiment throws other
coins. A client has one outcome in the whole experiment. Its coin is thrown once, so what it does on other days is no
new evidence: of clients who always use more than others as many are on either side by luck alone, and counting them
day by day would take that luck for a difference.

What a search was worth is compared with the mean of the clients before it. Of the challenger's clients, one that does
better is a win and one that does worse a loss; of the champion's the other way round. Where the two rankings are equal
a client does as well whichever it sees. So whatever its search was worth, and whatever the mean is by then, its coin
decides between win and loss: the outcomes are fair and independent coins, as an interleaving's are, and the same test
holds however often one looks. Nothing is assumed of how clients differ, or of when they come. What is found is the
ranking with which more clients do well, not by how much they do.

References:
    Fisher: The Design of Experiments, 1935 (that chance alone assigned who got what is all that a test needs).
    Howard, Ramdas, McAuliffe, Sekhon: Time-uniform, nonparametric, nonasymptotic confidence sequences, Annals of
    Statistics 2021 (tests of assigned treatments that hold at all times).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

from tribrid.mining.clicks.feedback import opinion
from tribrid.types import Feedback, Team

_FIRST_MEAN = 0.5
"""What the first client is compared with. It weighs as one client; any number here is fair."""


def side(experiment_id: str, client_id: str) -> Team:
    """Whose ranking a client sees."""
    coin = hashlib.sha256(f"{experiment_id}\n{client_id}".encode("utf-8", "surrogatepass")).digest()[0] & 1
    return "challenger" if coin else "champion"


def worth(doc_ids: Sequence[str], feedback: Iterable[Feedback]) -> float:
    """What a list was worth to who searched, 0 to 1: 1 / rank of the best placed document that was used, half of that
    if it was left at once; 0 where none was.
    """
    done: defaultdict[str | None, list[Feedback]] = defaultdict(list)
    for item in feedback:
        done[item.doc_id].append(item)
    uses = (opinion(done[doc_id]).use / rank for rank, doc_id in enumerate(doc_ids, 1) if doc_id in done)
    return max(0.0, *uses, 0.0)


def outcome(found: float, sum_before: float, clients_before: int, saw: Team) -> int:
    """1: it speaks for the challenger, -1: for the champion, 0: for neither.

    Args:
        found: what the client's search was worth.
        sum_before: what those of the clients before it were worth together.
        saw: whose ranking it saw.
    """
    mean = (_FIRST_MEAN + sum_before) / (1 + clients_before)
    better = (found > mean) - (found < mean)
    return better if saw == "challenger" else -better
