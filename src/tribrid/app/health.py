"""What keeps this data folder from doing all it should, found out by looking: quick enough to be asked every second.

It tells what a search would fail on, and what is stored and cannot be found. `doctor` does more, and takes longer.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tribrid.answers.health import Trouble
from tribrid.app.bounds import Bounds
from tribrid.app.parts import quiet
from tribrid.errors import StaleIndex, TribridError
from tribrid.loop import index
from tribrid.store.settings import GLOBAL_SCOPE
from tribrid.workspace.corpus import open_corpus
from tribrid.workspace.data_folder import DataFolder

PROBE_BYTES = 1 << 20
_log = logging.getLogger(__name__)


class Condition(NamedTuple):
    """What is wrong, and of each corpus whether it can be searched."""

    troubles: Sequence[Trouble]
    searchable: Mapping[str, bool]

    @property
    def serves(self) -> bool:
        """Whether any search is answered."""
        if any(trouble.what == "store" for trouble in self.troubles):
            return False
        return not self.searchable or any(self.searchable.values())

    def within(self, bounds: Bounds) -> Condition:
        """The same as who may name only these corpora sees it."""
        troubles = [trouble for trouble in self.troubles if bounds.hold(*filter(None, [trouble.corpus_id]))]
        searchable = {corpus_id: found for corpus_id, found in self.searchable.items() if bounds.hold(corpus_id)}
        return Condition(troubles, searchable)


def condition(folder: DataFolder) -> Condition:
    """How it stands now."""
    try:
        corpora = [row.corpus_id for row in folder.store.corpora.list()]
    except TribridError as error:
        return Condition([Trouble(what="store", corpus_id=None, detail=error.detail)], {})
    troubles, searchable = [*_disk(folder), *_storage(folder), *_log_writing(folder)], {}
    for corpus_id in corpora:
        broken_off = bool(folder.uploads.unfinished(corpus_id))
        fault, searchable[corpus_id] = _index(folder, corpus_id, broken_off)
        troubles += [fault] if fault else []
        if broken_off:
            when = "once the index is made anew" if fault else "by itself"
            detail = f"An upload or erasure broke off before the index followed. The server ends it {when}."
            troubles.append(Trouble(what="documents", corpus_id=corpus_id, detail=detail))
    return Condition([*troubles, *_evaluations(folder)], searchable)


def _evaluations(folder: DataFolder) -> list[Trouble]:
    """What scheduled evaluations found, and those that failed."""
    found, everywhere = [], folder.store.settings.get(GLOBAL_SCOPE)
    for row in folder.store.schedules.list():
        config = folder.resolved(everywhere, folder.store.settings.get(row.corpus_id))
        if config.evaluation.schedule is None:
            continue  # what it found once is nobody's trouble any more
        said = [finding.detail for finding in row.watched.findings] if row.watched else []
        if row.undelivered is not None:
            said.append(f"The alert was not delivered: {row.undelivered}")
        if row.failed is not None:
            said.append(
                f"The last scheduled evaluation, {row.job_id}, failed: {row.failed.get('detail', 'see its job.')}"
            )
        found += [Trouble(what="evaluation", corpus_id=row.corpus_id, detail=" ".join(said))] if said else []
    return found


def finish_uploads(folder: DataFolder) -> None:
    """Index what is stored and in no index, because its upload broke off, and purge the index of what was erased, if
    that broke off. What fails is tried again the next time.
    """
    for row in folder.store.corpora.list():
        broken_off = folder.uploads.unfinished(row.corpus_id)
        if not broken_off:
            continue
        try:
            purge = any(mark.is_erasure for mark in broken_off)
            report = index.index(open_corpus(folder, row.corpus_id), quiet, purge=purge)
        except StaleIndex:  # it waits for its rebuilding, which GET /ready asks for
            continue
        except TribridError as error:
            _log.warning("%s: an upload or erasure broke off, and cannot be ended: %s", row.corpus_id, error.code)
            continue
        _log.info("%s: an upload or erasure had broken off; %d documents are indexed.", row.corpus_id, report.embedded)
        folder.uploads.forget(broken_off)


def _disk(folder: DataFolder) -> list[Trouble]:
    try:
        with tempfile.TemporaryFile(dir=folder.data_dir) as probe:
            probe.write(b"\0" * PROBE_BYTES)
            probe.flush()
    except OSError as error:
        detail = f"The data folder takes no data: {error.strerror}. Searches are answered and may not be logged."
        return [Trouble(what="disk", corpus_id=None, detail=detail)]
    return []


def _storage(folder: DataFolder) -> list[Trouble]:
    try:
        if folder.objects is not None:
            folder.objects.check()
    except TribridError as error:
        detail = f"{error.detail} Searches are answered from the copies here; what is published elsewhere is not seen."
        return [Trouble(what="storage", corpus_id=None, detail=detail)]
    return []


def _log_writing(folder: DataFolder) -> list[Trouble]:
    detail = folder.unlogged.why
    if detail is None:
        try:
            folder.store.database.check_writable()
        except TribridError as error:
            detail = error.detail
    if detail is None:
        return []
    return [Trouble(what="log", corpus_id=None, detail=f"Searches are answered and not logged. {detail}")]


def _index(folder: DataFolder, corpus_id: str, broken_off: bool) -> tuple[Trouble | None, bool]:
    """What somebody has to do about the index, and whether it can be searched."""
    try:
        corpus = open_corpus(folder, corpus_id)
        if broken_off and corpus.index.fingerprint is None:
            return None, False  # its first upload broke off: what is there of an index, the server goes on with
        corpus.index.check()
        if corpus.index.fingerprint is not None or corpus.waits_for_index is None:
            _ = corpus.retriever
    except TribridError as error:
        return Trouble(what="index", corpus_id=corpus_id, detail=error.detail), False
    return None, True
