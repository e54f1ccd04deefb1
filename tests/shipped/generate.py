"""Writes src/tribrid/encoders/shipped: exports of built-in encoders that need no torch where they are used.

    PYTHONPATH=src python tests/shipped/generate.py

A graph that torch exported is nodes and weights, and the weights are the model's own: all of them are in its
safetensors file, some of them transposed. So the graph that ships holds the nodes alone and says where in that file
each weight begins (ONNX's external data). The projection ships with it: to make it takes longer than all the rest.
"""

from __future__ import annotations

import json
import shutil
import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from tribrid.encoders.models import SHIPPED, WEIGHTS, fingerprint, locate
from tribrid.encoders.torch_export import max_tokens_of, write_export

MODELS = ("all-MiniLM-L6-v2",)
Place = tuple[str, int, int, bool]
"""A tensor's name in the safetensors file, where it begins there, its bytes, and whether it is transposed."""


def weights_of(path: Path) -> dict[tuple[tuple[int, ...], bytes], Place]:
    """Where each float32 tensor of the file is, by shape and content, and by those of its transpose."""
    data = path.read_bytes()
    (header,) = struct.unpack_from("<Q", data)
    found: dict[tuple[tuple[int, ...], bytes], Place] = {}
    for name, told in json.loads(data[8 : 8 + header]).items():
        if told.get("dtype") != "F32":
            continue
        begin, end = (8 + header + offset for offset in told["data_offsets"])
        array = np.frombuffer(data[begin:end], np.float32).reshape(told["shape"])
        found[array.shape, array.tobytes()] = (name, begin, end - begin, False)
        if array.ndim == 2:
            found.setdefault((array.T.shape, array.T.tobytes()), (name, begin, end - begin, True))
    return found


def without_weights(model: onnx.ModelProto, weights: dict[tuple[tuple[int, ...], bytes], Place]) -> onnx.ModelProto:
    """The same graph, with each weight read from the safetensors file, and transposed where it has to be."""
    kept, turned = [], []
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        place = weights.get((array.shape, array.tobytes()))
        if place is None:
            kept.append(tensor)
            continue
        kept.append(reference(tensor.name, array, place))
        if place[3]:
            kept[-1].name += "_as_kept"
            turned.append(onnx.helper.make_node("Transpose", [kept[-1].name], [tensor.name], perm=[1, 0]))
    nodes = [*turned, *model.graph.node]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(nodes)
    return model


def reference(name: str, array: np.ndarray[Any, Any], place: Place) -> onnx.TensorProto:
    _, begin, length, transposed = place
    shape = array.shape[::-1] if transposed else array.shape
    tensor = onnx.TensorProto(name=name, data_type=onnx.TensorProto.FLOAT, dims=shape)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", WEIGHTS), ("offset", begin), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def main() -> None:
    for name in MODELS:
        source, folder = locate(name), SHIPPED / name
        shutil.rmtree(folder, ignore_errors=True)
        with tempfile.TemporaryDirectory() as temporary:
            made = Path(temporary)
            write_export(source, made, "encoder", name, max_tokens_of(source, "encoder"))
            model = without_weights(onnx.load(made / "model.onnx"), weights_of(source / WEIGHTS))
            folder.mkdir(parents=True)
            onnx.save(model, folder / "model.onnx")
            shutil.copy(made / "projection.npy", folder)
            manifest = json.loads((made / "manifest.json").read_text("utf-8"))
            told = {**manifest, "source": fingerprint(source)}
            (folder / "manifest.json").write_text(json.dumps(told, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
