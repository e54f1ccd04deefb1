"""What is kept and what goes; what the stored state looks like to who watches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tribrid.answers.logs import PrunedLogs
from tribrid.errors import InvalidInput
from tribrid.jobs.pruning import cutoffs, prune
from tribrid.types import Emit
from tribrid.workspace.data_folder import DataFolder

MOST_CORPORA = 200
"""Whose champions are shown: each is a label."""


def prune_logs(folder: DataFolder, corpus_id: str | None, days: int | None, emit: Emit) -> PrunedLogs:
    """Delete searches older than the setting, or than `days`, with their feedback; counts by corpus.

    Raises:
        CorpusNotFound. InvalidInput: days is not 1 or more.
    """
    if corpus_id is not None:
        folder.store.corpora.get(corpus_id)
    if days is not None and not 1 <= days <= 36_500:
        raise InvalidInput("days: 1 to 36500.", days=days)
    before = cutoffs(folder.store, folder.environment, days)
    wanted = {name: at for name, at in before.items() if corpus_id in (None, name)}
    gone = dict.fromkeys(wanted, 0)
    for name, count in prune(folder.store, wanted):
        gone[name] += count
        emit("progress", {"stage": "pruning", "corpus_id": name, "done": gone[name]})
    return PrunedLogs(deleted=sum(gone.values()), corpora=gone)


class Gauges(NamedTuple):
    """Jobs that wait or run, by (kind, state); the champion of each corpus that has one, the first 200 corpora."""

    jobs: Mapping[tuple[str, str], int]
    champions: Mapping[str, str]


def gauges(folder: DataFolder) -> Gauges:
    """What is stored now."""
    corpora = folder.store.corpora.list()[:MOST_CORPORA]
    champions = {row.corpus_id: folder.store.models.alias(row.corpus_id, "champion") for row in corpora}
    return Gauges(folder.store.jobs.waiting(), {name: model for name, model in champions.items() if model})
