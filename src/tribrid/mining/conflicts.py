"""What every source says of a query, so that no source's label is used against another's."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from tribrid.corpus.lexical import normalise
from tribrid.mining.labels import Group, Positive
from tribrid.mining.splits import query_clusters


class Shield:
    """See the module."""

    def __init__(self, groups: Sequence[Group]) -> None:
        clusters = query_clusters([group.query for group in groups])
        self._cluster_of: dict[str, str] = {}
        self._good: defaultdict[str, list[str]] = defaultdict(list)
        self._bad: defaultdict[str, set[str]] = defaultdict(set)
        for group, cluster in zip(groups, clusters, strict=True):
            text = normalise(group.query)
            self._cluster_of[text] = cluster
            self._good[cluster].extend(dict.fromkeys(group.good))
            if group.explicit:
                self._bad[text].update(known.doc_id for known in group.explicit)

    def against(self, group: Group) -> frozenset[str]:
        """What is good for the query, or a near-duplicate of it, by other groups: no negative here.

        Of its own positives a group itself knows which stand higher.
        """
        good = Counter(self._good[self._cluster_of[normalise(group.query)]])
        own = set(group.good)
        return frozenset(doc_id for doc_id, count in good.items() if count > (doc_id in own))

    def disputes(self, group: Group, positive: Positive) -> bool:
        """Whether another source found the positive bad for this very query."""
        return positive.doc_id in self._bad[normalise(group.query)]
