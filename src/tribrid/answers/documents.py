"""A document, and what became of an upload."""

from __future__ import annotations

from pydantic import Field, JsonValue

from tribrid.answers.answer import Answer


class DocumentAnswer(Answer):
    """A document as it was put in."""

    doc_id: str = Field(examples=["a"])
    title: str = Field(examples=["Leave"])
    text: str = Field(examples=["Everyone has 30 days."])
    uri: str = Field(examples=["file:a.md"])
    metadata: dict[str, JsonValue] = Field(examples=[{"v": 2}])


class DocumentRow(Answer):
    """A document in a list, without its text."""

    doc_id: str
    title: str
    uri: str
    chars: int = Field(description="Of its text.")


class DocumentPage(Answer):
    """A page of a corpus's documents, by doc_id."""

    corpus_id: str
    total: int
    offset: int
    documents: tuple[DocumentRow, ...]


class SkippedRecord(Answer):
    """A record that was not taken, or what of a file was not."""

    line: int = Field(description="From 1; in an array its place; 0: a file as a whole.", examples=[7])
    reason: str = Field(examples=["text is missing"])
    doc_id: str | None = Field(description="Null: it has none that can be read.", examples=["b"])


class IndexedDocuments(Answer):
    """What an upload changed, and what of it was not taken."""

    corpus_id: str
    documents: int = Field(description="In the corpus now.")
    passages: int = Field(description="In the index now.")
    embedded: int = Field(description="Passages that are new or changed.")
    unchanged: int = Field(description="Documents that were not embedded again.")
    deleted: int = Field(description="Documents that are gone.")
    skipped: tuple[SkippedRecord, ...] = Field(description="The first 100.")
    skipped_total: int
    losses: tuple[SkippedRecord, ...] = Field(
        description="What is missing from documents that were taken: a page that cannot be read, pages without "
        "text, bytes that were replaced, a field of records that nothing reads (once each). The first 100."
    )
    losses_total: int
    duplicates: tuple[str, ...] = Field(
        description="doc_ids that came more than once; the last record holds. The first 20."
    )
    duplicates_total: int
    replaced: tuple[str, ...] = Field(
        description="doc_ids whose document had another address and another text, as files of one name in two folders "
        "have. The first 20."
    )
    replaced_total: int
    left_out: int = Field(
        description="Files and folders that .gitignore, `exclude` or `include` leave out, and web pages that say the "
        "same as one before them. Documents that were made of them are gone."
    )
    took_s: float
    rate_per_s: float = Field(description="Passages embedded a second.")


class PulledDocuments(IndexedDocuments):
    """What a pull from another engine changed, and what of it was not taken."""

    newest: str | None = Field(
        description="The latest value of the field `changed`: `since` of the next pull. Null: none was named, or seen.",
        examples=["2026-03-01T12:00:00+00:00"],
    )


class ReadDocument(Answer):
    """A document that would be taken."""

    doc_id: str
    title: str
    characters: int = Field(description="Of its text.")


class IndexPreview(Answer):
    """What an indexing would take and leave. Nothing was stored."""

    corpus_id: str
    read: tuple[ReadDocument, ...]
    skipped: tuple[SkippedRecord, ...] = Field(description="What would not be taken, and why.")
    losses: tuple[SkippedRecord, ...] = Field(description="What would be missing from documents that are taken.")
    left_out: tuple[SkippedRecord, ...] = Field(description="What is not wanted, and what says so.")
    deleted: tuple[str, ...] = Field(description="Documents that would be gone.")


class DeletedDocuments(Answer):
    """How many documents went: those named, and the texts that came under their ids with a rerank."""

    corpus_id: str
    deleted: int
