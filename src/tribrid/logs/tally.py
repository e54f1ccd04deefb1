"""What became of an import of logs: counts, reasons for what was not taken, the refusal of one that gives nothing."""

from __future__ import annotations

import time
from bisect import insort
from collections.abc import Collection, Iterable

from tribrid.answers.logs import LogImport, NotTaken, ReasonExample, SkippedLine
from tribrid.corpus.jsonlines import Skipped
from tribrid.errors import InvalidInput
from tribrid.logs.causes import MAX_REASONS, Evidence, likely_cause
from tribrid.logs.records import UNKNOWN_DOCUMENT, Kind
from tribrid.store.logimport import ListsImport

SKIPPED_NAMED = 20
REASONS_NAMED = 10
DOCUMENTS_NAMED = 5
_OTHER_REASONS = "other reasons"


class Tally:
    """Counts of one import. Memory does not grow with the log."""

    def __init__(self) -> None:
        self.impressions = 0
        self.feedback = 0
        self.known_feedback = 0
        self.unjoined = 0
        self.unknown_document = 0
        self.skipped_total = 0
        self._skipped: list[SkippedLine] = []
        # (kind, reason) → how often, and the first example of it.
        self._reasons: dict[tuple[Kind, str], tuple[int, Skipped]] = {}
        self._unknown: dict[str, None] = {}
        self._started = time.monotonic()

    def skip(self, skipped: Iterable[Skipped]) -> None:
        """Count what was not taken."""
        for item in skipped:
            self.skipped_total += item.times
            self.unjoined += item.times * (item.kind == "unjoined")
            self._name(item)
            key = (item.kind, item.reason)
            if key not in self._reasons and len(self._reasons) >= MAX_REASONS:
                key = (item.kind, _OTHER_REASONS)
            count, example = self._reasons.get(key, (0, item))
            # Records come in the order of their queries, not in that of their lines.
            first = item if item.source == example.source and item.line < example.line else example
            self._reasons[key] = (count + item.times, first)

    def _name(self, item: Skipped) -> None:
        """Keep those that stand first."""
        if len(self._skipped) < SKIPPED_NAMED or item.line < self._skipped[-1].line:
            insort(self._skipped, SkippedLine(line=item.line, reason=item.reason), key=lambda skipped: skipped.line)
            del self._skipped[SKIPPED_NAMED:]

    def store(self, done: ListsImport) -> None:
        """Count what was stored."""
        self.impressions += done.impressions
        self.feedback += done.feedback.added
        self.known_feedback += done.feedback.known

    def unknown(self, doc_ids: Iterable[str], known: Collection[str]) -> None:
        """Count events on documents that the corpus does not hold."""
        for doc_id in doc_ids:
            if doc_id not in known:
                self.unknown_document += 1
                if len(self._unknown) < DOCUMENTS_NAMED:
                    self._unknown[doc_id] = None

    def refusal(self, evidence: Evidence, corpus_doc_id: str | None) -> InvalidInput:
        """The error of an import of which nothing joins, with the likely cause."""
        unjoined = {reason: count for (kind, reason), (count, _) in self._reasons.items() if kind == "unjoined"}
        if self.unknown_document:
            unjoined[UNKNOWN_DOCUMENT] = self.unknown_document
        events = evidence.events + evidence.rejected_events
        subject = f"None of {events:,} events joins anything" if events else "Nothing in this log can be imported"
        return InvalidInput(
            f"{subject}; nothing was stored. {likely_cause(evidence, unjoined, corpus_doc_id)}",
            events=events,
            queries=evidence.queries,
            unjoined=self.unjoined,
            unknown_document=self.unknown_document,
            skipped_total=self.skipped_total,
            reasons=[reason.model_dump(mode="json") for reason in self._top_reasons()],
        )

    def answer(self, corpus_id: str, records: int) -> LogImport:
        """What the import says in the end."""
        matched = self.feedback + self.known_feedback
        took_s = time.monotonic() - self._started
        return LogImport(
            corpus_id=corpus_id,
            records=records,
            impressions=self.impressions,
            feedback=self.feedback,
            known_feedback=self.known_feedback,
            unjoined=self.unjoined,
            join_rate=matched / (matched + self.unjoined) if matched else None,
            unknown_document=self.unknown_document,
            unknown_documents=tuple(self._unknown),
            reasons=self._top_reasons(),
            skipped=tuple(self._skipped),
            skipped_total=self.skipped_total,
            took_s=round(took_s, 3),
            rate_per_s=round(records / took_s, 1) if took_s else 0.0,
        )

    def _top_reasons(self) -> tuple[NotTaken, ...]:
        most = sorted(self._reasons.items(), key=lambda item: item[1][0], reverse=True)[:REASONS_NAMED]
        return tuple(
            NotTaken(
                reason=reason,
                kind=kind,
                count=count,
                example=ReasonExample(line=first.line, doc_id=first.doc_id, source=first.source),
            )
            for (kind, reason), (count, first) in most
        )
