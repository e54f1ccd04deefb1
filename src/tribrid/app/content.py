"""Verbs about what is searched and what is known of it: corpora, documents, judgments, eval datasets, settings."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tribrid.app.views import iso
from tribrid.cloud.allowed import check_outbound
from tribrid.config import Config, check_overrides
from tribrid.corpus.files import read_folder
from tribrid.corpus.jsonlines import Skipped
from tribrid.corpus.records import parse_records
from tribrid.errors import CorpusNotFound, InvalidInput, MissingExtra
from tribrid.evaluation.measures import primary_name, report_key, reported
from tribrid.loop import index
from tribrid.mining.splits import QueryMatcher
from tribrid.retrieval.publication import writer_lock
from tribrid.types import Document, Emit, JobKind, JudgedQuery
from tribrid.workspace import Workspace

UPSERT_BATCH = 500
NAMED = 20
"""Rows named one by one in an answer; the rest is counted."""
SKIPPED_NAMED = 100
ALL = 1_000_000
_RECORD_FILES = (".jsonl", ".ndjson", ".json")


def quiet(_type: Any, _data: Mapping[str, Any]) -> None:
    """An `emit` for who does not watch."""


@dataclass(slots=True)
class _Came:
    """What came in an upload: the ids of its documents, those that came again, and what was skipped."""

    seen: set[str] = field(default_factory=set)
    repeated: dict[str, None] = field(default_factory=dict)
    skipped: list[dict[str, Any]] = field(default_factory=list)
    skipped_total: int = 0

    def documents(self, batch: Iterable[Document | Skipped]) -> list[Document]:
        """Those of a batch, of each id the last."""
        found: dict[str, Document] = {}
        for item in batch:
            if isinstance(item, Document):
                if item.doc_id in self.seen:
                    self.repeated[item.doc_id] = None
                self.seen.add(item.doc_id)
                found[item.doc_id] = item
                continue
            self.skipped_total += 1
            if len(self.skipped) < SKIPPED_NAMED:
                self.skipped.append({"line": item.line, "reason": item.reason, "doc_id": item.doc_id})
        return list(found.values())


class Content:
    """See the module."""

    workspace: Workspace

    def create_corpus(self, corpus_id: str, name: str = "") -> dict[str, Any]:
        """Make an empty corpus. Ids are [A-Za-z0-9][A-Za-z0-9._-]{0,63}.

        Raises:
            CorpusExists, InvalidInput.
        """
        self.workspace.store.corpora.create(corpus_id, name)
        return self.corpus(corpus_id)

    def corpora(self) -> list[dict[str, Any]]:
        """Every corpus."""
        return [self.corpus(row.corpus_id) for row in self.workspace.store.corpora.list()]

    def corpus(self, corpus_id: str) -> dict[str, Any]:
        """A corpus and how much it holds.

        Raises:
            CorpusNotFound.
        """
        row = self.workspace.store.corpora.get(corpus_id)
        return {
            "corpus_id": row.corpus_id,
            "name": row.name,
            "version": row.version,
            "created_at": iso(row.created_us),
            "documents": self.workspace.store.documents.count(corpus_id),
            "passages": self.workspace.index(corpus_id).count(),
            "judgments": self.workspace.store.judgments.counts(corpus_id),
            "champion": self.workspace.store.models.alias(corpus_id, "champion"),
        }

    def delete_corpus(self, corpus_id: str) -> None:
        """Delete a corpus with everything that belongs to it.

        Raises:
            CorpusNotFound.
        """
        store = self.workspace.store
        artifacts = [model.artifact for model in store.models.list(corpus_id)]
        runs = [job.job_id for job in store.jobs.list(corpus_id, JobKind.TRAIN, limit=ALL)]
        store.corpora.delete(corpus_id)
        self.workspace.forget_corpus(corpus_id, artifacts, runs)

    def index(
        self,
        corpus_id: str,
        records: Iterable[Document | Skipped],
        *,
        emit: Emit = quiet,
        mirror: bool = False,
    ) -> dict[str, Any]:
        """Upsert what comes and bring the index in line; unchanged documents are not embedded again. Of two records
        with one doc_id the later holds, and the answer's `duplicates` names it.

        Args:
            mirror: also delete the documents that did not come.

        Raises:
            CorpusNotFound, ModelUnavailable.
        """
        store = self.workspace.store
        store.corpora.get(corpus_id)
        came, read = _Came(), 0
        incoming = iter(records)
        while batch := list(itertools.islice(incoming, UPSERT_BATCH)):
            store.documents.upsert(corpus_id, came.documents(batch))
            read += len(batch)
            emit("progress", {"stage": "reading", "done": read, "total": None})
        if mirror:
            store.documents.delete(corpus_id, store.documents.hashes(corpus_id).keys() - came.seen)
        report = index.index(self.workspace, corpus_id, emit)
        self._still_there(corpus_id)
        return {
            "corpus_id": corpus_id,
            "documents": report.documents,
            "passages": report.passages,
            "embedded": report.embedded,
            "unchanged": report.unchanged,
            "deleted": report.deleted,
            "skipped": came.skipped,
            "skipped_total": came.skipped_total,
            **counted("duplicates", list(came.repeated)),
            "took_s": round(report.took_s, 3),
            "rate_per_s": round(report.rate_per_s, 2),
        }

    def _still_there(self, corpus_id: str) -> None:
        """Refuse to call an upload done whose corpus was deleted under it.

        Raises:
            CorpusNotFound.
        """
        try:
            self.workspace.store.corpora.get(corpus_id)
        except CorpusNotFound:
            self.workspace.forget_corpus(corpus_id, [], [])  # the index was made after the deletion looked for it
            raise

    def index_path(self, corpus_id: str, path: str | Path, *, emit: Emit = quiet) -> dict[str, Any]:
        """Index a folder (mirrored), a file, or a file of records (.jsonl, .ndjson, .json; BEIR's as it is).

        Raises:
            InvalidInput: there is nothing at the path. And as `index`.
        """
        source = Path(path).expanduser()
        limit = self.workspace.config(corpus_id).indexing.max_document_chars
        if source.is_file() and source.suffix in _RECORD_FILES:
            with source.open("rb") as stream:
                return self.index(corpus_id, parse_records(stream, max_document_chars=limit), emit=emit)
        found = read_folder(source, max_document_chars=limit)
        if not source.is_dir():
            return self.index(corpus_id, found, emit=emit)
        with self.bringing_in(corpus_id):
            return self.index(corpus_id, found, emit=emit, mirror=True)

    @contextmanager
    def bringing_in(self, corpus_id: str) -> Iterator[None]:
        """Hold the corpus while a folder is brought in and what is gone from it is deleted; waits while another thread
        or process does so. Of two at once, each would delete what the other has just put in.
        """
        with writer_lock(self.workspace.data_dir / "locks" / corpus_id):
            yield

    def document(self, corpus_id: str, doc_id: str) -> dict[str, Any]:
        """One document as it was given.

        Raises:
            CorpusNotFound, DocumentNotFound.
        """
        self.workspace.store.corpora.get(corpus_id)
        found = self.workspace.store.documents.get(corpus_id, doc_id)
        return {
            "doc_id": found.doc_id,
            "title": found.title,
            "text": found.text,
            "uri": found.uri,
            "metadata": dict(found.metadata),
        }

    def delete_documents(self, corpus_id: str, doc_ids: Sequence[str]) -> dict[str, Any]:
        """Delete documents; ids that are not there are not counted.

        Raises:
            CorpusNotFound.
        """
        self.workspace.store.corpora.get(corpus_id)
        deleted = self.workspace.store.documents.delete(corpus_id, doc_ids)
        if deleted:
            index.index(self.workspace, corpus_id, quiet)
        return {"corpus_id": corpus_id, "deleted": deleted}

    def put_judgments(self, corpus_id: str, queries: Sequence[JudgedQuery], replace: bool = False) -> dict[str, Any]:
        """Keep relevance judgments to train from. Queries that the eval dataset asks are kept out of training by
        mining, and named here.

        Raises:
            CorpusNotFound, InvalidInput.
        """
        check_queries(queries)
        store = self.workspace.store
        unknown = unknown_documents(self.workspace, corpus_id, queries)
        store.judgments.put(corpus_id, queries, replace)
        asked = (
            [q.text for q in store.evalsets.current(corpus_id).queries] if store.evalsets.versions(corpus_id) else []
        )
        matcher = QueryMatcher(asked)
        overlap = [q.query_id for q in queries if matcher.matches(q.text)] if asked else []
        return {
            "corpus_id": corpus_id,
            **store.judgments.counts(corpus_id),
            **counted("unknown_documents", unknown),
            **counted("in_eval_dataset", overlap),
        }

    def judgments(self, corpus_id: str) -> dict[str, Any]:
        """The judgments to train from.

        Raises:
            CorpusNotFound.
        """
        self.workspace.store.corpora.get(corpus_id)
        return {"corpus_id": corpus_id, "queries": queries_view(self.workspace.store.judgments.list(corpus_id))}

    def config(self, corpus_id: str | None = None) -> dict[str, Any]:
        """Every setting: its value, where it came from, its default and what it means.

        Raises:
            CorpusNotFound.
        """
        if corpus_id is not None:
            self.workspace.store.corpora.get(corpus_id)
        config, origins = self.workspace.settings(corpus_id)
        values, defaults = config.model_dump(mode="json"), Config().model_dump(mode="json")
        settings = {
            section: {
                name: {
                    "value": _shown(section, name, value),
                    "origin": origins[section][name],
                    "default": defaults[section][name],
                    "description": type(getattr(config, section)).model_fields[name].description,
                }
                for name, value in fields.items()
            }
            for section, fields in values.items()
        }
        return {"corpus_id": corpus_id, "settings": settings}

    def patch_config(
        self, overrides: Mapping[str, Mapping[str, Any] | None], corpus_id: str | None = None
    ) -> dict[str, Any]:
        """Set overrides, sparse; null takes one (or a whole section's) back.

        Raises:
            CorpusNotFound, UnknownSetting, InvalidInput.
        """
        if corpus_id is not None:
            self.workspace.store.corpora.get(corpus_id)
        for section, fields in overrides.items():
            if fields is not None and not isinstance(fields, Mapping):
                raise InvalidInput(f"{section}: must be an object of settings, or null.", setting=section)
        setting = {s: {n: v for n, v in f.items() if v is not None} for s, f in overrides.items() if f is not None}
        checked = check_overrides(setting)
        check_measures(checked)
        check_outbound(self.workspace.environment, checked)
        defaults = Config().model_dump(mode="json")
        removed = {s: None if f is None else {n: None for n, v in f.items() if v is None} for s, f in overrides.items()}
        for section, fields in removed.items():
            unknown = {section} - defaults.keys() or (fields or {}).keys() - defaults.get(section, {}).keys()
            if unknown:
                check_overrides({section: dict.fromkeys(fields or (), 0)})
        patch = {s: None if f is None else {**f, **checked.get(s, {})} for s, f in removed.items()}
        self.workspace.store.settings.patch(corpus_id or "", patch)
        return self.config(corpus_id)


_MEASURES = {("evaluation", "measures"), ("evaluation", "primary_measure"), ("gate", "guard_measures")}
"""Settings that name measures."""


def _shown(section: str, name: str, value: Any) -> Any:
    """A setting as it is told: a measure has one name, however it was spelt when it was set."""
    if (section, name) not in _MEASURES or value is None:
        return value
    with suppress(InvalidInput, MissingExtra):  # as it was set
        return report_key(value) if isinstance(value, str) else [report_key(measure) for measure in value]
    return value


def check_measures(overrides: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse a setting that names a measure which there is not.

    Raises:
        InvalidInput: names the setting and the measure.
    """
    named, gate = overrides.get("evaluation", {}), overrides.get("gate", {})
    setting = "evaluation.measures"
    try:
        reported(*named.get("measures", ()))
        setting = "evaluation.primary_measure"
        if named.get("primary_measure"):
            primary_name(named["primary_measure"])
        setting = "gate.guard_measures"
        reported(*gate.get("guard_measures", ()))
    except InvalidInput as error:
        raise InvalidInput(f"{setting}: {error.detail}", **error.facts) from None


def unknown_documents(ws: Workspace, corpus_id: str, queries: Sequence[JudgedQuery]) -> list[str]:
    """The judged documents that the corpus lacks, by doc_id."""
    wanted = {doc_id for query in queries for doc_id in query.judgments}
    return sorted(wanted - ws.store.documents.exists(corpus_id, wanted))


def counted(name: str, ids: Sequence[str]) -> dict[str, Any]:
    """The first few ids, and how many there are."""
    return {name: list(ids[:NAMED]), f"{name}_total": len(ids)}


def queries_view(queries: Iterable[JudgedQuery]) -> list[dict[str, Any]]:
    """Judged queries as they can be put back."""
    return [{"query_id": q.query_id, "text": q.text, "judgments": dict(q.judgments)} for q in queries]


def check_queries(queries: Sequence[JudgedQuery]) -> None:
    """Refuse a set of judged queries that is empty or holds a text that nobody can take.

    Raises:
        InvalidInput.
    """
    if not queries:
        raise InvalidInput("There is no query in the request.")
    for query in queries:
        check_text(f"query {query.query_id!r}", query.text)


def check_text(name: str, text: str) -> None:
    """Refuse what neither a database nor a tokenizer takes.

    Raises:
        InvalidInput: the text holds a NUL or half of a surrogate pair.
    """
    if "\0" in text:
        raise InvalidInput(f"{name}: holds a NUL character.")
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        raise InvalidInput(f"{name}: holds half of a surrogate pair, which is no character.")
