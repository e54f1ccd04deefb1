"""From one list to what users said by their acts. Clicks are evidence, not labels; ratings outrank clicks.

What a user did with a document speaks for or against it. How far down he looked is told by the lowest document he
used: what stood above it and was left alone was passed over, and so, less surely, were the next few below. What that
is worth is for the click model to say, which knows how likely each rank is to be looked at.

References:
    Joachims et al.: Accurately interpreting clickthrough data as implicit feedback, SIGIR 2005 (skip above, no-click
    next).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tribrid.mining.clicks.feedback import SHORT_CLICK, STRENGTHS, Opinion, opinion
from tribrid.types import Feedback, LoggedList


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one list is evidence of.

    Attributes:
        opinions: doc_id → opinion, for every document the user did something with.
        lowest: rank of the lowest document he used, 0 where he used none.
    """

    opinions: dict[str, Opinion]
    lowest: int

    @property
    def satisfied(self) -> bool:
        """Whether he found something that he did not leave again at once."""
        return any(found.strength > STRENGTHS[SHORT_CLICK] for found in self.opinions.values())


NOTHING = Evidence({}, 0)


def evidence(logged: LoggedList) -> Evidence:
    """Reads one list. Feedback on the whole of it (no doc_id) says nothing of a single document."""
    if not logged.feedback:
        return NOTHING
    opinions = _opinions(logged.feedback, logged.doc_ids)
    used = [logged.ranks[logged.doc_ids.index(doc_id)] for doc_id, found in opinions.items() if found.strength > 0]
    return Evidence(opinions, max(used, default=0))


def _opinions(feedback: Sequence[Feedback], shown: Collection[str]) -> dict[str, Opinion]:
    if len(feedback) == 1:
        return _of_document(feedback, feedback[0].doc_id, shown)
    acts: defaultdict[str | None, list[Feedback]] = defaultdict(list)
    for item in feedback:
        acts[item.doc_id].append(item)
    opinions: dict[str, Opinion] = {}
    for doc_id, items in acts.items():
        opinions.update(_of_document(items, doc_id, shown))
    return opinions


def _of_document(items: Sequence[Feedback], doc_id: str | None, shown: Collection[str]) -> dict[str, Opinion]:
    if doc_id is None or doc_id not in shown:
        return {}
    return {doc_id: opinion(items)}
