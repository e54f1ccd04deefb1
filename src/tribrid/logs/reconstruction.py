"""Click-only logs: the lists that were shown are reconstructed from the deployed retrieval, and marked so.

Each distinct query is retrieved once, however often it was asked. A reconstructed list says what this corpus's
retrieval shows today, not what the user saw: a click in it is evidence, what was not clicked is none.
"""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Iterable, Iterator

from tribrid.answers.logs import LogImport
from tribrid.corpus.jsonlines import Skipped
from tribrid.errors import NoDocuments
from tribrid.evaluation.notes import RETRIEVAL
from tribrid.logs.clicks import Click, ClickLog
from tribrid.logs.records import UNKNOWN_DOCUMENT
from tribrid.logs.tally import Tally
from tribrid.store.logimport import NewList
from tribrid.types import Candidate, Emit, Feedback, Signal
from tribrid.workspace.corpus import OpenCorpus

BATCH_CLICKS = 1000
SHOWN = 10
"""Documents of a reconstructed list, the clicked one not counted: what a search shows unless it is asked for more."""
_TOLD_EVERY_S = 0.5


def import_clicks(corpus: OpenCorpus, stream: Iterable[bytes], emit: Emit) -> LogImport:
    """Import a click log; importing the same again adds nothing, and retrieves nothing.

    Raises:
        NoDocuments: the corpus is empty.
        InvalidInput: it is no click log; or no click is on a document of the corpus.
        StaleIndex, ModelUnavailable: the corpus cannot be searched.
    """
    first = next(iter(corpus.store.documents.iterate(corpus.corpus_id, batch=1)), None)
    if first is None or not corpus.index.count():
        raise NoDocuments(
            "Impressions of a click log are reconstructed from what this corpus's retrieval shows: index its documents "
            "first.",
            corpus_id=corpus.corpus_id,
        )
    tally = Tally()
    with ClickLog(corpus.store.segments.cursor()) as log:
        tally.skip(log.read(stream, tell=lambda done: emit("progress", {"stage": "reading", "done": done})))
        if len(log) or tally.skipped_total:
            _refuse_if_none(corpus, log, first.doc_id, tally)
        lists = Reconstruction(corpus)
        progress = _Progress(emit, len(log))
        for batch in _batches(log):
            _store(corpus, batch, lists, tally)
            progress.tell(len(batch), lists.retrieved)
        answer = tally.answer(corpus.corpus_id, len(log))
        return answer.model_copy(update={"queries": lists.queries, "retrieved": lists.retrieved})


class Reconstruction:
    """What the deployed retrieval shows for a query, asked once for as long as clicks come query by query."""

    def __init__(self, corpus: OpenCorpus) -> None:
        self.queries = 0
        self.retrieved = 0
        self._retriever = corpus.retriever
        self._depth = max(SHOWN, corpus.config.reranking.tribrid_reranker_topn)
        self._key = ""
        self._seen = ""
        self._ranking: dict[str, Candidate] = {}

    def count(self, click: Click) -> None:
        """Note a click's query."""
        self.queries += click.key != self._seen
        self._seen = click.key

    def list_of(self, click: Click, query_id: str) -> NewList:
        """The impression that the click may have come from, with the click.

        Shown are the `SHOWN` best and the clicked document: at its own rank if it is among the candidates for the
        reranker, else at the rank after the last of them.
        """
        if click.key != self._key:
            self._ranking = {found.doc_id: found for found in self._retriever.retrieve(click.query, self._depth)}
            self._key = click.key
            self.retrieved += 1
        shown = [_place(found) for found in itertools.islice(self._ranking.values(), SHOWN)]
        if all(place[0] != click.doc_id for place in shown):
            found = self._ranking.get(click.doc_id)
            shown.append(_place(found) if found else (click.doc_id, len(self._ranking) + 1, 0.0, 0, 0))
        feedback = [Feedback(query_id, Signal.CLICK, click.doc_id, None, click.at_us)]
        return NewList(query_id, click.query, shown, click.at_us, RETRIEVAL, "reconstructed", click.client_id, feedback)


def _place(found: Candidate) -> tuple[str, int, float, int, int]:
    return (found.doc_id, found.rank, round(found.score, 6), found.passage.start, found.passage.end)


def _batches(log: ClickLog) -> Iterator[list[Click]]:
    clicks = (click for _, found in log.by_query() for click in found)
    while batch := list(itertools.islice(clicks, BATCH_CLICKS)):
        yield batch


def _refuse_if_none(corpus: OpenCorpus, log: ClickLog, doc_id: str, tally: Tally) -> None:
    """Look for one click on a document of the corpus.

    Raises:
        InvalidInput: there is none.
    """
    unknown = copy.deepcopy(tally)
    for batch in _batches(log):
        named = [click.doc_id for click in batch]
        known = corpus.store.documents.exists(corpus.corpus_id, set(named))
        if known:
            return
        unknown.unknown(named, known)
    raise unknown.refusal(log.evidence, doc_id)


def _store(corpus: OpenCorpus, batch: list[Click], lists: Reconstruction, tally: Tally) -> None:
    there = corpus.store.documents.exists(corpus.corpus_id, {click.doc_id for click in batch})
    tally.unknown((click.doc_id for click in batch), there)
    tally.skip(
        Skipped(click.line, UNKNOWN_DOCUMENT, doc_id=click.doc_id, kind="unjoined")
        for click in batch
        if click.doc_id not in there
    )
    clicks = [(click, click.query_id(corpus.corpus_id)) for click in batch if click.doc_id in there]
    known = corpus.store.logs.known(corpus.corpus_id, {query_id for _, query_id in clicks})
    new: list[NewList] = []
    for click, query_id in clicks:
        lists.count(click)
        if query_id in known:
            tally.known_feedback += 1
            continue
        known.add(query_id)
        new.append(lists.list_of(click, query_id))
    tally.store(corpus.store.logs.add_lists(corpus.corpus_id, new))


class _Progress:
    """Tells how far the import is, not too often."""

    def __init__(self, emit: Emit, total: int) -> None:
        self._emit = emit
        self._total = total
        self._done = 0
        self._next = 0.0

    def tell(self, more: int, retrieved: int) -> None:
        self._done += more
        if self._done == self._total or time.monotonic() >= self._next:
            self._next = time.monotonic() + _TOLD_EVERY_S
            data = {"stage": "reconstructing", "done": self._done, "total": self._total, "retrieved": retrieved}
            self._emit("progress", data)
