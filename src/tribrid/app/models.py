"""Model versions: the corpus's own, by id, promoted and rolled back, and exported."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from tribrid.answers.models import ModelExport, ModelList, ModelNames, ModelRecord, TrainingQueries
from tribrid.app.export import export_model, export_student
from tribrid.app.lineage import model_facts, promotion, record, training_queries
from tribrid.app.parts import FolderPart, quiet
from tribrid.errors import InvalidInput
from tribrid.loop.promote import promote as promote_model
from tribrid.loop.student import Wanted
from tribrid.store.models import no_model
from tribrid.types import Emit
from tribrid.workspace.corpus import OpenCorpus

CROSS_ENCODER = "cross-encoder"
MINUTES, LEAST_MINUTES, MOST_MINUTES = 20.0, 0.1, 10_000


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

    def export(
        self,
        model_id: str,
        folder: str | Path,
        *,
        as_: Literal["cross-encoder"] | None = None,
        base_model: str | None = None,
        minutes: float = MINUTES,
        emit: Emit = quiet,
    ) -> ModelExport:
        """Write a model version as a folder for other libraries, with its card.

        Args:
            as_: None for the model as it is. `cross-encoder`: teach its order to a plain Hugging Face cross-encoder,
                which loads without Tribrid, and write that. It takes `minutes` and then is measured on the corpus's
                eval dataset, all in this call; interrupted, it writes nothing.
            base_model: what the cross-encoder starts from, an id or a folder; None: `training.base_model`.
            minutes: for the cross-encoder to read and learn, 0.1 to 10,000.
            emit: gets the progress of that.

        Raises:
            ModelNotFound, ModelUnavailable.
            InvalidInput: the folder is there already, or cannot be written; or an argument is not known.
            NotProven: the cross-encoder ranks worse than the first stage; nothing is written.
            NoEvalDataset, NoTriplets: there is nothing to measure the cross-encoder on, or too little to teach it.
            MissingExtra, Unavailable, TrainingFailed: as a training.
        """
        self._require(model_id)
        if as_ is None:
            return export_model(self._folder, model_id, Path(folder))
        if as_ != CROSS_ENCODER:
            raise InvalidInput(f"as: {as_!r} is not {CROSS_ENCODER}, the only other form.", field="as")
        if not LEAST_MINUTES <= minutes <= MOST_MINUTES:
            raise InvalidInput(f"minutes: {minutes:g} is not {LEAST_MINUTES} to {MOST_MINUTES:,}.", field="minutes")
        return export_student(self._folder, Wanted(model_id, base_model, minutes), Path(folder), emit)

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
