"""What a user did with a result, checked and joined to what was shown."""

from __future__ import annotations

from tribrid.answers.search import FeedbackAnswer
from tribrid.app.bounds import EVERYWHERE, Bounds
from tribrid.app.rerank import UNLOGGED
from tribrid.errors import InvalidInput, NotShown, QueryNotFound, Unavailable
from tribrid.loop.search import log
from tribrid.store import Store
from tribrid.store.logs import no_search
from tribrid.types import Signal
from tribrid.types.texts import came_as
from tribrid.workspace.data_folder import DataFolder


def feedback(
    folder: DataFolder,
    query_id: str,
    signal: str,
    doc_id: str | None,
    value: float | None,
    index: int | None,
    bounds: Bounds = EVERYWHERE,
) -> FeedbackAnswer:
    """Log a signal. Arguments: see `Tribrid.feedback`; `bounds`: within which the search was made.

    Raises:
        QueryNotFound, NotShown, InvalidInput.
        Unavailable: nothing is logged now, so the search was not either.
    """
    if signal not in set(Signal):
        raise InvalidInput(f"signal: {signal!r} is not one of {[s.value for s in Signal]}.", signal=signal)
    _check_value(Signal(signal), value)
    if query_id.startswith(UNLOGGED) and (why := folder.unlogged.why) is not None:
        raise Unavailable(f"The search was answered and not logged, so it takes no feedback. {why}", query_id=query_id)
    if query_id.startswith(UNLOGGED):
        raise QueryNotFound(
            f"The answer {query_id!r} was not logged. A rerank is logged if it names a corpus (as its model, or as "
            "corpus_id, or by reranking.rerank_corpus); GET /ready says if the log takes nothing.",
            query_id=query_id,
        )
    if bounds != EVERYWHERE:
        _check_bounds(folder.store, query_id, bounds)
    if index is not None:
        doc_id = _given(folder.store, query_id, index, doc_id)
    elif doc_id is not None:
        doc_id = _shown(folder.store, query_id, doc_id)
    done = log(folder.store, query_id, Signal(signal), doc_id, value)
    return FeedbackAnswer(query_id=done.query_id, doc_id=done.doc_id, signal=done.signal)


def _check_bounds(store: Store, query_id: str, bounds: Bounds) -> None:
    impression = store.logs.impression(query_id)
    if not bounds.hold(impression.corpus_id) or not bounds.searched(impression.filter):
        raise no_search(query_id)


def _given(store: Store, query_id: str, index: int, doc_id: str | None) -> str:
    """The document at this place of a rerank's request."""
    given = store.logs.impression(query_id).given
    if given is None or not 0 <= index < len(given):
        count = "it was no rerank" if given is None else f"{len(given)} documents were given"
        raise NotShown(f"index: there is no document {index} in {query_id!r}: {count}.", query_id=query_id)
    if doc_id is not None and not came_as(given[index], doc_id):
        raise InvalidInput(f"index {index} is document {given[index]!r}, not {doc_id!r}. Send one of the two.")
    return given[index]


def _shown(store: Store, query_id: str, doc_id: str) -> str:
    """The document that was shown under the id. Of a rerank's texts that came under one, the one that stood highest:
    who shows a document once shows it there.
    """
    impression = store.logs.impression(query_id)
    if impression.given is None:
        return doc_id
    return next((shown.doc_id for shown in impression.shown if came_as(shown.doc_id, doc_id)), doc_id)


def _check_value(signal: Signal, value: float | None) -> None:
    if signal is Signal.RATING and (value is None or not 1 <= value <= 5):
        raise InvalidInput("value: a rating is 1 to 5.", signal=signal)
    if signal is Signal.DWELL and (value is None or not 0 <= value < 1e7):
        raise InvalidInput("value: a dwell is its seconds, 0 or more.", signal=signal)
    if value is not None and not abs(value) < 1e9:
        raise InvalidInput("value: must be a number.", signal=signal)
