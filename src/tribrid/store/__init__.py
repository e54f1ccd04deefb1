"""State: the rows in a database, the files in artifacts. `Store.open` is the way in; each method is one transaction."""

from __future__ import annotations

from pathlib import Path

from tribrid.errors import Unavailable
from tribrid.private import own_folder
from tribrid.store.access import Access
from tribrid.store.artifacts import Artifacts
from tribrid.store.beginnings import Beginnings
from tribrid.store.candidates import Candidates
from tribrid.store.corpora import Corpora
from tribrid.store.database import Database
from tribrid.store.documents import Documents
from tribrid.store.erasures import Erasures
from tribrid.store.evalsets import EvalSets
from tribrid.store.evaluations import Evaluations
from tribrid.store.events import Events
from tribrid.store.experiments import Experiments
from tribrid.store.jobs import Jobs
from tribrid.store.judging import JudgeLabels
from tribrid.store.judgments import Judgments
from tribrid.store.labelled import Labelled
from tribrid.store.lineage import Lineage
from tribrid.store.locks import Locks
from tribrid.store.logs import Logs
from tribrid.store.mentions import Mentions
from tribrid.store.models import Models
from tribrid.store.objects import Objects
from tribrid.store.publications import Publications
from tribrid.store.ratings import Ratings
from tribrid.store.retention import Retention
from tribrid.store.reviews import Reviews
from tribrid.store.rows import Rows
from tribrid.store.schedules import Schedules
from tribrid.store.segments import Segments
from tribrid.store.settings import Settings
from tribrid.store.spending import Spending
from tribrid.store.triplets import Triplets
from tribrid.store.unfinished import Unfinished
from tribrid.store.untrained import UntrainedComparisons

# Longer than any training takes from its first file to its last.
STALE_STAGING_S = 7 * 24 * 3600
UNFINISHED = "restore.unfinished"
"""Is in a data folder while a backup is put in the place of what it holds: until then it is neither of them."""


class Store:
    """Everything Tribrid remembers. Open one per process; use it from any thread."""

    def __init__(self, database: Database, artifacts: Artifacts) -> None:
        self.database = database
        self.artifacts = artifacts
        self.corpora = Corpora(database)
        self.documents = Documents(database)
        self.mentions = Mentions(database)
        self.judgments = Judgments(database)
        self.judge_labels = JudgeLabels(database)
        self.ratings = Ratings(database)
        self.evalsets = EvalSets(database)
        self.segments = Segments(database, artifacts)
        self.logs = Logs(database, self.segments)
        self.labelled = Labelled(database, self.segments)
        self.triplets = Triplets(database)
        self.reviews = Reviews(database)
        self.jobs = Jobs(database)
        self.events = Events(database)
        self.models = Models(database)
        self.evaluations = Evaluations(database)
        self.settings = Settings(database)
        self.candidates = Candidates(database)
        self.spending = Spending(database)
        self.access = Access(database)
        self.retention = Retention(database, self.segments)
        self.erasures = Erasures(database, self.segments)
        self.lineage = Lineage(database, self.segments)
        self.experiments = Experiments(database)
        self.schedules = Schedules(database)
        self.untrained = UntrainedComparisons(database)
        self.rows = Rows(database)
        self.beginnings = Beginnings(database)
        self.publications = Publications(database)
        self.locks = Locks(database)
        self.unfinished = Unfinished(database)

    @classmethod
    def open(cls, data_dir: Path, database_url: str | None = None, objects: Objects | None = None) -> Store:
        """The store in this folder, made if need be, its tables brought up to date.

        Args:
            database_url: where the rows are; None for the file `tribrid.db` in the folder.
            objects: where the artifacts are; the folder then holds copies. None for the folder alone.

        Raises:
            InvalidInput, MissingExtra: as Database.
            Unavailable: the database cannot be reached, a newer Tribrid has written it, or a backup is half restored.
        """
        if (data_dir / UNFINISHED).exists():
            raise Unavailable(
                f"A backup is being restored into {data_dir}, or that was interrupted. In the second case do it again: "
                "tribrid restore FILE --replace."
            )
        return cls.restoring(data_dir, database_url, objects)

    @classmethod
    def restoring(cls, data_dir: Path, database_url: str | None = None, objects: Objects | None = None) -> Store:
        """As `open`, for who restores a backup into it."""
        if not data_dir.exists():  # one that is there has the mode that somebody gave it
            own_folder(data_dir)
        artifacts = Artifacts(data_dir / "artifacts", objects)
        database = Database(database_url or f"sqlite:///{data_dir / 'tribrid.db'}")
        database.migrate()
        artifacts.sweep(STALE_STAGING_S)
        store = cls(database, artifacts)
        store.segments.sweep(STALE_STAGING_S)
        return store

    def close(self) -> None:
        self.segments.close()
        self.database.close()
