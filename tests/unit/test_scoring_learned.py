"""A trained reranker's artifact: read back it scores the same, and what is broken is not served."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from synthetic import STATISTICS, reading_of, training_list
from tribrid.errors import ModelUnavailable
from tribrid.scoring.blend import Blend
from tribrid.scoring.features import describe, remember
from tribrid.scoring.learned import (
    KNOWLEDGE,
    MANIFEST,
    LearnedReranker,
    Reading,
    Reordering,
    reorder_head,
    standard,
    write_artifact,
)
from tribrid.scoring.memory import Memory
from tribrid.scoring.scorer import above, ranked
from tribrid.scoring.signals import NO_SIGNALS
from tribrid.training.blend import TREES_FORM, UNTRAINED_FORM, feature_names, fit, stack
from tribrid.training.lists import memory_of
from tribrid.types import ScoredDoc

SNIPPET_CHARS = 60


def fitted() -> tuple[Blend, Blend, Memory]:
    """A blend with memory, one without, and the memory."""
    lists = [training_list(seed, learnable=True) for seed in range(25)]
    memory = memory_of(lists)
    features = [item.features(memory) for item in lists]
    blends = []
    for use_memory in (True, False):
        names = feature_names(features, use_memory)
        blends.append(fit(stack(lists, features, names), names, TREES_FORM, UNTRAINED_FORM, seed=1, bags=2).blend())
    return blends[0], blends[1], memory


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Blend, Blend, Memory]:
    folder = tmp_path_factory.mktemp("artifact")
    blend, without, memory = fitted()
    write_artifact(
        folder,
        manifest={"corpus_id": "c"},
        blends={"blend": blend, "blend_without_memory": without},
        statistics=STATISTICS,
        memory=memory,
        snippet_chars=SNIPPET_CHARS,
        cross_encoder=Reordering(0.0, 5),
    )
    return folder, blend, without, memory


def remembered_reading(seed: int, memory: Memory) -> Reading:
    """A search like one that is remembered, for documents that are remembered."""
    reading = reading_of(seed)
    names = list(memory.good)[: len(reading.candidates)]
    found = [
        replace(c, passage=replace(c.passage, doc_id=name)) for c, name in zip(reading.candidates, names, strict=True)
    ]
    return replace(reading, candidates=found, tokens=replace(reading.tokens, embedding=memory.queries.embeddings[0]))


@pytest.mark.parametrize("seed", range(5))
def test_what_is_read_back_scores_as_what_was_fitted(made: tuple[Path, Blend, Blend, Memory], seed: int) -> None:
    folder, blend, without, memory = made
    reading = remembered_reading(seed, memory)
    cut = [tokens.cut(SNIPPET_CHARS) for tokens in reading.passages]
    features = describe(reading.tokens, reading.candidates, cut, STATISTICS)
    features |= remember(reading.tokens, reading.candidates, memory)
    reranker = LearnedReranker(folder)
    np.testing.assert_array_equal(reranker.score(reading), blend.score(features))
    np.testing.assert_array_equal(reranker.score(reading, "blend_without_memory"), without.score(features))
    assert reranker.parts == ["served", "blend_without_memory", "untrained"]


def test_it_reads_no_further_than_in_training(made: tuple[Path, Blend, Blend, Memory]) -> None:
    reading = reading_of(1, lengths=[30] * 8)
    cut = replace(reading, passages=[tokens.cut(SNIPPET_CHARS) for tokens in reading.passages])
    assert any(len(a.ids) < len(b.ids) for a, b in zip(cut.passages, reading.passages, strict=True))
    np.testing.assert_array_equal(LearnedReranker(made[0]).score(reading), LearnedReranker(made[0]).score(cut))


def test_reading_it_changes_nothing_in_it(made: tuple[Path, Blend, Blend, Memory]) -> None:
    before = {path: path.read_bytes() for path in made[0].rglob("*") if path.is_file()}
    LearnedReranker(made[0]).score(reading_of(1))
    assert {path: path.read_bytes() for path in made[0].rglob("*") if path.is_file()} == before


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        (name, harm)
        for name in (MANIFEST, KNOWLEDGE, "blend.onnx", "blend_without_memory.onnx")
        for harm in (Path.unlink, empty, cut_short)
    ],
)
def test_a_broken_artifact_is_not_served(
    made: tuple[Path, Blend, Blend, Memory], tmp_path: Path, name: str, harm: Callable[[Path], None]
) -> None:
    folder = shutil.copytree(made[0], tmp_path / "copy")
    harm(folder / name)
    with pytest.raises(ModelUnavailable):
        LearnedReranker(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "format 2.*Train again"),
        ({"format": 99}, "format 99"),
        ({"served": {}}, "cannot be read"),
        ({"served": None}, "cannot be read"),
    ],
)
def test_a_manifest_of_another_kind_is_not_served(
    made: tuple[Path, Blend, Blend, Memory], tmp_path: Path, change: dict[str, object], said: str
) -> None:
    folder = shutil.copytree(made[0], tmp_path / "copy")
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | change))
    with pytest.raises(ModelUnavailable, match=said):
        LearnedReranker(folder)
    (folder / MANIFEST).write_text("[]")
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        LearnedReranker(folder)


def test_a_model_of_an_older_release_knows_no_signals_and_serves_as_it_did(
    made: tuple[Path, Blend, Blend, Memory], tmp_path: Path
) -> None:
    folder = shutil.copytree(made[0], tmp_path / "copy")
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["served"]["signals"]
    (folder / MANIFEST).write_text(json.dumps(manifest | {"format": 4}))
    old, new = LearnedReranker(folder), LearnedReranker(made[0])
    assert (old.signals, old.parts) == (NO_SIGNALS, new.parts)
    np.testing.assert_array_equal(old.score(reading_of(1)), new.score(reading_of(1)))
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ModelUnavailable, match="signals"):
        LearnedReranker(folder)


def test_a_cross_encoder_that_is_served_must_be_there(made: tuple[Path, Blend, Blend, Memory], tmp_path: Path) -> None:
    folder = shutil.copytree(made[0], tmp_path / "copy")
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["served"]["cross_encoder_weight"] = 0.5
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ModelUnavailable, match="cross-encoder"):
        LearnedReranker(folder)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("weight", [0.0, 0.35, 1e6])
def test_reordering_deals_out_the_head_s_scores_and_leaves_the_tail(seed: int, weight: float) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 40))
    k = int(rng.integers(1, n + 1))
    blend, read = rng.normal(size=n), rng.normal(size=k)
    out = reorder_head(blend, read, weight)
    head = np.argsort(-blend, kind="stable")[:k]
    tail = np.setdiff1d(np.arange(n), head)
    np.testing.assert_array_equal(np.sort(out), np.sort(blend))
    np.testing.assert_array_equal(np.sort(out[head]), np.sort(blend[head]))
    np.testing.assert_array_equal(out[tail], blend[tail])
    if weight == 0:
        np.testing.assert_array_equal(out, blend)
    if weight == 1e6:
        np.testing.assert_array_equal(np.argsort(-out[head], kind="stable"), np.argsort(-read, kind="stable"))


def test_reordering_equals_keeps_their_order() -> None:
    np.testing.assert_array_equal(reorder_head(np.array([3.0, 2.0, 1.0]), np.zeros(3), 1.0), [3, 2, 1])


def test_standard_scores_of_equals_are_zero() -> None:
    assert standard(np.full(4, 7.0)).tolist() == [0, 0, 0, 0]


def test_scores_fall_with_rank_past_the_reranked_head() -> None:
    head = [ScoredDoc("a", -1.0), ScoredDoc("b", -2.0)]
    tail = [ScoredDoc("c", 0.5), ScoredDoc("d", 0.1)]
    joined = above(head, tail)
    assert [doc.doc_id for doc in joined] == ["a", "b", "c", "d"]
    assert all(one.score > other.score for one, other in pairwise(joined))
    assert joined[2].score - joined[3].score == pytest.approx(0.4)
    low = [ScoredDoc("c", -9.0)]
    assert above(head, low) == [*head, *low]
    assert (above([], tail), above(head, [])) == (tail, head)


def test_ties_are_broken_as_in_measuring() -> None:
    reading = reading_of(0, n=3)
    assert [doc.doc_id for doc in ranked(reading, np.array([1.0, 1.0, 2.0]))] == ["d002", "d001", "d000"]
