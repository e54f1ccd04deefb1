"""A reranker by itself: trained on what a program holds in memory, or loaded from a folder. No data folder, no server.

What it learns and how it is read are as in a corpus: `fit` makes one that lasts as long as the training.
"""

from __future__ import annotations

import json
import shutil
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

from tribrid.answers.rerank import RerankedDocument
from tribrid.app.export import ARTIFACT
from tribrid.app.identity import identify_apart
from tribrid.app.tribrid import Tribrid
from tribrid.config import Config, read_environment, resolve
from tribrid.corpus.given import Given, rows_of
from tribrid.corpus.inline import inline_document
from tribrid.corpus.jsonlines import storable
from tribrid.errors import InvalidInput, ModelUnavailable
from tribrid.loop.given_documents import GivenQuery
from tribrid.loop.rerank import rerank_apart
from tribrid.report.notebook import table
from tribrid.scoring.learned import MANIFEST, LearnedReranker
from tribrid.scoring.scorer import LearnedScorer
from tribrid.types import Document, Event
from tribrid.types.stored import Manifest
from tribrid.workspace.encoders import Encoders
from tribrid.workspace.exports import Exports

_CORPUS = "fit"


class Reranker:
    """A model version. Safe for threads; its encoder is loaded at the first `rank`."""

    def __init__(self, folder: Path) -> None:
        """Load an artifact; see `load`, which finds it."""
        self._folder = folder
        self._environment = read_environment()
        self._config: Config = resolve(environment=self._environment.overrides)[0]
        serving = self._config.serving
        self._scorer = LearnedScorer(folder.name[:16], LearnedReranker(folder))
        models_dir = self._environment.models_dir or self._environment.data_dir / "models"
        self._encoders = Encoders(Exports(models_dir, None), lambda: serving.threads)

    @classmethod
    def load(cls, folder: str | Path) -> Reranker:
        """The model that `save` or `tribrid models export` wrote.

        Raises:
            InvalidInput: there is no model in the folder.
            ModelUnavailable: a file of it is broken, or of another format.
        """
        given = Path(folder).expanduser()
        found = next((place for place in (given, given / ARTIFACT) if (place / MANIFEST).is_file()), None)
        if found is None:
            raise InvalidInput(
                f"There is no model in {given}: neither {MANIFEST} nor {ARTIFACT}/{MANIFEST}. "
                "`tribrid models export` writes one.",
                path=str(given),
            )
        return cls(found)

    @classmethod
    def fit(
        cls,
        queries: Given,
        documents: Given,
        qrels: Given,
        *,
        hyperparameters: Mapping[str, Any] | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> Reranker:
        """Train on judged queries. It takes what a training takes, some minutes for thousands of documents; measure it
        on queries that are not among these, as `tribrid.compare` does.

        Args:
            queries: {query_id: text}, or a DataFrame (query_id, text).
            documents: {doc_id: text}, dictionaries with doc_id, text and title, or a DataFrame of these.
            qrels: {query_id: {doc_id: grade}}, or a DataFrame (query_id, doc_id, grade).
            hyperparameters: of `training.*`, as {"cross_encoder": False}.
            on_event: gets what the training reports.

        Raises:
            InvalidInput: something cannot be read, or documents are missing.
            NoTriplets: nothing in it teaches an order. MissingExtra: the packages of training are not installed.
            Failed: the training failed.
        """
        environment = read_environment()
        models_dir = environment.models_dir or environment.data_dir / "models"
        with TemporaryDirectory(prefix="tribrid-fit-") as place:
            changed: dict[str, Path | None] = {"data_dir": Path(place) / "data", "models_dir": models_dir}
            changed |= {"database_url": None, "storage_url": None}
            with Tribrid(environment=environment.model_copy(update=changed)) as tribrid:
                corpus = tribrid.create_corpus(_CORPUS)
                corpus.documents.add(documents)
                corpus.judgments.put(qrels, queries=queries)
                corpus.mine(sources=["judgments"], on_event=on_event)
                trained = corpus.train(on_event=on_event, **(hyperparameters or {}))
                artifact = tribrid.store.artifacts.verified(tribrid.store.models.get(trained.model_id).artifact)
                return cls._copied(artifact)

    @classmethod
    def _copied(cls, artifact: Path) -> Reranker:
        """Of a copy that lasts as long as the object."""
        place = mkdtemp(prefix="tribrid-model-")
        folder = Path(place) / artifact.name
        shutil.copytree(artifact, folder, copy_function=shutil.copyfile)
        found = cls(folder)
        weakref.finalize(found, shutil.rmtree, place, ignore_errors=True)
        return found

    @property
    def manifest(self) -> Manifest:
        """What it is and what it was made from; `metrics` among it."""
        return self._scorer.reranker.manifest

    def rank(self, query: str, documents: Given, top_n: int | None = None) -> list[RerankedDocument]:
        """Documents in order, best first. A document's id tells the model what past queries found good.

        Args:
            documents: texts; dictionaries with `text`, and perhaps `doc_id` and `title`; {doc_id: text}; a DataFrame.

        Raises:
            InvalidInput: there is none, or one cannot be read.
            ModelUnavailable: its encoder cannot be had, or is not the one that it was trained with.
        """
        names = [field.name for field in self._scorer.reranker.signals.fields]
        inline = [inline_document(value, at, None, names) for at, value in enumerate(_values(documents))]
        if not inline or not query.strip():
            raise InvalidInput("rank needs a query and a document.")
        self._check_encoder()
        given = identify_apart(inline)
        chunks = self._config.reranking.rerank_passages_per_document
        asked = GivenQuery(storable(query), given, chunks, top_n or len(given))
        found = rerank_apart(self._encoders, self._config, asked, self._scorer)
        pairs = zip(found.placed, found.probabilities, strict=True)
        return [
            RerankedDocument(
                index=at,
                score=probability,
                raw_score=raw,
                doc_id=inline[at].doc_id,
                document={"text": given[at].text, "title": given[at].title},
            )
            for (at, raw), probability in list(pairs)[: asked.top_n]
        ]

    def save(self, folder: str | Path) -> Path:
        """Write it into a new folder, for `load`.

        Raises:
            InvalidInput: there is something at this place already.
        """
        target = Path(folder).expanduser().absolute()
        if target.exists():
            raise InvalidInput(f"{target} is there already: name a new folder.", path=str(target))
        shutil.copytree(self._folder, target, copy_function=shutil.copyfile)
        return target

    def _check_encoder(self) -> None:
        trained_on, now = self.manifest.get("encoder"), self._encoders.embedder(self._config).fingerprint
        if trained_on != now:
            raise ModelUnavailable(
                f"This model was trained on what {trained_on} reads; the encoder is now {now}. Name its encoder in "
                "TRIBRID_INDEXING__EMBEDDING_MODEL."
            )

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return table("Reranker", _about(self.manifest))


def _about(manifest: Manifest) -> dict[str, Any]:
    told = json.loads(json.dumps({name: manifest.get(name) for name in ("metrics", "base", "encoder", "config")}))
    return {name: value for name, value in told.items() if value is not None}


def _values(documents: Given) -> Sequence[Any]:
    if isinstance(documents, Mapping):
        return [{"doc_id": str(doc_id), "text": text} for doc_id, text in documents.items()]
    rows = rows_of(documents)
    if rows is not None:
        return [{**row, "doc_id": row["docno"]} if "docno" in row else row for row in rows]
    return [_row(value) if isinstance(value, Document) else value for value in documents]


def _row(document: Document) -> dict[str, Any]:
    fields = {"doc_id": document.doc_id, "title": document.title, "text": document.text}
    return {**fields, "metadata": document.metadata}
