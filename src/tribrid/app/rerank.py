"""Rerank: documents that another search engine found, in the order that this corpus's users taught.

With a corpus the whole loop hangs on it: what is answered is logged under an id that takes feedback, and documents that
the corpus does not know are kept, to be indexed before the next mining.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TypedDict, Unpack
from uuid import uuid4

from pydantic import JsonValue

from tribrid.answers.answer import time_at
from tribrid.answers.rerank import RerankedDocument, RerankModel
from tribrid.answers.rerank import Reranking as Answered
from tribrid.app.experiments import search_trial
from tribrid.app.identity import Identified, identify
from tribrid.app.parts import FolderPart
from tribrid.config import Config
from tribrid.corpus.inline import Inline, inline_document
from tribrid.corpus.jsonlines import id_fault, storable
from tribrid.encoders.budget import Budget
from tribrid.encoders.models import local_rerankers, public_name
from tribrid.errors import CorpusExists, InvalidInput, ModelNotFound, TooLarge
from tribrid.evaluation.notes import GIVEN, RETRIEVAL
from tribrid.loop import rerank
from tribrid.loop.given_documents import GivenQuery
from tribrid.loop.rerank import Reranked
from tribrid.scoring.fields import refuse
from tribrid.scoring.scorer import InteractionScorer, Scorer
from tribrid.store.corpora import CorpusRow
from tribrid.types import Document
from tribrid.workspace.corpus import OpenCorpus, open_corpus

MAX_QUERY_CHARS = 100_000
MAX_CHUNKS = 100
CHARS_PER_TOKEN = 4
"""Of English prose, about: how a limit in tokens is kept, and usage counted, before any tokenizer ran."""
UNLOGGED = "unlogged-"
"""How the id of an answer begins that was not logged."""
DEFAULT_NAMES = frozenset({"", "default", "default/not-specified", "none", "null"})
SUFFIX = "___"
"""What follows it in a model's name is RAGFlow's own, which may send it along."""
NAMED, NAMED_APART = 50, 5


@dataclass(frozen=True, slots=True)
class Ranker:
    """Who answers a rerank: `choose` gives the scorer, or None for nobody. `corpus_id` None: no corpus is behind it.
    `wanted`: the model that was asked for, where it is not there and another answers; `vendor`: whose that is.
    `serves`: it is what the corpus serves, whichever that is.
    """

    name: str
    corpus_id: str | None
    choose: Callable[[OpenCorpus | None], Scorer | None]
    wanted: str | None = None
    vendor: str | None = None
    serves: bool = False

    def instead(self) -> str:
        """That it answered in another's place."""
        wanted = repr((self.wanted or "")[:200])
        which = f"{wanted} is a model of {self.vendor}" if self.vendor else f"There is no model {wanted}"
        return f"{which}: {self.name!r} answered."


class How(TypedDict, total=False):
    """How documents are read.

    Attributes:
        rank_fields: of an object, the fields that make its text; None: its title and its text.
        max_chunks_per_doc: passages of a document that are scored, those that share most words with the query.
        max_tokens_per_doc: read of a document's text, a token taken as four characters.
        truncate: False refuses documents that would not be read whole.
    """

    rank_fields: Sequence[str] | None
    max_chunks_per_doc: int | None
    max_tokens_per_doc: int | None
    truncate: bool


