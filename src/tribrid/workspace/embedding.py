"""Embeds a corpus's passages where shards of work are done: by the same model, which each process finds for itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, islice

from tribrid.compute.shards import Shards
from tribrid.config import read_environment
from tribrid.encoders.onnx import FloatArray
from tribrid.encoders.tokens import PassageEmbedder
from tribrid.errors import ModelUnavailable
from tribrid.retrieval.indexer import Embedder
from tribrid.store.objects import Objects
from tribrid.types import Passage
from tribrid.workspace.encoders import load_embedder
from tribrid.workspace.exports import Exports


@dataclass(frozen=True, slots=True)
class Embed:
    """What is done with a batch of passages.

    Attributes:
        model: the encoder's name: a built-in one, a Hugging Face id, or a folder that each machine has.
        fingerprint: of the encoder that the index is made with.
        threads: that each process may use.
    """

    model: str
    fingerprint: str
    threads: int

    def __call__(self, passages: Sequence[Passage]) -> tuple[FloatArray, list[bytes]]:
        """As the encoder of whoever asked would.

        Raises:
            ModelUnavailable, MissingExtra: there is no such model here, or it is another one.
        """
        embedder = _embedder(self.model, self.threads)
        if embedder.fingerprint != self.fingerprint:
            raise ModelUnavailable(
                f"The encoder {self.model!r} is {embedder.fingerprint} for a process that embeds, and "
                f"{self.fingerprint} for the index. Let all machines have the same.",
                model=self.model,
            )
        return embedder.embed_passages(passages)


@cache
def _embedder(model: str, threads: int) -> PassageEmbedder:
    environment = read_environment()
    objects = Objects(environment.storage_url) if environment.storage_url else None
    folder = environment.models_dir or environment.data_dir / "models"
    return load_embedder(Exports(folder, objects), model, threads)


class SpreadEmbedder:
    """An encoder of passages that has others embed what is more than one batch: for a single one it is not worth
    starting a process.
    """

    def __init__(self, embedder: PassageEmbedder, model: str, shards: Shards) -> None:
        self._embedder, self._shards = embedder, shards
        self.fingerprint, self.dim = embedder.fingerprint, embedder.dim
        self._embed = Embed(model, embedder.fingerprint, shards.threads)

    def embed_each(self, batches: Iterable[Sequence[Passage]]) -> Iterator[tuple[FloatArray, list[bytes]]]:
        """As PassageEmbedder."""
        coming = iter(batches)
        first = list(islice(coming, 2))
        if len(first) < 2:
            return self._embedder.embed_each(first)
        return self._shards.map(self._embed, chain(first, coming))


def spread(embedder: PassageEmbedder, model: str, shards: Shards | None) -> Embedder:
    """The encoder, or one that embeds alike by shards, where there are any."""
    return embedder if shards is None else SpreadEmbedder(embedder, model, shards)
