"""What comes in an upload as it is read: what of it is taken, what is not, and what is gone since the one before."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tribrid.answers.documents import SkippedRecord
from tribrid.corpus.choosing import Choice
from tribrid.corpus.folders import WHOLE, Emptied, LeftOut, Unlisted, Wordless, count
from tribrid.corpus.jsonlines import Loss, Skipped
from tribrid.types import Document, Emit

SKIPPED_NAMED = 100
TOLD_EVERY_S = 0.25


@dataclass(slots=True)
class Came:
    """What came in an upload.

    Attributes:
        seen: ids of its documents.
        repeated: those that came again.
        replaced: those whose document came from elsewhere and said something else.
        unread: ids that came with nothing that could be read; their documents are not gone.
        unlisted: folders of which nothing is known.
        left_out: files and folders that are not wanted.
        named: how many are named at most of what is skipped, and of losses.
    """

    seen: set[str] = field(default_factory=set)
    repeated: dict[str, None] = field(default_factory=dict)
    replaced: dict[str, None] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    unlisted: list[Unlisted] = field(default_factory=list)
    skipped: list[SkippedRecord] = field(default_factory=list)
    skipped_total: int = 0
    losses: list[SkippedRecord] = field(default_factory=list)
    losses_total: int = 0
    left_out: list[SkippedRecord] = field(default_factory=list)
    named: int = SKIPPED_NAMED

    def documents(self, batch: Iterable[Document | Skipped]) -> list[Document]:
        """Those of a batch, of each id the last."""
        found: dict[str, Document] = {}
        for item in batch:
            if isinstance(item, Document):
                if item.doc_id in self.seen:
                    self.repeated[item.doc_id] = None
                self.seen.add(item.doc_id)
                found[item.doc_id] = item
            else:
                self._pass_over(item)
        return list(found.values())

    def _pass_over(self, item: Skipped) -> None:
        if isinstance(item, LeftOut):
            self.left_out.append(_record(item))
            return
        if isinstance(item, Loss):
            self._lose(item)
            return
        if isinstance(item, Unlisted):
            self.unlisted.append(item)
        elif item.doc_id is not None and not isinstance(item, Wordless):
            self.unread.add(item.doc_id)
        if not isinstance(item, Emptied):  # of interest only if there was something
            self.skip(item, item.reason)

    def skip(self, item: Skipped, reason: str) -> None:
        """Note what was not taken."""
        self.skipped_total += 1
        if len(self.skipped) < self.named:
            self.skipped.append(_record(item, reason))

    def _lose(self, item: Loss) -> None:
        self.losses_total += 1
        if len(self.losses) < self.named:
            self.losses.append(_record(item))

    def gone(self, uris: Mapping[str, str], delete_emptied: bool) -> list[str]:
        """Those of the documents that did not come, and that would have if they were still there."""
        missing = {doc_id: uri for doc_id, uri in uris.items() if doc_id not in self.seen | self.unread}
        for folder in self.unlisted:
            below = [doc_id for doc_id, uri in missing.items() if _is_below(folder, doc_id, uri)]
            if isinstance(folder, Emptied):
                if delete_emptied or not below:
                    continue
                self.skip(folder, f"{folder.reason}, and {len(below):,} documents came from it. {_KEPT}")
            for doc_id in below:
                del missing[doc_id]
        return list(missing)


def _record(item: Skipped, reason: str | None = None) -> SkippedRecord:
    return SkippedRecord(line=item.line, reason=item.reason if reason is None else reason, doc_id=item.doc_id)


_KEPT = (
    "They are kept: is its disk mounted? If they are gone for good, say so with --delete-emptied (in Python "
    "delete_emptied=True)."
)


def _is_below(folder: Unlisted, doc_id: str, uri: str) -> bool:
    name = folder.doc_id or WHOLE
    return uri.startswith(folder.source) and (name == WHOLE or doc_id.startswith(f"{name}/"))


class Reading:
    """Tells how many were read, of how many where files are read; not too often."""

    def __init__(self, emit: Emit, paths: Sequence[Path], choice: Choice) -> None:
        self._emit, self._done, self._last, self._next = emit, 0, "", 0.0
        self._total = sum(count(path, choice) for path in paths) if paths else None

    def told(self, records: Iterable[Document | Skipped]) -> Iterator[Document | Skipped]:
        """The records; what is said of one is not another."""
        for record in records:
            yield record
            if isinstance(record, LeftOut):
                continue
            if record.doc_id is None or record.doc_id != self._last:
                self._done += 1
            self._last = record.doc_id or ""
            if time.monotonic() >= self._next:
                self.tell()

    def tell(self) -> None:
        self._next = time.monotonic() + TOLD_EVERY_S
        total = self._total if self._total is None or self._done <= self._total else None  # records came too
        unit = "records" if total is None else "files"
        self._emit("progress", {"stage": "reading", "done": self._done, "total": total, "unit": unit})
