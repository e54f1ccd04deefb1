"""The blend as it is served: its arithmetic, its files, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from synthetic import training_list
from tribrid.errors import ModelUnavailable, ScorerFailed
from tribrid.scoring.blend import Blend
from tribrid.scoring.features import Features
from tribrid.training.blend import LEARNED, LINEAR, RETRIEVAL, UNTRAINED_FORM, feature_names, fit, stack
from tribrid.training.lists import memory_of
from tribrid.types import ScoredDoc, rank_order

LISTS = [training_list(seed, learnable=True) for seed in range(30)]
MEMORY = memory_of(LISTS)
FEATURES: list[Features] = [item.features(MEMORY) for item in LISTS]
NAMES = feature_names(FEATURES, use_memory=True)


@pytest.fixture(scope="module", params=[RETRIEVAL, UNTRAINED_FORM, *LEARNED])
def blend(request: pytest.FixtureRequest) -> Blend:
    return fit(stack(LISTS, FEATURES, NAMES), NAMES, request.param, UNTRAINED_FORM, seed=1).blend()


@pytest.mark.parametrize("seed", range(5))
def test_the_form_retrieval_ranks_as_the_first_stage(seed: int) -> None:
    fused = fit(stack(LISTS, FEATURES, NAMES), NAMES, RETRIEVAL, RETRIEVAL, seed=1).blend()
    item = training_list(1000 + seed, learnable=False, n=50)
    scores = fused.score(item.features(MEMORY))
    ranked = rank_order(ScoredDoc(c.doc_id, float(s)) for c, s in zip(item.candidates, scores, strict=True))
    assert [doc.doc_id for doc in ranked] == [c.doc_id for c in item.candidates]


def test_what_is_read_back_scores_the_same(blend: Blend, tmp_path: Path) -> None:
    blend.save(tmp_path, "blend")
    read = Blend.load(tmp_path, "blend", blend.names)
    for features in FEATURES:
        np.testing.assert_array_equal(read.score(features), blend.score(features))


def test_scores_do_not_depend_on_the_other_features(blend: Blend) -> None:
    more = FEATURES[0] | {"another": np.full(12, np.nan, np.float32)}
    np.testing.assert_array_equal(blend.score(more), blend.score(FEATURES[0]))


def test_a_missing_feature_is_named(blend: Blend) -> None:
    with pytest.raises(ScorerFailed, match="maxsim_idf"):
        blend.score({name: values for name, values in FEATURES[0].items() if name != "maxsim_idf"})


def test_a_score_that_is_no_number_is_not_served(blend: Blend) -> None:
    with pytest.raises(ScorerFailed, match="not a number"):
        blend.score(FEATURES[0] | {"fused": np.full(12, np.nan, np.float32)})


@pytest.mark.parametrize("n", [0, 1, 12])
def test_a_list_of_any_length_is_scored(blend: Blend, n: int) -> None:
    few = {name: values[:n] for name, values in FEATURES[0].items()}
    np.testing.assert_array_equal(blend.score(few), blend.score(FEATURES[0])[:n])


def test_a_lost_file_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="blend"):
        Blend.load(tmp_path, "blend", NAMES)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe nonsense", b"tree\n"])
def test_a_broken_file_is_noticed(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "blend.onnx").write_bytes(content)
    with pytest.raises(ModelUnavailable):
        Blend.load(tmp_path, "blend", NAMES)


def test_other_names_than_it_was_fitted_on_are_noticed(tmp_path: Path) -> None:
    linear = fit(stack(LISTS, FEATURES, NAMES), NAMES, LINEAR, UNTRAINED_FORM, seed=1).blend()
    linear.save(tmp_path, "blend")
    for other in (linear.names[:-1], linear.names[::-1]):
        with pytest.raises(ModelUnavailable, match="other features"):
            Blend.load(tmp_path, "blend", other)
