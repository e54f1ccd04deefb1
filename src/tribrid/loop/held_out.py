"""The searches that the eval dataset in force was made from, which nothing may learn from."""

from __future__ import annotations

from collections.abc import Sequence

from tribrid.loop.eval_queries import dataset_in_force
from tribrid.mining.holdout import HeldOut, measured_with
from tribrid.store import Store
from tribrid.types import EvalDataset, Source, Triplet
from tribrid.types.stored import Manifest
from tribrid.workspace.corpus import OpenCorpus


def held_out(store: Store, corpus_id: str, since_us: int, until_us: int) -> HeldOut:
    """What is left out of learning for this span."""
    clients = store.logs.clients_of(corpus_id, since_us, until_us)
    named = (client_id for client_id, earlier in clients.items() if measured_with(client_id, earlier=earlier))
    return HeldOut(since_us, until_us, frozenset(named))


def read_searches(corpus: OpenCorpus, dataset: EvalDataset, manifest: Manifest, taught: Sequence[Triplet]) -> bool:
    """Whether a model learned from the searches that a dataset was made of.

    Args:
        manifest: the model's.
        taught: what it was trained on.
    """
    evidence, set_id = dataset.evidence, (manifest.get("data") or {}).get("triplet_set_id")
    if evidence is None or set_id is None or not any(triplet.source is Source.LOGS for triplet in taught):
        return False
    mined = corpus.store.triplets.get(set_id)
    left_out = mined.counts.get("held_out")
    if left_out is None:
        return mined.created_us > evidence.since_us
    return left_out["since_us"] > evidence.since_us or left_out["until_us"] < evidence.until_us


def held_out_of(corpus: OpenCorpus) -> HeldOut | None:
    """The same of the eval dataset in force; None where it is not from logs, or there is none."""
    dataset = dataset_in_force(corpus)
    if dataset is None or dataset.evidence is None:
        return None
    return held_out(corpus.store, corpus.corpus_id, dataset.evidence.since_us, dataset.evidence.until_us)
