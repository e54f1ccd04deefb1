"""Which queries are one query in other words, and how to split so that none stands on both sides.

Two queries are near-duplicates when the sets of their content words (case, punctuation, articles, prepositions
and plural "s" taken away, order ignored) or of their word 3-grams have a Jaccard similarity of `QUERY_SIMILARITY`
or more. 3-grams alone, which serve for passages, see too little in a query of five words. Wrongly joining two
queries costs a training query; wrongly keeping them apart leaks, so joining is the safer mistake. Mining uses it,
and whoever splits for training or looks for leakage should.
"""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from tribrid.corpus.lexical import normalise, shingles

QUERY_SIMILARITY = 0.8
"""Jaccard from which queries count as one. At 0.8 a claim and the same claim with one of its ten words reversed are
one; at 0.75 "a b c" and "a b c d" are, and short product queries chain into clusters of hundreds."""

_ARTICLES_AND_LINKS = ("a", "an", "the", "and", "or", "is", "are", "was", "were", "be", "do", "does", "did")
_FUNCTION_WORDS = frozenset((*_ARTICLES_AND_LINKS, "of", "in", "on", "at", "for", "to", "by", "with"))
# A script without spaces has no words to split at: each of its characters counts as one.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
_SLACK = 1e-9


def content_words(text: str) -> frozenset[str]:
    """What a query says, as a set: never empty, so that "???" is still equal to itself only."""
    # The same letters may be written in several ways, such as an accent of its own.
    normal = normalise(text if text.isascii() else unicodedata.normalize("NFKC", text))
    words = _WORD.findall(normal)
    content = frozenset(_singular(word) for word in words if word not in _FUNCTION_WORDS)
    return content or frozenset(words) or frozenset((normal,))


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


class _WordSets:
    """Finds the stored sets at least `threshold` similar to a given one, exactly, by prefix filtering.

    Two sets of a and b words are that similar when they share `need` words (see `_need`). Then, with the words in
    one order everywhere, rarest first, the first `a - need + 1` of one and `b - need + 1` of the other have a word
    in common, so only such prefixes are indexed: by word, by the set's size, and by the word's place in it, because
    a common word far down leaves too few after it.

    References:
        Bayardo, Ma, Srikant: Scaling up all pairs similarity search, WWW 2007. Xiao et al.: Efficient similarity
        joins for near duplicate detection, WWW 2008 (the places).
    """

    def __init__(self, sets: Sequence[frozenset[str]], threshold: float, *, alone: bool = False) -> None:
        """`sets`: all that may be stored. `alone`: and nothing else will be looked for, so that a word of one of them
        finds no other.
        """
        self._threshold = threshold
        frequency = Counter(word for words in sets for word in words)
        self._place = {word: at for at, (_, word) in enumerate(sorted((n, word) for word, n in frequency.items()))}
        self._first = sum(times == 1 for times in frequency.values()) if alone else 0
        self._sets: list[frozenset[str]] = []
        self._numbers: dict[frozenset[str], int] = {}
        self._postings: defaultdict[tuple[int, int], list[list[int]]] = defaultdict(list)

    def add(self, words: frozenset[str]) -> None:
        """Stores a set that is not stored yet; it is known by the number of sets stored before it."""
        size = len(words)
        longest = size - math.ceil(self._threshold * size - _SLACK) + 1
        for place, word in enumerate(self._ordered(words)[:longest]):
            if word < self._first:
                continue
            places = self._postings[word, size]
            places.extend([] for _ in range(place + 1 - len(places)))
            places[place].append(len(self._sets))
        self._numbers[words] = len(self._sets)
        self._sets.append(words)

    def at(self, number: int) -> frozenset[str]:
        """The stored set that is known by this number."""
        return self._sets[number]

    def similar(self, words: frozenset[str]) -> Iterator[int]:
        """The stored sets that are similar, each once; the equal one first."""
        if words in self._numbers:
            yield self._numbers[words]
        size, ordered = len(words), self._ordered(words)
        if ordered[-1] < self._first:
            return
        smallest = math.ceil(self._threshold * size - _SLACK)
        largest = math.floor(size / self._threshold + _SLACK)
        for other_size in range(max(1, smallest), largest + 1):
            need = self._need(size, other_size)
            if need < size or need < other_size:
                for number in self._sharing(ordered, other_size, need):
                    if len(words & self._sets[number]) >= need and words != self._sets[number]:
                        yield number

    def _sharing(self, ordered: Sequence[int], other_size: int, need: int) -> set[int]:
        """Stored sets of one size that share a prefix word and could share `need` words in all."""
        size = len(ordered)
        found: set[int] = set()
        for place, word in enumerate(ordered[: size - need + 1]):
            if word < self._first:
                continue
            for other_place, numbers in enumerate(self._postings.get((word, other_size), ())):
                if min(place, other_place) + min(size - place, other_size - other_place) >= need:
                    found.update(numbers)
        return found

    def _need(self, a: int, b: int) -> int:
        """Fewest shared words that make sets of a and b words similar: shared / (a + b - shared) >= threshold."""
        return math.ceil(self._threshold / (1 + self._threshold) * (a + b) - _SLACK)

    def _ordered(self, words: frozenset[str]) -> list[int]:
        """The places of the words in the order, rarest first; of one that no stored set has, -1."""
        place = self._place
        return sorted([place.get(word, -1) for word in words])


