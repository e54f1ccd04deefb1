"""What is in a backup, and what came of restoring it."""

from __future__ import annotations

from pydantic import Field

from tribrid.answers.answer import Answer, Time


class Entry(Answer):
    """A file within a backup."""

    sha256: str
    bytes: int


class BackupManifest(Answer):
    """What a backup says of itself, in its `manifest.json`.

    Attributes:
        format: of the file; whoever writes it says which.
        version: of the Tribrid that made it.
        revision: the last migration of its tables.
        rows: by table, in the order in which they can be put back.
        entries: every other file in it, by name.
        missing: artifacts that models named and that were not there.
    """

    format: int = 1
    version: str
    revision: str
    created_at: Time
    rows: dict[str, int]
    entries: dict[str, Entry]
    corpora: tuple[str, ...]
    artifacts: tuple[str, ...]
    missing: tuple[str, ...]
    indexes: tuple[str, ...]


class BackupFacts(Answer):
    """A backup that was made, or verified: all of it is there, and is what was put in."""

    file: str
    bytes: int
    version: str = Field(description="Of the Tribrid that made it.")
    created_at: Time
    rows: int
    corpora: tuple[str, ...]
    artifacts: int = Field(description="Models' files.")
    missing_artifacts: tuple[str, ...] = Field(description="What models named and was not there to be backed up.")
    indexes: tuple[str, ...] = Field(description="Corpora whose index is in it.")


class RestoredBackup(BackupFacts):
    """A backup that was restored."""

    data_dir: str
    to_index: tuple[str, ...] = Field(description="Corpora whose index is to be made again, from their documents.")
