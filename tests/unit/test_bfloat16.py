"""Reading in bfloat16: near to float32, nothing sent or written on import, and many threads at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tribrid.encoders import bfloat16
from tribrid.encoders.models import ensure_export
from tribrid.encoders.onnx import Encoder, load_small_session, pad
from tribrid.errors import ModelUnavailable

pytestmark = pytest.mark.skipif(not bfloat16.available(), reason="this processor does not multiply bfloat16")

IMPORTED = """
import sys
from tribrid.encoders import bfloat16

print(bfloat16.available(), any(name.startswith("openvino_telemetry") for name in sys.modules))
"""
TEXTS = [
    "Vitamin D and the risk of asthma.",
    "How to return a parcel",
    "Ports and firewalls of the staging cluster " * 30,
]
BATCH_IN_THREADS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
from tribrid.encoders.bfloat16 import Bfloat16

forward = Bfloat16(Path(sys.argv[1]), 4)
ids = np.ones((1, 7), np.int64)
with ThreadPoolExecutor(4) as pool:
    print(len([states for states in pool.map(lambda _: forward(ids, ids), range(16))]))
"""


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_export(tmp_path_factory.mktemp("models"), "all-MiniLM-L6-v2", "encoder")


def test_a_text_is_read_as_in_float32_whatever_it_is_padded_to(export: Path) -> None:
    session = load_small_session(export / "model.onnx")
    for text, found in zip(TEXTS, Encoder(export).encode(TEXTS), strict=True):
        ids = pad([Encoder(export)._tokenizer.encode(text).ids])
        states = session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0][0]
        pooled = states.mean(axis=0) / np.linalg.norm(states.mean(axis=0))
        assert float(pooled @ found.pooled) > 0.9995
        rows = states[1:-1] / np.linalg.norm(states[1:-1], axis=1, keepdims=True)
        assert float((rows * found.vectors).sum(axis=1).min()) > 0.995


def test_the_same_text_alone_or_among_others_has_the_same_neighbours(export: Path) -> None:
    encoder = Encoder(export)
    alone = np.stack([encoder.encode([text])[0].pooled for text in TEXTS])
    together = np.stack([text.pooled for text in encoder.encode(TEXTS * 20)[: len(TEXTS)]])
    assert float((alone * together).sum(axis=1).min()) > 0.9999


def test_importing_it_writes_no_id_and_loads_no_telemetry(tmp_path: Path) -> None:
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            IMPORTED,
        ],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert told.stdout.split() == ["True", "False"]
    assert list(tmp_path.iterdir()) == []


def test_many_threads_may_be_the_first_to_ask(export: Path) -> None:
    call = [sys.executable, "-c", BATCH_IN_THREADS, str(export / "model.onnx")]
    told = subprocess.run(call, capture_output=True, text=True, check=True, timeout=300)
    assert told.stdout.split() == ["16"]


def test_a_file_that_is_no_model_is_refused_in_words(export: Path, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(export, folder)
    (folder / "model.onnx").chmod(0o600)
    (folder / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(ModelUnavailable, match=r"cannot load model\.onnx"):
        Encoder(folder).encode(["a text"])


def test_threads_share_what_is_loaded(export: Path) -> None:
    forward = bfloat16.Bfloat16(export / "model.onnx", 2)
    ids = pad([[101, 2054, 102], [101, 102]])
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: forward(ids, (ids > 0).astype(np.int64))[:, :3], range(12)))
    assert all(np.allclose(states, found[0], atol=1e-3) for states in found)