class Reranking(FolderPart):
    """rerank, and what `model` may be."""

    def rerank(
        self,
        query: str,
        documents: Sequence[str | Mapping[str, JsonValue]],
        *,
        corpus_id: str | None = None,
        model: str | None = None,
        top_n: int | None = None,
        client_id: str | None = None,
        budget: Budget | None = None,
        **how: Unpack[How],
    ) -> Answered:
        """Put documents in order.

        Args:
            documents: strings, or objects with `text`, and perhaps `title`, `id` (or `doc_id`), `metadata`; in the
                order in which they were found. What features.fields names may stand in `metadata` or beside it.
            corpus_id: whose reranker it is, and where it is logged.
            model: a corpus, a model version, a local cross-encoder or the built-in encoder; None or `default`: the
                corpus's own, else that of reranking.rerank_corpus, else reranking.reranker_local_model.
            top_n: answered at most; None for all.
            client_id: tells this user's searches from others', as in a search.
            budget: tells when nobody waits for the answer any more, as in a search.
            how: see How.

        Raises:
            CorpusNotFound, ModelNotFound, TooLarge.
            Forbidden: of `bound_to` with a filter.
            InvalidInput: no query, no document, or one that cannot be read; InvalidField: or not a field of it.
            ScorerFailed, Unavailable: no corpus stands behind the model, and it failed.
            Overloaded, Cancelled: the reranker did not begin.
        """
        # Whether a text is, or is a part of, a document of the corpus can be read from its id.
        self._bounds.require_all_documents("a rerank")
        found = self.ranker(model, corpus_id)
        config = self._config(found.corpus_id)
        _check(query, top_n, client_id, how)
        _check_count(len(documents), config.reranking.rerank_max_documents)
        inline = _inline(documents, how.get("rank_fields"), config)
        identified = identify(self._folder.store, found.corpus_id, inline, config)
        cut = [_cut(document, how.get("max_tokens_per_doc")) for document in identified.documents]
        # Clients ask for a thousand and mean all.
        chunks = min(how.get("max_chunks_per_doc") or config.reranking.rerank_passages_per_document, MAX_CHUNKS)
        asked = GivenQuery(storable(query), cut, chunks, top_n or len(cut), client_id, not how.get("truncate", True))
        shortened = sum(len(a.text) < len(b.text) for a, b in zip(cut, identified.documents, strict=True))
        asked.accept(shortened)
        answer = self._answer(found, asked, budget)
        if not identified.kept:
            answer = replace(answer, query_id=None)  # a click could be learned on another text
        return _answered(found, asked, inline, answer, max(answer.partly, shortened), identified)

    def _answer(self, found: Ranker, asked: GivenQuery, budget: Budget | None) -> Reranked:
        if found.corpus_id is not None:
            corpus = open_corpus(self._folder, found.corpus_id)
            return rerank.rerank(corpus, asked, partial(found.choose, corpus), budget, serves=found.serves)
        scorer = found.choose(None)
        if scorer is None:
            raise ModelNotFound(f"The model {found.name!r} ranks nothing.", model=found.name)
        return rerank.rerank_apart(self._folder.encoders, self._folder.config(), asked, scorer, budget)

    def _config(self, corpus_id: str | None) -> Config:
        return open_corpus(self._folder, corpus_id).config if corpus_id else self._folder.config()

    def ranker(self, model: str | None = None, corpus_id: str | None = None) -> Ranker:
        """Who answers a rerank for this model and corpus.

        Raises:
            CorpusNotFound.
            ModelNotFound: it is none of what `rerank_models` lists, and reranking.rerank_unknown_model refuses it.
        """
        name = (model or "").strip()
        try:
            return self._ranker(name, corpus_id)
        except ModelNotFound:
            stem = name.partition(SUFFIX)[0]
            if stem not in ("", name):
                with suppress(ModelNotFound):
                    return self._ranker(stem, corpus_id)
            vendor = self._folder.prices.vendor(stem)
            answered = self._config(corpus_id).reranking.rerank_unknown_model
            if answered == "refuse" or (answered == "vendors" and vendor is None):
                raise
        return replace(self._ranker("", corpus_id), wanted=name, vendor=vendor)

    def _ranker(self, name: str, corpus_id: str | None) -> Ranker:
        folder = self._folder
        name = "" if name.lower() in DEFAULT_NAMES else name
        default = self._default_corpus()
        corpora = {row.corpus_id for row in self._corpora()}
        if default is not None and default not in corpora and (corpus_id or name or default) == default:
            with suppress(CorpusExists):  # another call was first
                folder.store.corpora.create(default, default)
            corpora.add(default)
        if corpus_id is None and (name or default) in corpora:
            corpus_id, name = name or default, ""
        if corpus_id is not None:
            self._bounds.require(corpus_id)
            folder.store.corpora.get(corpus_id)
            return self._of_corpus(corpus_id, "" if name == corpus_id else name)
        return self._without_corpus(name)

    def _corpora(self) -> list[CorpusRow]:
        return [row for row in self._folder.store.corpora.list() if self._bounds.hold(row.corpus_id)]

    def _default_corpus(self) -> str | None:
        """Whose a call is that names no corpus; with bounds that hold a single one, that one's."""
        default = self._folder.config().reranking.rerank_corpus
        only = self._bounds.only
        return only if only is not None or not self._bounds.hold(*filter(None, [default])) else default

    def _of_corpus(self, corpus_id: str, name: str) -> Ranker:
        folder = self._folder
        if not name:
            return Ranker(corpus_id, corpus_id, lambda corpus: corpus.scorer if corpus else None, serves=True)
        if any(version.model_id == name for version in folder.store.models.list(corpus_id)):
            return Ranker(name, corpus_id, lambda corpus: corpus.learned(name) if corpus else None)
        return replace(self._apart(name, corpus_id), corpus_id=corpus_id)

    def _without_corpus(self, name: str) -> Ranker:
        if not name:
            config = self._folder.config()
            name = public_name(config.reranking.reranker_local_model or config.indexing.embedding_model)
        with suppress(ModelNotFound):
            version = self._folder.store.models.get(name)
            if self._bounds.hold(version.corpus_id):
                return self._of_corpus(version.corpus_id, name)
        return self._apart(name, None)

    def _apart(self, name: str, corpus_id: str | None) -> Ranker:
        """A model that was not trained here. Only what the operator put there: no name makes anything be fetched.

        Raises:
            ModelNotFound.
        """
        folder = self._folder
        config = self._config(corpus_id)
        if name == public_name(config.indexing.embedding_model):
            return Ranker(name, None, lambda _: InteractionScorer(name))
        configured = config.reranking.reranker_local_model
        if configured is not None and name in (configured, public_name(configured)):
            return Ranker(name, None, lambda _: folder.local(configured, config))
        found = local_rerankers(folder.models_dir)
        if name in found:
            return Ranker(name, None, lambda _: folder.local(found[name], config))
        known = [row.id for row in self.rerank_models()]
        raise ModelNotFound(
            f"There is no model {name!r} to rerank with. There are: {', '.join(known[:NAMED])}. `model` may be a "
            "corpus (its champion answers), a model version, or a cross-encoder in the models folder. For a client "
            "whose model's name cannot be changed: `tribrid config reranking.rerank_unknown_model=default`.",
            model=name,
            models=known[:NAMED],
        )

    def rerank_models(self) -> list[RerankModel]:
        """Everything that `model` may be, by kind."""
        folder = self._folder
        config = folder.config()
        rows: list[RerankModel] = []
        for corpus in self._corpora():
            champion, made_at = folder.store.models.alias(corpus.corpus_id, "champion"), time_at(corpus.created_us)
            rows.append(RerankModel(id=corpus.corpus_id, kind="corpus", champion=champion, created_at=made_at))
            rows += [
                RerankModel(id=v.model_id, kind="version", corpus_id=v.corpus_id, created_at=time_at(v.created_us))
                for v in folder.store.models.list(corpus.corpus_id)
            ]
        local = [public_name(config.reranking.reranker_local_model)] if config.reranking.reranker_local_model else []
        names = dict.fromkeys([*local, *local_rerankers(folder.models_dir)])
        rows += [RerankModel(id=name, kind="local") for name in names]
        return [*rows, RerankModel(id=public_name(config.indexing.embedding_model), kind="encoder")]


