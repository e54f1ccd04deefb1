"""Model versions: the corpus's own, by id, promoted and rolled back, and exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tribrid.app.export import export_model
from tribrid.app.lineage import promotion_view, record, training_queries
from tribrid.app.parts import FolderPart
from tribrid.app.views import model_view
from tribrid.errors import InvalidInput
from tribrid.loop.promote import promote as promote_model
from tribrid.workspace.corpus import OpenCorpus


class Models(FolderPart):
    """Model versions, by their id."""

    def get(self, model_id: str) -> dict[str, Any]:
        """A model version: what it is, what it was made from, and what became of it.

        Raises:
            ModelNotFound.
        """
        return record(self._folder, model_id)

    def training_queries(self, model_id: str, *, offset: int = 0, limit: int = 50) -> dict[str, Any]:
        """A page of the queries that a model was trained on, each with the lists, judgments or documents behind it.

        Raises:
            ModelNotFound.
        """
        return training_queries(self._folder, model_id, offset, limit)

    def export(self, model_id: str, folder: str | Path) -> dict[str, Any]:
        """Write a model version as a folder for other libraries, with its card.

        Raises:
            ModelNotFound, ModelUnavailable.
            InvalidInput: the folder is there already, or cannot be written.
        """
        return export_model(self._folder, model_id, Path(folder))


def list_models(corpus: OpenCorpus) -> dict[str, Any]:
    """The corpus's model versions, its aliases, and every promotion.

    Raises:
        CorpusNotFound.
    """
    store = corpus.store
    return {
        **_aliases(corpus),
        "models": [model_view(model) for model in store.models.list(corpus.corpus_id)],
        "promotions": [promotion_view(row) for row in store.models.promotions(corpus.corpus_id)],
    }


def promote(corpus: OpenCorpus, model_id: str | None, reason: str, *, force: bool) -> dict[str, Any]:
    """Serve a model version from the next search on.

    Args:
        model_id: None for the newest.
        reason: kept; needed with `force`.
        force: also one that no evaluation shows to be better than what serves now.

    Raises:
        CorpusNotFound, ModelNotFound, NoModel, ModelUnavailable.
        NotProven: it lost, or was never compared with what serves now; and no force.
        InvalidInput: force without a reason.
    """
    if force and not reason.strip():
        raise InvalidInput("reason: a promotion by force needs a written reason, which is kept.")
    promote_model(corpus, model_id, reason.strip(), force=force)
    return _aliases(corpus)


def rollback(corpus: OpenCorpus, reason: str) -> dict[str, Any]:
    """Serve what was served before the newest promotion that stands. Again: what was served before that one.

    Raises:
        CorpusNotFound.
        NoModel: there is nothing to go back to.
    """
    corpus.store.models.rollback(corpus.corpus_id, reason or "rolled back")
    return _aliases(corpus)


def _aliases(corpus: OpenCorpus) -> dict[str, Any]:
    """Who has which name. `previous` is what a rollback brings, null for no trained model; whether there is
    anything to roll back says `can_roll_back`.
    """
    models = corpus.store.models
    newest = next(iter(models.promotions(corpus.corpus_id)), None)
    back = newest is not None and not newest.first_state
    return {"corpus_id": corpus.corpus_id, **models.aliases(corpus.corpus_id), "can_roll_back": back}