_VIEWS: tuple[Callable[[str], frozenset[str]], ...] = (content_words, shingles)


class QueryMatcher:
    """Answers whether a text is, or nearly is, one of the queries it was made from."""

    def __init__(self, queries: Iterable[str], threshold: float = QUERY_SIMILARITY) -> None:
        texts = sorted({normalise(query) for query in queries})
        self._indexes: list[_WordSets] = []
        for view in _VIEWS:
            distinct = sorted({view(text) for text in texts}, key=sorted)
            index = _WordSets(distinct, threshold)
            for words in distinct:
                index.add(words)
            self._indexes.append(index)
        self._texts = texts
        self._sayings: list[defaultdict[frozenset[str], list[str]]] = []

    def near(self, query: str) -> list[str]:
        """Which of them are, normalised and in ascending order."""
        if not self._sayings:
            for view in _VIEWS:
                said: defaultdict[frozenset[str], list[str]] = defaultdict(list)
                for text in self._texts:
                    said[view(text)].append(text)
                self._sayings.append(said)
        wanted = normalise(query)
        return sorted(
            {
                text
                for view, index, said in zip(_VIEWS, self._indexes, self._sayings, strict=True)
                for number in index.similar(view(wanted))
                for text in said[index.at(number)]
            }
        )

    def matches(self, query: str) -> bool:
        """Whether any of them is."""
        if not self._texts:
            return False
        text = normalise(query)
        return any(
            next(index.similar(view(text)), None) is not None for view, index in zip(_VIEWS, self._indexes, strict=True)
        )


def query_clusters(queries: Sequence[str], threshold: float = QUERY_SIMILARITY) -> list[str]:
    """The cluster of each query, in the order given; near-duplicates, and theirs in turn, share one.

    A cluster's id is a hash of its alphabetically first member, so it depends neither on the order of the
    queries nor on how often one occurs. 100,000 queries take seconds.
    """
    normal = [normalise(query) for query in queries]
    texts = sorted(set(normal))
    parent = list(range(len(texts)))
    for view in _VIEWS:
        _join_similar(parent, [view(text) for text in texts], threshold)
    number_of = {text: number for number, text in enumerate(texts)}
    return [cluster_of(texts[_root(parent, number_of[text])]) for text in normal]


def cluster_of(first: str) -> str:
    """The id of the cluster whose alphabetically first member this is."""
    return _digest(normalise(first))[:16]


def _join_similar(parent: list[int], sets: Sequence[frozenset[str]], threshold: float) -> None:
    """Joins the trees of similar sets; the smallest number becomes the root."""
    index = _WordSets(sets, threshold, alone=True)
    owners: list[int] = []
    known: dict[frozenset[str], int] = {}
    for number, words in enumerate(sets):
        similar = [known[words]] if words in known else [owners[found] for found in index.similar(words)]
        for other in similar:
            a, b = _root(parent, number), _root(parent, other)
            parent[max(a, b)] = min(a, b)
        if words not in known:
            known[words] = number
            owners.append(number)
            index.add(words)


def _root(parent: list[int], number: int) -> int:
    while parent[number] != number:
        parent[number] = parent[parent[number]]
        number = parent[number]
    return number


def newest_clusters(clusters: Sequence[str], observed_us: Sequence[int | None], ratio: float) -> frozenset[str]:
    """The clusters to hold out when labels have dates: those whose evidence is newest, as it will be after training.

    A cluster is as new as its newest label, so every dated label that is left to train on is older than the newest of
    each cluster held out; a query that users never stop asking is held out whole, its old evidence too.

    Args:
        clusters: one cluster id per query, as `query_clusters` gives them (an id repeats for each of its queries).
        observed_us: when each query's labels were last observed; None for labels without a date. A cluster without
            any date is never held out.
        ratio: share of the queries in dated clusters to hold out, 0..1. All clusters of one moment stand on one side,
            so it is met as nearly as the moments allow without going over, by one moment at least.

    Returns:
        None at all where the dates do not split: fewer than half of the queries have one, or one moment would take
        more than half of those in dated clusters.
    """
    newest: dict[str, int] = {}
    for cluster, at in zip(clusters, observed_us, strict=True):
        if at is not None:
            newest[cluster] = max(at, newest.get(cluster, at))
    if ratio <= 0 or 2 * sum(at is not None for at in observed_us) < len(clusters):
        return frozenset()
    sizes = Counter(cluster for cluster in clusters if cluster in newest)
    of_moment: defaultdict[int, list[str]] = defaultdict(list)
    for cluster, at in newest.items():
        of_moment[at].append(cluster)
    held_out: set[str] = set()
    room, most = round(ratio * sizes.total()), sizes.total() / 2
    # The oldest moment is never held out: something must be left to learn from.
    for moment in sorted(of_moment, reverse=True)[:-1]:
        count = sum(sizes[cluster] for cluster in of_moment[moment])
        if count > (room if held_out else most):
            break
        held_out.update(of_moment[moment])
        room -= count
    return frozenset(held_out)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
