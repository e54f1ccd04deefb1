"""mine: triplets from logs, judgments and the documents themselves, stored as a new set."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from tribrid.config import with_params
from tribrid.loop.eval_queries import eval_queries_of
from tribrid.loop.generation import asker
from tribrid.loop.index import catch_up
from tribrid.mining.mine import Mined, MiningInputs
from tribrid.mining.mine import mine as mine_triplets
from tribrid.types import (
    Emit,
    Source,
)
from tribrid.workspace import Workspace


def mine(ws: Workspace, corpus_id: str, params: Mapping[str, Any], emit: Emit) -> tuple[str, Mined]:
    """Mine triplets and store them as a new set.

    Raises:
        Erased: something was erased meanwhile, which may have been read.
    """
    erasures = ws.store.erasures.count(corpus_id)
    catch_up(ws, corpus_id, emit)
    config = with_params(ws.config(corpus_id), "mining", {k: v for k, v in params.items() if k != "sources"})
    retriever, index_ = ws.retriever(corpus_id, config), ws.index(corpus_id)
    documents = partial(ws.store.documents.iterate, corpus_id)
    inputs = MiningInputs(
        known=lambda ids: ws.store.documents.exists(corpus_id, ids),
        passages_of=index_.passages_of,
        places_of=partial(ws.store.documents.places, corpus_id),
        reviews=ws.store.reviews.list(corpus_id),
        impressions=ws.store.logs.iterate_with_feedback(corpus_id),
        fell_back=ws.store.logs.fallbacks_with_feedback(corpus_id),
        judged=ws.store.judgments.list(corpus_id),
        documents=documents,
        generated=asker(ws.environment, config.generation, ws.prices, documents, index_.passages_of, emit),
        eval_queries=[query.text for query in eval_queries_of(ws, corpus_id)],
        sources=[Source(name) for name in params.get("sources") or tuple(Source)],
    )
    depth = max(config.mining.negative_depth, config.reranking.tribrid_reranker_topn)
    mined = mine_triplets(inputs, lambda query: retriever.retrieve(query, depth), config.mining, emit)
    stored = ws.store.triplets.put(corpus_id, dict(params), mined.counts, mined.triplets, erasures)
    return stored.triplet_set_id, mined
