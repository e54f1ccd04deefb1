"""Token vectors, packed and unpacked; and that what the encoder says of a text is the text's alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tribrid.encoders.models import ensure_export
from tribrid.encoders.onnx import EncodedText, Encoder
from tribrid.encoders.tokens import WIDTH, PassageEmbedder, PassageTokens, TokenCodec, passage_text
from tribrid.errors import StaleIndex
from tribrid.types import Passage

POOLED = np.ones(1, np.float32)
"""Of a passage whose vector does not matter."""
TEXTS = [
    "how do I renew the certificate",
    "",
    "soup",
    "the kitchen index " * 90,  # longer than the model reads
    "To renew the certificate run the proxy. " * 6,
    "snake_case camelCase 123 ünïcode 字 🙂",
    " ",
]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    environ = os.environ
    return Encoder(
        ensure_export(Path(environ["TRIBRID_MODELS_DIR"]), environ["TRIBRID_TRAINING__BASE_MODEL"], "encoder")
    )


def encoded(ids: list[int], ends: list[int], dim: int = 32, seed: int = 0) -> EncodedText:
    rows = np.random.default_rng(seed).normal(size=(len(ids), dim)).astype(np.float32)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    pooled = np.full(dim, dim**-0.5, np.float32)
    return EncodedText(pooled, np.array(ids, np.int64), rows, np.array(ends, np.int64))


def cosines(a: Any, b: Any) -> Any:
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def codec(dim: int = 32) -> TokenCodec:
    return TokenCodec(np.linalg.qr(np.random.default_rng(1).normal(size=(dim, dim)))[0][:, :WIDTH].astype(np.float32))


def test_a_text_does_not_depend_on_its_neighbours(encoder: Encoder) -> None:
    together = encoder.encode(TEXTS)
    for text, among in zip(TEXTS, together, strict=True):
        alone = encoder.encode([text])[0]
        np.testing.assert_array_equal(alone.ids, among.ids)
        np.testing.assert_allclose(alone.vectors, among.vectors, atol=1e-5)
        np.testing.assert_allclose(alone.pooled, among.pooled, atol=1e-5)


def test_a_text_does_not_depend_on_the_order(encoder: Encoder) -> None:
    forward, backward = encoder.encode(TEXTS), encoder.encode(TEXTS[::-1])[::-1]
    for a, b in zip(forward, backward, strict=True):
        np.testing.assert_allclose(a.pooled, b.pooled, atol=1e-5)


def test_what_is_encoded_is_normalised_and_bounded(encoder: Encoder) -> None:
    for text, found in zip(TEXTS, encoder.encode(TEXTS, max_tokens=20), strict=True):
        assert len(found.ids) == len(found.ends) == len(found.vectors) <= 20
        assert np.linalg.norm(found.pooled) == pytest.approx(1, abs=1e-4)
        np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-4)
        assert all(0 <= end <= len(text) for end in found.ends)
    assert encoder.encode([]) == []


def test_a_text_of_megabytes_costs_what_is_read_of_it(encoder: Encoder) -> None:
    long = encoder.encode(["read " * 1_000_000])[0]
    np.testing.assert_allclose(long.pooled, encoder.encode(["read " * 500])[0].pooled, atol=1e-6)


def test_packing_keeps_ids_and_nearly_keeps_directions() -> None:
    text = encoded(list(range(100, 140)), list(range(3, 43)))
    tokens = codec().unpack(codec().pack(text, 0), POOLED)
    np.testing.assert_array_equal(tokens.ids, text.ids)
    np.testing.assert_array_equal(tokens.ends, text.ends)
    # int8 with one scale a row: half a step of 1/127 of the largest component, and the scale in float16.
    np.testing.assert_allclose(tokens.vectors, codec().query("q", text).vectors, atol=0.5 / 127 + 1e-3)
    assert (cosines(tokens.vectors, codec().query("q", text).vectors) > 0.999).all()


def test_ids_beyond_sixteen_bits_survive() -> None:
    ids = [0, 65_535, 65_536, 250_001]
    np.testing.assert_array_equal(codec().unpack(codec().pack(encoded(ids, [1, 2, 3, 4]), 0), POOLED).ids, ids)


def test_a_text_of_no_tokens_survives() -> None:
    tokens = codec().unpack(codec().pack(encoded([], []), 0), POOLED)
    assert tokens.vectors.shape == (0, 32)
    assert tokens.cut(10) is tokens


def test_a_row_of_zeros_survives() -> None:
    text = encoded([5], [1])
    text.vectors[:] = 0
    assert not codec().unpack(codec().pack(text, 0), POOLED).vectors.any()


def test_the_title_is_told_from_the_text(encoder: Encoder) -> None:
    embedder = PassageEmbedder(encoder)
    vectors, blobs = embedder.embed_passages(
        [Passage("a", 0, 0, 9, "renew proxy", "soup soup"), Passage("b", 0, 0, 9, "", "soup soup")]
    )
    with_title, without = map(embedder.codec.unpack, blobs, vectors)
    assert (with_title.title, with_title.ends.tolist()) == (2, [0, 0, 4, 9])
    assert (without.title, without.ends.tolist()) == (0, [4, 9])
    np.testing.assert_array_equal(with_title.ids[2:], without.ids)


@pytest.mark.parametrize(("chars", "kept"), [(0, 2), (3, 2), (4, 3), (8, 3), (9, 4), (1000, 4)])
def test_a_snippet_is_cut_at_the_last_whole_token(encoder: Encoder, chars: int, kept: int) -> None:
    embedder = PassageEmbedder(encoder)
    blob = embedder.embed_passages([Passage("a", 0, 0, 9, "renew proxy", "soup soup")])[1][0]
    whole = embedder.codec.unpack(blob, POOLED)
    part = whole.cut(chars)
    assert len(part.ids) == len(part.vectors) == len(part.ends) == kept  # the title always stays
    np.testing.assert_array_equal(part.vectors, whole.vectors[:kept])


def test_cutting_nothing_changes_nothing() -> None:
    codes, scales = np.ones((3, 4), np.int8), np.ones(3, np.float32)
    tokens = PassageTokens(np.arange(3), codes, scales, 0, np.array([1, 2, 3]), POOLED)
    assert tokens.cut(3) is tokens


def test_another_format_is_refused() -> None:
    blob = bytearray(codec().pack(encoded([1], [1]), 0))
    blob[0] = 99
    with pytest.raises(StaleIndex, match="format 99"):
        codec().unpack(bytes(blob), POOLED)


def test_a_query_is_projected_like_a_passage(encoder: Encoder) -> None:
    embedder = PassageEmbedder(encoder)
    query = embedder.query_tokens("renew the certificate")
    blob = embedder.embed_passages([Passage("a", 0, 0, 21, "", "renew the certificate")])[1][0]
    passage = embedder.codec.unpack(blob, POOLED)
    np.testing.assert_array_equal(query.ids, passage.ids)
    assert (cosines(query.vectors, passage.vectors) > 0.999).all()
    np.testing.assert_allclose(query.embedding, embedder.embed_query("renew the certificate"), atol=1e-6)


def test_title_and_text_meet_the_encoder_in_one_form() -> None:
    assert passage_text("Title", "text") == "Title\ntext"
    assert passage_text("", "text") == "text"


def test_no_passages_embed_to_nothing(encoder: Encoder) -> None:
    vectors, blobs = PassageEmbedder(encoder).embed_passages([])
    assert (vectors.shape, blobs) == ((0, 32), [])