def _inline(
    documents: Sequence[str | Mapping[str, JsonValue]], rank_fields: Sequence[str] | None, config: Config
) -> list[Inline]:
    """The documents as they are read. Raises as `rerank`."""
    fields = config.features.named
    names = [field.name for field in fields]
    inline = [inline_document(document, at, rank_fields, names) for at, document in enumerate(documents)]
    refuse(fields, ((item.doc_id or f"documents[{at}]", item.metadata) for at, item in enumerate(inline)))
    return inline


def _check_count(count: int, most: int) -> None:
    if count == 0:
        raise InvalidInput("documents: the list must not be empty.")
    if count > most:
        raise TooLarge(
            f"documents: {count} are more than this server takes in a call: {most} (reranking.rerank_max_documents).",
            documents=count,
            max_documents=most,
        )


def _check(query: str, top_n: int | None, client_id: str | None, how: How) -> None:
    chunks, tokens = how.get("max_chunks_per_doc"), how.get("max_tokens_per_doc")
    if not query.strip() or len(query) > MAX_QUERY_CHARS:
        raise InvalidInput(f"query: 1 to {MAX_QUERY_CHARS} characters, not only spaces.", length=len(query))
    fault = None if client_id is None else id_fault(client_id, "client_id")
    if fault:
        raise InvalidInput(f"{fault}.")
    if top_n is not None and top_n < 0:
        raise InvalidInput("top_n: 1 or more; 0 or nothing for all documents.", top_n=top_n)
    if chunks is not None and chunks < 1:
        raise InvalidInput("max_chunks_per_doc: 1 or more.", max_chunks_per_doc=chunks)
    if tokens is not None and tokens < 1:
        raise InvalidInput("max_tokens_per_doc: 1 or more.", max_tokens_per_doc=tokens)


