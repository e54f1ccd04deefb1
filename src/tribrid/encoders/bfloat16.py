"""The only file that runs OpenVINO: an encoder's graph in bfloat16, on processors that multiply it in hardware.

float32's eight bits of exponent and half of its bits in all: what a passage is near to stays what it was, at nearly
twice the speed. A processor without it has nothing to win here, and onnxruntime reads in float32.
"""

from __future__ import annotations

import importlib.util
import sys
from collections import deque
from functools import cache
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import Any

import numpy as np

from tribrid.errors import ModelUnavailable

_SHAPE_STEP, _SHAPE_STEP_ALONE = 16, 8
"""Tokens. Widths are rounded up to this, of a single text to less: kernels are made anew for each shape, so that few
shapes shall occur, but what a query is padded with is read too.
"""


@cache
def available() -> bool:
    """Whether the extra `fast` is installed and this processor multiplies bfloat16."""
    if importlib.util.find_spec("openvino") is None:
        return False
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


_opening = Lock()


@cache
def _opened() -> Any:
    openvino = _openvino()
    # What binds it to numpy is made with the first tensor that is read, and two threads that read their first ones at
    # the same time wait for each other for ever (2026.4.1): so here is one, before there are threads.
    _ = openvino.Tensor(np.zeros(1, np.float32)).data
    return openvino.Core()


def _core() -> Any:
    with _opening:
        return _opened()


def _openvino() -> Any:
    """OpenVINO, imported without its telemetry: that writes an id into the home folder and sends an event to an
    analytics service, on import and unasked. OpenVINO goes without where the package is not there.
    """
    known = sys.modules.get("openvino_telemetry")
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # what makes an import fail
    try:
        import openvino
    finally:
        del sys.modules["openvino_telemetry"]
        if known is not None:
            sys.modules["openvino_telemetry"] = known
    return openvino


class Bfloat16:
    """An ONNX graph of token ids and mask to hidden states. Compiled with the first call. Safe for threads.

    A call waits where `threads` others are running, so what must not wait gets a compiled graph of its own.
    """

    def __init__(self, path: Path, threads: int) -> None:
        """Nothing is loaded yet. `threads`: runs at a time, each on one thread."""
        self._path, self._threads = path, threads
        self._lock = Lock()
        # Each request keeps buffers of the largest shape it has met, so that there are no more of them than runs.
        self._free = BoundedSemaphore(threads)
        self._compiled: Any = None
        self._idle: deque[Any] = deque()

    def load(self) -> Any:
        """The compiled graph.

        Raises:
            ModelUnavailable: OpenVINO refuses the file.
        """
        with self._lock:
            if self._compiled is None:
                options = {
                    "INFERENCE_PRECISION_HINT": "bf16",
                    "NUM_STREAMS": self._threads,
                    "INFERENCE_NUM_THREADS": self._threads,
                    # Workers and servers share the cores: two that pin their threads meet on the same one.
                    "ENABLE_CPU_PINNING": False,
                }
                try:
                    self._compiled = _core().compile_model(str(self._path), "CPU", options)
                except Exception as error:
                    name = self._path.name
                    raise ModelUnavailable(f"OpenVINO cannot load {name}: {error}", file=name) from error
        return self._compiled

    def __call__(
        self, ids: np.ndarray[Any, np.dtype[np.int64]], mask: np.ndarray[Any, np.dtype[np.int64]]
    ) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Hidden states, float32 (texts, width or more, dim), of ids and mask int64 (texts, width).

        Raises:
            ModelUnavailable: as `load`.
            RuntimeError: OpenVINO failed.
        """
        spare = -ids.shape[1] % (_SHAPE_STEP_ALONE if len(ids) == 1 else _SHAPE_STEP)
        padded = {"input_ids": np.pad(ids, ((0, 0), (0, spare))), "attention_mask": np.pad(mask, ((0, 0), (0, spare)))}
        with self._free:
            try:
                request = self._idle.pop()
            except IndexError:
                request = self.load().create_infer_request()
            states: np.ndarray[Any, np.dtype[np.float32]] = request.infer(padded)[0]
            self._idle.append(request)
        return states
