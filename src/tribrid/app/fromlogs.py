"""An eval dataset from a span of the log: read, chosen and fixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tribrid.errors import Conflict, InvalidInput, NotEnoughEvidence
from tribrid.evaluation.measures import primary_name, recommend_primary
from tribrid.loop.eval_queries import dataset_in_force
from tribrid.loop.held_out import held_out
from tribrid.mining.clicks.odds import log_odds
from tribrid.mining.from_logs import FEWEST_QUERIES, choose
from tribrid.types import LoggedList
from tribrid.types.evidence import LogEvidence
from tribrid.workspace.corpus import OpenCorpus

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


def put_from_logs(corpus: OpenCorpus, last: timedelta, *, replace: bool) -> None:
    """Fix an eval dataset made from the last part of the log, counted back from its newest search.

    Args:
        replace: though people judged the dataset in force.

    Raises:
        InvalidInput: less than a second.
        NotEnoughEvidence: the span holds too little; says how much more is needed.
        Conflict: people judged the dataset in force, and it was not said to replace it.
    """
    if last < _SECOND:
        raise InvalidInput("last: at least a second of the log is wanted.", field="last")
    store, corpus_id = corpus.store, corpus.corpus_id
    _refuse_judged(corpus, replace=replace)
    newest_us = store.logs.newest_us(corpus_id)
    if newest_us is None:
        raise _nothing_logged(corpus_id)
    until_us = newest_us + 1
    since_us = max(0, until_us - last // timedelta(microseconds=1))
    held = held_out(store, corpus_id, since_us, until_us)
    lists = store.logs.iterate_with_feedback(corpus_id, since_us=since_us, until_us=until_us)
    mining = corpus.config.mining
    # Under a filter a document stood where it did for want of others, so its rank tells nothing of the whole.
    measured = [logged for logged in lists if held.measures(logged) and not logged.filtered]
    odds = log_odds(
        measured,
        examined_below_click=mining.examined_below_click,
        min_clients=mining.min_clients,
    )
    named = {doc_id for query in odds.queries for doc_id in query.good}
    chosen = choose(odds, store.documents.exists(corpus_id, named), _days(measured, until_us))
    evidence = LogEvidence(
        since_us=since_us,
        until_us=until_us,
        clients=odds.clients,
        searches=odds.lists - odds.bot_lists,
        examination=tuple(odds.model["examination"]),
        good=chosen.good,
        log_odds=chosen.log_odds,
    )
    asked = corpus.config.evaluation.primary_measure
    primary = primary_name(asked or recommend_primary(chosen.queries))
    store.evalsets.put(corpus_id, chosen.queries, primary, evidence)


def _nothing_logged(corpus_id: str) -> NotEnoughEvidence:
    return NotEnoughEvidence(
        f"Nothing was logged for corpus {corpus_id!r}: {FEWEST_QUERIES} queries that users found something for are "
        "needed.",
        queries=0,
        needed=FEWEST_QUERIES,
        missing=FEWEST_QUERIES,
        searches=0,
        days_needed=None,
    )


def _days(lists: Sequence[LoggedList], until_us: int) -> float:
    """How long the lists took; the log may be younger than the span that was asked for."""
    first_us = min((logged.created_us for logged in lists), default=until_us)
    return max(timedelta(microseconds=until_us - first_us), _SECOND) / _DAY


def given_evidence(bundle: Mapping[str, Any]) -> LogEvidence | None:
    """What the labels of an exported dataset from logs rest on; None where people judged it.

    Raises:
        InvalidInput: the bundle says that its labels are from logs and does not hold what they rest on, or that a model
            gave them.
    """
    given = bundle.get("evidence")
    if bundle.get("source") == "judge":
        raise InvalidInput(
            "source: a model gave these labels. They are learned from, and nothing is decided on them: an eval dataset "
            "holds what people judged, or a span of the log.",
            field="source",
        )
    if given is None and bundle.get("source") in (None, "judgments"):
        return None
    try:
        return TypeAdapter(LogEvidence).validate_python(given)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "evidence"
        raise InvalidInput(
            f"{where}: these labels are from logs, and what they rest on is missing or wrong. Put back what an "
            "export as json wrote.",
            field="evidence",
        ) from None


def _refuse_judged(corpus: OpenCorpus, *, replace: bool) -> None:
    dataset = dataset_in_force(corpus)
    if dataset is not None and dataset.evidence is None and not replace:
        raise Conflict(
            f"People judged the eval dataset in force (version {dataset.version}); one from logs would decide in its "
            "place. Say so with --replace (HTTP: replace). Every version is kept.",
            version=dataset.version,
            sha256=dataset.sha256,
        )