def _cut(document: Document, max_tokens: int | None) -> Document:
    if max_tokens is None or len(document.text) <= max_tokens * CHARS_PER_TOKEN:
        return document
    return replace(document, text=document.text[: max_tokens * CHARS_PER_TOKEN])


def _answered(
    found: Ranker, asked: GivenQuery, inline: Sequence[Inline], answer: Reranked, partly: int, identified: Identified
) -> Answered:
    """The answer, of which every dialect takes its part."""
    characters = sum(len(d.title) + len(d.text) + len(asked.text) for d in asked.documents)
    pairs = list(zip(answer.placed, answer.probabilities, strict=True))[: asked.top_n]
    return Answered(
        query_id=answer.query_id or f"{UNLOGGED}{uuid4().hex}",
        logged=answer.query_id is not None,
        corpus_id=found.corpus_id,
        model=found.name,
        model_id=answer.model_id,
        reranked=answer.model_id not in (RETRIEVAL, GIVEN),
        fallback_reason=answer.fallback_reason,
        fallback_code=answer.fallback_code,
        note=answer.note,
        took_ms=answer.took_ms,
        tokens=max(1, characters // CHARS_PER_TOKEN),
        warnings=(*_warnings(found, answer, partly), *_apart(inline, identified.apart)),
        results=tuple(
            RerankedDocument(
                index=at,
                score=probability,
                raw_score=raw,
                doc_id=inline[at].doc_id or (asked.documents[at].doc_id if found.corpus_id else None),
                document=_returned(inline[at], asked.documents[at]),
            )
            for (at, raw), probability in pairs
        ),
        collected=identified.collected,
        experiment=search_trial(answer.trial),
    )


def _returned(item: Inline, document: Document) -> dict[str, JsonValue]:
    """The document as Cohere gives it back: with its text, and what else came in the object."""
    return {"text": document.text, **(dict(item.given) if isinstance(item.given, Mapping) else {"text": item.given})}


def _warnings(found: Ranker, answer: Reranked, partly: int) -> list[str]:
    told = [found.instead()] if found.wanted else []
    if answer.fallback_reason is not None:
        told.append(f"Not reranked, in the first stage's order: {answer.fallback_reason}")
    elif answer.model_id == RETRIEVAL and answer.trial is None:
        told.append(f"No model serves {found.corpus_id!r} yet: in the order of the first stage's fused score.")
    if answer.note is not None:
        told.append(answer.note)
    if found.corpus_id is not None and answer.query_id is None:
        told.append("Not logged: the database takes no rows. GET /ready says why.")
    if partly:
        told.append(f"{partly} documents were not read whole.")
    return told


def _apart(inline: Sequence[Inline], apart: Sequence[int]) -> list[str]:
    """What is said of texts that came under the id of another."""
    if not apart:
        return []
    named = ", ".join(dict.fromkeys(repr(inline[at].doc_id)[:200] for at in apart[:NAMED_APART]))
    told = (
        f"{len(apart)} documents came under an id that stands for another text: {named}. Each is learned as a document "
        "of its own. Feedback by `index` reaches the text at that place; by the id, the one that stood highest."
    )
    return [told]
