"""What is counted over an index's passages, as one of its files: word statistics, and the space that they span.

It is made when a state is published, from a sample of the passages, and kept until so many documents have changed that
it may say something else. A file is named by its content and never written over: a publication names the one that
belongs to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from tribrid.errors import StaleIndex
from tribrid.private import opener
from tribrid.retrieval.publication import REBUILD
from tribrid.retrieval.rows import Vector
from tribrid.scoring.features import CorpusStatistics
from tribrid.scoring.space import Space

SAMPLED = 20_000
"""Passages from which it is counted: more would change an IDF in its third digit."""
REMADE_SHARE = 0.2
"""Documents that are new, changed or gone since it was made, as a share of all, from which on it is made anew. A corpus
that grows document by document then pays for it once in each fifth that it grows."""
_IDF, _MEAN_TOKENS = "idf", "mean_tokens"

Count = Callable[[Iterable[tuple[bytes, Vector]]], CorpusStatistics]
"""Counts over passages, each given as its packed tokens and its vector."""


def write_space(folder: Path, statistics: CorpusStatistics) -> str:
    """Put it beside the tables; the file's name."""
    mean = np.array([statistics.mean_tokens], np.float64)
    content = save({_IDF: statistics.idf, _MEAN_TOKENS: mean, **statistics.space.arrays()})
    name = f"space-{hashlib.blake2b(content, digest_size=8).hexdigest()}.safetensors"
    staged = folder / f"{name}.staged"
    with open(staged, "wb", opener=opener) as file:
        file.write(content)
    staged.replace(folder / name)
    return name


def read_space(folder: Path, name: str) -> CorpusStatistics:
    """What `write_space` wrote.

    Raises:
        StaleIndex: the file is missing or broken.
    """
    try:
        arrays = load_file(folder / name)
        return CorpusStatistics(arrays[_IDF], float(arrays[_MEAN_TOKENS][0]), Space.from_arrays(arrays))
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise StaleIndex(f"The index's file {name} cannot be read ({error!r}). {REBUILD}") from error


def drop_other_spaces(folder: Path, name: str | None) -> None:
    """Remove those that no publication names any more, and what a killed writer left."""
    for path in folder.glob("space-*"):
        if path.name != name:
            path.unlink(missing_ok=True)


def is_outdated(changed: int, documents: int) -> bool:
    """Whether so many of so many documents have changed that it is to be made anew."""
    return changed > REMADE_SHARE * documents
