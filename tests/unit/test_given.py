"""What is kept between reranks, which models may be named, and how routes may be spelled."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tiny
from tribrid.api.dialects import canonical
from tribrid.config import read_environment
from tribrid.errors import Cancelled
from tribrid.scoring.budget import Budget
from tribrid.scoring.embedded import EmbeddedTexts
from tribrid.scoring.models import local_rerankers
from tribrid.types import Passage
from tribrid.workspace import Workspace


def test_texts_are_embedded_once(tmp_path: Path) -> None:
    ws = Workspace(read_environment().model_copy(update={"data_dir": tmp_path}))
    embedder = ws.embedder(ws.config())
    texts = EmbeddedTexts(embedder)
    passages = [Passage("a", n, 0, 9, "", f"soup {n % 100}") for n in range(150)]
    first = texts.embed(passages, kept=100)
    assert len(first) == 150
    np.testing.assert_array_equal(first[0][0], first[100][0])
    again = texts.embed(passages, kept=100)
    assert all(one is other for (one, _), (other, _) in zip(first, again, strict=True)), "kept, not made again"
    np.testing.assert_allclose(first[7][0], embedder.embed_passages([passages[7]])[0][0], atol=1e-5)
    few = texts.embed(passages[:3], kept=2)
    assert few[2][0] is texts.embed([passages[2]], kept=2)[0][0]
    assert few[0][0] is not texts.embed([passages[0]], kept=2)[0][0], "the oldest was let go"
    gone = Budget()
    gone.leave()
    with pytest.raises(Cancelled):
        texts.embed([Passage("a", 0, 0, 9, "", "nobody waits for this")], 100, gone)
    ws.close()


def test_only_cross_encoders_of_the_models_folder_may_be_named(tmp_path: Path) -> None:
    tiny.build_cross_encoder(tmp_path / "org" / "reranker")
    tiny.build_encoder(tmp_path / "encoder")
    (tmp_path / "made-cross-encoder-1").mkdir()
    told = {"role": "cross-encoder", "model_id": "/somewhere/made"}
    (tmp_path / "made-cross-encoder-1" / "manifest.json").write_text(json.dumps(told), "utf-8")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{", "utf-8")
    (tmp_path / "broken" / "manifest.json").write_text("[]", "utf-8")
    found = local_rerankers(tmp_path)
    assert found == {
        "org/reranker": str(tmp_path / "org" / "reranker"),
        "made": str(tmp_path / "made-cross-encoder-1"),
    }
    assert local_rerankers(tmp_path / "none") == {}


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/rerank", "/rerank"), ("//rerank", "/rerank"), ("/rerank/", "/rerank"), ("/v1/rerank", "/v1/rerank"),
        ("/v1/v1/rerank", "/v1/rerank"), ("/v1/v2/rerank", "/v2/rerank"), ("/rerank/rerank", "/rerank"),
        ("/v1/rerank/v2/rerank", "/v2/rerank"), ("/v2/reranking", "/v2/rerank"), ("/v1/reranking", "/v1/reranking"),
        ("/voyage/v1/rerank", "/voyage/v1/rerank"), ("/voyage/rerank", "/voyage/v1/rerank"), ("/reranker/status", None),
        ("/v1", None), ("/", None), ("/v1/rerank/x", None), ("/corpora/rerank/documents", None),
        ("/corpora/rerank", None),
    ],
)  # fmt: skip
def test_a_route_by_any_spelling(path: str, route: str | None) -> None:
    assert canonical(path) == route
