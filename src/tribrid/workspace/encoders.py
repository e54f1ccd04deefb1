"""The encoders of passages and queries: each loaded once, with what it encoded lately. They need no data folder."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tribrid.config import Config
from tribrid.encoders.loading import LoadOnce
from tribrid.encoders.onnx import Encoder
from tribrid.encoders.text_cache import EmbeddedTexts
from tribrid.encoders.tokens import PassageEmbedder
from tribrid.workspace.exports import Exports

_KEPT = 8


class Encoders:
    """See the module. Safe for threads."""

    def __init__(self, exports: Exports, threads: Callable[[], int | None]) -> None:
        """Loads nothing yet.

        Args:
            exports: of the models.
            threads: how many an encoder runs on; None: one a core. Asked when one is loaded.
        """
        self._exports, self._threads = exports, threads
        self._lock = threading.Lock()
        self._embedders: LoadOnce[str, PassageEmbedder] = LoadOnce(self._load, _KEPT)
        self._embedded: dict[str, EmbeddedTexts] = {}

    def embedder(self, config: Config) -> PassageEmbedder:
        """The encoder of passages and queries; exported at its first use, which takes some seconds.

        Raises:
            ModelUnavailable, MissingExtra: it cannot be loaded or exported.
        """
        return self._embedders.get(config.indexing.embedding_model)

    def embedded(self, config: Config) -> EmbeddedTexts:
        """The encoder of texts that are not in an index, with what it encoded lately.

        Raises:
            ModelUnavailable, MissingExtra: as `embedder`.
        """
        embedder = self.embedder(config)
        with self._lock:
            return self._embedded.setdefault(embedder.fingerprint, EmbeddedTexts(embedder))

    def share(self, other: Encoders) -> None:
        """Use the encoders that another has loaded, instead of loading them again."""
        self._embedders = other._embedders

    def _load(self, name: str) -> PassageEmbedder:
        return load_embedder(self._exports, name, self._threads())


def load_embedder(exports: Exports, model: str, threads: int | None) -> PassageEmbedder:
    """An encoder of passages and queries.

    Args:
        threads: that it may use; None: one a core.

    Raises:
        ModelUnavailable, MissingExtra: it cannot be loaded or exported.
    """
    return PassageEmbedder(Encoder(exports.ensure(model, "encoder"), threads))
