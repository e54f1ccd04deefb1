"""Model versions: the corpus's own, by id, promoted and rolled back, and exported."""

from __future__ import annotations

from pathlib import Path

from tribrid.answers.models import ModelExport, ModelList, ModelNames, ModelRecord, TrainingQueries
from tribrid.app.export import export_model
from tribrid.app.lineage import model_facts, promotion, record, training_queries
from tribrid.app.parts import FolderPart
from tribrid.errors import InvalidInput
from tribrid.loop.promote import promote as promote_model
from tribrid.store.models import no_model
from tribrid.workspace.corpus import OpenCorpus


class Models(FolderPart):
    """Model versions, by their id."""

    def get(self, model_id: str) -> ModelRecord:
        """A model version: what it is, what it was made from, and what became of it.

        Raises:
            ModelNotFound.
        """
        self._require(model_id)
        return record(self._folder, model_id)

    def training_queries(self, model_id: str, *, offset: int = 0, limit: int = 50) -> TrainingQueries:
        """A page of the queries that a model was trained on, each with the lists, judgments or documents behind it.

        Raises:
            ModelNotFound.
        """
        self._require(model_id)
        return training_queries(self._folder, model_id, offset, limit)

    def export(self, model_id: str, folder: str | Path) -> ModelExport:
        """Write a model version as a folder for other libraries, with its card.

        Raises:
            ModelNotFound, ModelUnavailable.
            InvalidInput: the folder is there already, or cannot be written.
        """
        self._require(model_id)
        return export_model(self._folder, model_id, Path(folder))

    def _require(self, model_id: str) -> None:
        """Pass if there is such a model within bounds.

        Raises:
            ModelNotFound.
        """
        if not self._bounds.hold(self._folder.store.models.get(model_id).corpus_id):
            raise no_model(model_id)


def list_models(corpus: OpenCorpus) -> ModelList:
    """The corpus's model versions, its aliases, and every promotion.

    Raises:
        CorpusNotFound.
    """
    store = corpus.store
    return ModelList(
        **dict(_names(corpus)),
        models=tuple(map(model_facts, store.models.list(corpus.corpus_id))),
        promotions=tuple(map(promotion, store.models.promotions(corpus.corpus_id))),
    )


def promote(corpus: OpenCorpus, model_id: str | None, reason: str, *, force: bool) -> ModelNames:
    """See `Corpus.promote`."""
    if force and not reason.strip():
        raise InvalidInput("reason: a promotion by force needs a written reason, which is kept.")
    promote_model(corpus, model_id, reason.strip(), force=force)
    return _names(corpus)


def rollback(corpus: OpenCorpus, reason: str) -> ModelNames:
    """Serve what was served before the newest promotion that stands. Again: what was served before that one.

    Raises:
        CorpusNotFound.
        NoModel: there is nothing to go back to.
    """
    corpus.store.models.rollback(corpus.corpus_id, reason or "rolled back")
    return _names(corpus)


def _names(corpus: OpenCorpus) -> ModelNames:
    models = corpus.store.models
    newest = next(iter(models.promotions(corpus.corpus_id)), None)
    back = newest is not None and not newest.first_state
    names = models.aliases(corpus.corpus_id)
    return ModelNames(
        corpus_id=corpus.corpus_id,
        champion=names["champion"],
        challenger=names["challenger"],
        previous=names["previous"],
        can_roll_back=back,
    )
