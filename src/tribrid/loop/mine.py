"""mine: triplets from logs, judgments and the documents themselves, stored as a new set."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from tribrid.loop.eval_queries import eval_queries_of
from tribrid.loop.generation import asker
from tribrid.loop.held_out import held_out_of
from tribrid.loop.index import catch_up
from tribrid.loop.judge import agreed, judge_in_force, weight_of
from tribrid.loop.params import MineParams
from tribrid.mining.mine import Mined, MiningInputs
from tribrid.mining.mine import mine as mine_triplets
from tribrid.types import Emit, Source
from tribrid.types.judging import JudgeLabel
from tribrid.types.stored import JudgeFacts
from tribrid.workspace.corpus import OpenCorpus


def mine(corpus: OpenCorpus, params: MineParams, emit: Emit) -> tuple[str, Mined]:
    """Mine triplets and store them as a new set.

    Raises:
        Erased: something was erased meanwhile, which may have been read.
    """
    erasures = corpus.store.erasures.count(corpus.corpus_id)
    catch_up(corpus, emit)
    corpus = corpus.with_params("mining", params.settings)
    config, folder, passages_of = corpus.config, corpus.folder, corpus.index.passages_of
    documents = partial(corpus.store.documents.iterate, corpus.corpus_id)
    labels, judge_facts = _judge(corpus)
    inputs = MiningInputs(
        known=lambda ids: corpus.store.documents.exists(corpus.corpus_id, ids),
        passages_of=passages_of,
        places_of=partial(
            corpus.store.documents.places, corpus.corpus_id, fields=[field.name for field in config.features.named]
        ),
        reviews=corpus.store.reviews.list(corpus.corpus_id),
        impressions=corpus.store.logs.blocks_with_feedback(corpus.corpus_id),
        named=corpus.store.logs.blocks_with_feedback(corpus.corpus_id, named=True),
        fell_back=corpus.store.logs.fallbacks_with_feedback(corpus.corpus_id),
        judged=corpus.store.judgments.list(corpus.corpus_id),
        judge_labels=labels,
        judge_weight=judge_facts["weight"] if judge_facts else 0.0,
        documents=documents,
        generated=asker(folder.environment, config.generation, folder.prices, documents, passages_of, emit),
        eval_queries=[query.text for query in eval_queries_of(corpus)],
        held_out=held_out_of(corpus),
        sources=params.sources or tuple(Source),
    )
    depth = max(config.mining.negative_depth, config.reranking.tribrid_reranker_topn)
    mined = mine_triplets(inputs, lambda query: corpus.teaching.retrieve(query, depth), config.mining, emit)
    if judge_facts:
        mined.counts["judge"] = judge_facts
    kept = params.model_dump(mode="json", exclude_unset=True)
    stored = corpus.store.triplets.put(corpus.corpus_id, kept, mined.counts, mined.triplets, erasures)
    return stored.triplet_set_id, mined


def _judge(corpus: OpenCorpus) -> tuple[Sequence[JudgeLabel], JudgeFacts | None]:
    """What the judge in force said, and what that counts for; nothing where it said nothing."""
    labels = corpus.store.judge_labels.list(corpus.corpus_id, judge_in_force(corpus))
    if not labels:
        return (), None
    found = agreed(corpus, labels)
    facts: JudgeFacts = {
        "judge": labels[0].judge,
        "labels": sum(label.grade is not None for label in labels),
        "weight": weight_of(corpus, found),
        "kappa": found.kappa,
        "low": found.low,
    }
    return labels, facts
