"""watch: what became worse since the last scheduled evaluation, and who is told of it.

What is found is kept before anybody is told, so that a process that is killed tells it when it is started again. That
nobody can be told is kept too, and told again with the next evaluation; the evaluation itself stands in any case.
"""

from __future__ import annotations

import logging

from tribrid.answers.alerts import Alert, AlertData, Watched
from tribrid.answers.answer import time_at
from tribrid.answers.report import EvaluationReport
from tribrid.cloud.webhook import Message, deliver
from tribrid.evaluation.alerts import served, watched
from tribrid.store.database import now_us
from tribrid.types import Emit
from tribrid.workspace.corpus import OpenCorpus

_UNSENT = "It was not sent yet."
_log = logging.getLogger(__name__)


def watch(corpus: OpenCorpus, evaluation_id: str, report: EvaluationReport, emit: Emit) -> Watched:
    """Compare a scheduled evaluation with the one before, and alert evaluation.alert_url of what is new.

    Returns:
        What was kept of it.
    """
    url = corpus.config.evaluation.alert_url
    found, unsent = _kept(corpus, evaluation_id, report)
    for finding in found.findings:
        emit("log", {"level": "warning", "message": finding.detail})
    if url is None or not unsent:
        return found
    why = deliver(corpus.folder.environment, url, _message(corpus.corpus_id, evaluation_id, report, found))
    if why is not None:
        _log.warning("%s: the alert of evaluation %s was not delivered: %s", corpus.corpus_id, evaluation_id, why)
        emit("log", {"level": "warning", "message": f"The alert was not delivered: {why}"})
    corpus.store.schedules.note(corpus.corpus_id, found, why)
    return found


def _kept(corpus: OpenCorpus, evaluation_id: str, report: EvaluationReport) -> tuple[Watched, bool]:
    """What is kept of the evaluation, and whether somebody is to be told of it."""
    before, undelivered = corpus.store.schedules.watched(corpus.corpus_id)
    if before is not None and before.evaluation_id == evaluation_id:  # killed after it was kept
        return before, undelivered is not None
    found = watched(before, evaluation_id, report, corpus.config.gate.max_judged_drop)
    new = any(finding.since == evaluation_id for finding in found.findings)
    unsent = new or (undelivered is not None and bool(found.findings))
    told = corpus.config.evaluation.alert_url is not None
    corpus.store.schedules.note(corpus.corpus_id, found, _UNSENT if unsent and told else None)
    return found, unsent


def _message(corpus_id: str, evaluation_id: str, report: EvaluationReport, found: Watched) -> Message:
    at_us = now_us()
    said = " ".join(finding.detail for finding in found.findings)
    alert = Alert(
        timestamp=time_at(at_us),
        text=f"Tribrid, corpus {corpus_id}: {said}",
        data=AlertData(
            corpus_id=corpus_id,
            evaluation_id=evaluation_id,
            model_id=report.model_id,
            system=served(report),
            findings=found.findings,
            report_url=f"/reranker/evaluations/{evaluation_id}",
        ),
    )
    return Message(f"alert_{evaluation_id}", at_us // 1_000_000, alert.model_dump(mode="json"))
