"""Why nothing of a log joined: the likely cause, from what was seen while it was read.

An import that silently joins nothing is a reranker that silently learns nothing, so it is refused; a person who reads
"0 joined" needs to know which field to look at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from tribrid.logs.forms import LogForm, csv_header, form_of
from tribrid.logs.records import (
    NO_IMPRESSION,
    NO_QUERY,
    NOT_SHOWN,
    OTHER_QUERY,
    UNKNOWN_DOCUMENT,
    Acted,
    Rejected,
    Served,
)

MAX_REASONS = 1000
"""Different reasons that are counted apart: some quote the record."""
_SAMPLED = 100
_FORM_NAMES: Mapping[LogForm, str] = {
    "native": "Tribrid's own records",
    "ubi": "OpenSearch UBI records",
    "clicks": "a log of clicks alone",
}


@dataclass(slots=True)
class Evidence:
    """What was seen of a log. `reasons` counts why records were rejected; examples are the first of their kind."""

    form: LogForm
    queries: int = 0
    queries_with_hits: int = 0
    seen: int = 0
    events: int = 0
    rejected_events: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    forms: Counter[LogForm | None] = field(default_factory=Counter)
    sampled: int = 0
    query_id_of_query: str | None = None
    query_id_of_event: str | None = None
    doc_id_shown: str | None = None
    doc_id_of_event: str | None = None
    object_id_field: str | None = None

    def begins(self, start: bytes) -> None:
        """Note how a stream begins."""
        if csv_header(start) is not None:
            self.forms["clicks"] += _SAMPLED
            self.sampled = _SAMPLED

    def taken(self, record: Mapping[str, object], taken: Served | Acted) -> None:
        """Note a record that is taken."""
        self.sample(record)
        if isinstance(taken, Served):
            self.queries += 1
            self.query_id_of_query = self.query_id_of_query or taken.query_id
            if taken.shown:
                self.queries_with_hits += 1
                self.doc_id_shown = self.doc_id_shown or taken.shown[0][0]
            return
        self.query_id_of_event = self.query_id_of_event or taken.query_id
        if taken.signal is None:
            self.seen += 1
            return
        self.events += 1
        if self.doc_id_of_event is None and taken.doc_ids:
            self.doc_id_of_event = taken.doc_ids[0]
            self.object_id_field = _object_id_field(record)

    def counted(self, queries: int, events: int) -> None:
        """Note records that are taken at once: queries with hits, and events that are feedback."""
        self.queries += queries
        self.queries_with_hits += queries
        self.events += events

    def rejected(self, record: Mapping[str, object], rejected: Rejected, *, is_event: bool) -> None:
        """Note a record that is not."""
        self.sample(record)
        if rejected.kind == "ignored":
            return
        self.rejected_events += is_event
        self.refused(str(rejected))

    def refused(self, reason: str) -> None:
        """Note why a record is not taken."""
        if reason in self.reasons or len(self.reasons) < MAX_REASONS:
            self.reasons[reason] += 1

    def clicked(self, doc_id: str) -> None:
        """Note a click of a click log."""
        self.events += 1
        self.doc_id_of_event = self.doc_id_of_event or doc_id

    def sample(self, record: Mapping[str, object]) -> None:
        """Note which form a record speaks for, if it is one of the first."""
        if self.sampled < _SAMPLED:
            self.sampled += 1
            self.forms[form_of(record)] += 1

    @property
    def looks_like(self) -> LogForm | None:
        """The form that most of the first records speak for."""
        return self.forms.most_common(1)[0][0] if self.forms else None


def likely_cause(evidence: Evidence, unjoined: Mapping[str, int], corpus_doc_id: str | None) -> str:
    """Why nothing joined, and what to do, in a sentence or two.

    Args:
        unjoined: how often each reason for not joining was given.
        corpus_doc_id: one document of the corpus, to show what its ids are like.
    """
    looks, form = evidence.looks_like, evidence.form
    if looks is not None and looks != form:
        return f"This looks like {_FORM_NAMES[looks]}, not like {_FORM_NAMES[form]}: import it with format {looks}."
    if not unjoined or not (evidence.events or evidence.seen):
        return _rejection(evidence)
    reason = max(unjoined, key=lambda name: unjoined[name])
    if reason in (NO_IMPRESSION, NO_QUERY):
        return _no_impression(evidence)
    if reason in (NOT_SHOWN, UNKNOWN_DOCUMENT):
        return _other_ids(evidence, None if reason == NOT_SHOWN else corpus_doc_id)
    if reason == OTHER_QUERY:
        return "The events' user_query is not that of the query record with the same query_id: which of them is wrong?"
    return f"Most often: {reason}."


def _rejection(evidence: Evidence) -> str:
    if not evidence.reasons:
        return "None of it could be read: a log is one JSON object a line."
    reason, count = evidence.reasons.most_common(1)[0]
    told = f"No event could be taken, most often ({count:,} times) because {reason}."
    if "timestamp" in reason:
        told += " A time is ISO 8601, or seconds, milliseconds or microseconds since 1970."
    return told


def _no_impression(evidence: Evidence) -> str:
    fields = ("shown", "query") if evidence.form == "native" else ("query_response_hit_ids", "user_query")
    if evidence.queries == 0 and evidence.reasons:
        reason, count = evidence.reasons.most_common(1)[0]
        refused = sum(evidence.reasons.values())
        return (
            f"There are events, and no query record (with {fields[1]}) could be taken: {refused:,} records were "
            f"refused, {count:,} of them because {reason}."
        )
    if evidence.queries == 0:
        return (
            f"There are events and no query records (with {fields[1]}), and no search of this corpus had a query_id "
            f"like {evidence.query_id_of_event!r}. Import the query records with them, or before."
        )
    if evidence.queries_with_hits == 0 and evidence.seen == 0:
        return (
            f"The query records name no documents ({fields[0]} is empty), and there are no impression events: nothing "
            "says what was shown. Log that, or import query, document and time with format clicks."
        )
    return (
        f"Events have query_ids like {evidence.query_id_of_event!r}, query records like "
        f"{evidence.query_id_of_query!r}: none is the same. Is it one log, and is it all of it?"
    )


def _other_ids(evidence: Evidence, corpus_doc_id: str | None) -> str:
    there = f"this corpus has ids like {corpus_doc_id!r}"
    if corpus_doc_id is None:
        there = f"the lists of their queries show documents like {evidence.doc_id_shown!r}"
    told = f"Events name documents like {evidence.doc_id_of_event!r}; {there}. "
    if evidence.form != "ubi":
        return f"{told}Is doc_id the id that documents were indexed with?"
    named = f" (object_id_field says {evidence.object_id_field!r})" if evidence.object_id_field else ""
    return f"{told}Does event_attributes.object.object_id hold the right id{named}?"


def _object_id_field(record: Mapping[str, object]) -> str | None:
    attributes = record.get("event_attributes")
    target = attributes.get("object") if isinstance(attributes, dict) else None
    name = target.get("object_id_field") if isinstance(target, dict) else None
    return name[:100] if isinstance(name, str) else None
