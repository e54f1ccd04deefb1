"""No model is a program: weights are safetensors or ONNX, code that comes with a model is never run."""

from __future__ import annotations

import ast
import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

import tiny
import tribrid
from tribrid.encoders.models import ensure_export, trainable_as
from tribrid.errors import ModelUnavailable

PRODUCT = sorted(Path(tribrid.__file__).parent.rglob("*.py"))
# torch.load reads pickles; checkpoints of our own trainings are read with weights_only.
REFUSED = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal"}


def calls(path: Path) -> Iterator[tuple[str, dict[str, object], int]]:
    """(name called, its constant keywords, line) of every call."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
            constants: dict[str, object] = {
                k.arg: k.value.value for k in node.keywords if k.arg and isinstance(k.value, ast.Constant)
            }
            yield f"{owner}.{name}".strip("."), constants, node.lineno


def test_every_loading_refuses_code_and_pickles() -> None:
    loads = [(path, *call) for path in PRODUCT for call in calls(path)]
    hub = [row for row in loads if row[1].endswith(".from_pretrained") and row[1].startswith("Auto")]
    assert len(hub) >= 3
    for path, name, given, line in hub:
        assert given.get("trust_remote_code") is False, f"{path}:{line}"
        if name.startswith("AutoModel"):
            assert given.get("use_safetensors") is True, f"{path}:{line}"
    for path, name, given, line in loads:
        if name == "np.load":
            assert given.get("allow_pickle") is False, f"{path}:{line}"
        if name == "torch.load":
            assert given.get("weights_only") is True, f"{path}:{line}"
        assert given.get("trust_remote_code") is not True, f"{path}:{line}"


def test_nothing_imports_a_reader_of_pickles() -> None:
    for path in PRODUCT:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            if isinstance(node, ast.ImportFrom) and node.module in REFUSED:
                assert names == ["UnpicklingError"], path
            elif isinstance(node, ast.Import):
                assert not {name.split(".")[0] for name in names} & REFUSED, path


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("went-off"),)  # type: ignore[return-value]


def test_pickled_weights_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tiny.build_encoder(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ModelUnavailable, match="safetensors"):
        ensure_export(tmp_path / "models", str(folder), "encoder")
    with pytest.raises(ModelUnavailable, match="safetensors"):
        trainable_as(folder)
    assert not (tmp_path / "went-off").exists()


@pytest.mark.slow
def test_code_beside_the_weights_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tiny.build_encoder(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoModel": "own.Own", "AutoConfig": "own.OwnConfig"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text("open('went-off', 'w')")
    with pytest.raises(ModelUnavailable):
        ensure_export(tmp_path / "models", str(folder), "encoder")
    assert not (tmp_path / "went-off").exists()
