"""How far two judges agree, of the ratings that are stored."""

from __future__ import annotations

from tribrid.answers.judgments import Agreement, Disagreement, JudgedBy, Rating
from tribrid.errors import NotFound
from tribrid.evaluation.agreement import TOP_GRADE, Pair
from tribrid.evaluation.agreement import agreement as measured

_CONFIDENCE, _SEED = 0.95, 42


def agreement(found: JudgedBy, a: str, b: str) -> Agreement:
    """The agreement of two judges on what both rated.

    Raises:
        NotFound: one of them rated nothing.
    """
    one, other = _ratings_of(a, found), _ratings_of(b, found)
    both = [(one[key], other[key]) for key in one if key in other]
    pairs = [Pair(x.query_id, _level(x), _level(y)) for x, y in both]
    told = measured(pairs, confidence=_CONFIDENCE, seed=_SEED, top=TOP_GRADE)
    apart = sorted((pair for pair in both if _level(pair[0]) != _level(pair[1])), key=_distance)
    return Agreement(
        corpus_id=found.corpus_id,
        a=a,
        b=b,
        pairs=len(both),
        queries=told.queries,
        same=len(both) - len(apart),
        kappa=told.kappa,
        ci95=None if told.low is None or told.high is None else (told.low, told.high),
        table=tuple(map(tuple, told.table)),
        disagreements=tuple(_apart(x, y) for x, y in apart),
    )


def _ratings_of(name: str, found: JudgedBy) -> dict[tuple[str, str], Rating]:
    ratings = {(rating.query_id, rating.doc_id): rating for rating in found.ratings if rating.judge == name}
    if not ratings:
        raise NotFound(f"{name!r} rated nothing in {found.corpus_id!r}.", judge=name)
    return ratings


def _distance(pair: tuple[Rating, Rating]) -> tuple[int, str, str]:
    return -abs(_level(pair[0]) - _level(pair[1])), pair[0].query_id, pair[0].doc_id


def _level(rating: Rating) -> int:
    # What was put in from a longer scale counts as the nearest of ours.
    return min(max(rating.grade, 0), TOP_GRADE)


def _apart(x: Rating, y: Rating) -> Disagreement:
    return Disagreement(
        query_id=x.query_id, query=x.query, doc_id=x.doc_id, a=x.grade, b=y.grade, note_a=x.note, note_b=y.note
    )
