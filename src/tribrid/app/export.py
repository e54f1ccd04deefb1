"""A model version as a folder for elsewhere: its card, its artifact, and what other libraries can load of it; or a
plain cross-encoder that was taught its order.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import JsonValue

from tribrid.answers.models import ModelExport
from tribrid.app.lineage import record
from tribrid.encoders.variants import MANIFEST as HUB_MANIFEST
from tribrid.errors import InvalidInput
from tribrid.loop.student import Wanted, make_student
from tribrid.report.model_card import model_card
from tribrid.report.student_card import student_card
from tribrid.scoring.blend import graph_file
from tribrid.scoring.learned import CROSS_ENCODER, MANIFEST, LearnedReranker
from tribrid.types import Emit
from tribrid.workspace.corpus import open_corpus
from tribrid.workspace.data_folder import DataFolder

ARTIFACT, BLEND = "tribrid", "blend.onnx"
ONNX, SENTENCE_TRANSFORMERS = "onnxruntime", "sentence_transformers"
STUDENT_LOADS_IN: Mapping[str, str] = {
    SENTENCE_TRANSFORMERS: "CrossEncoder(folder)",
    "transformers": "AutoModelForSequenceClassification.from_pretrained(folder)",
    "text_embeddings_inference": "--model-id folder",
    "infinity": "--model-id folder",
}
FOR_SENTENCE_TRANSFORMERS: Mapping[str, JsonValue] = {
    "modules.json": [
        {"idx": 0, "name": "0", "path": "", "type": "tribrid.training.torch_served.ServedCrossEncoder"},
    ],
    # A sigmoid, the default, would press logits into ties.
    "config_sentence_transformers.json": {
        "model_type": "CrossEncoder",
        "activation_fn": "torch.nn.modules.linear.Identity",
    },
}
"""How sentence-transformers finds the class of a cross-encoder that is no architecture of transformers."""


def export_model(data: DataFolder, model_id: str, folder: Path) -> ModelExport:
    """Write the folder, whole or not at all.

    Raises:
        ModelNotFound: there is no such model.
        ModelUnavailable: its artifact is missing or damaged.
        InvalidInput: there is something at this place already, or it cannot be written to.
    """
    model = data.store.models.get(model_id)
    artifact = data.store.artifacts.verified(model.artifact)
    LearnedReranker(artifact)  # it serves, or is not handed on
    target = _target(folder)
    with _staged(target) as staged:
        loads_in = _write(data, model_id, artifact, staged)
    return _told(model_id, target, loads_in)


def export_student(data: DataFolder, wanted: Wanted, folder: Path, emit: Emit) -> ModelExport:
    """Teach the model's order to a cross-encoder, and write that, whole or not at all.

    Raises:
        ModelNotFound, InvalidInput: as `export_model`.
        TribridError: as `make_student`.
    """
    found = record(data, wanted.model_id)
    corpus, target = open_corpus(data, found.corpus_id), _target(folder)
    with _staged(target) as staged, TemporaryDirectory(dir=data.data_dir, prefix="student-") as work:
        student = make_student(corpus, wanted, staged, Path(work), emit)
        (staged / "README.md").write_text(student_card(found, student), "utf-8")
    return _told(wanted.model_id, target, STUDENT_LOADS_IN).model_copy(update={"student": student})


def _target(folder: Path) -> Path:
    """Where to write.

    Raises:
        InvalidInput: there is something already.
    """
    target = folder.expanduser().absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InvalidInput(f"{target} is there already: name a new folder.", path=str(target))
    return target


@contextmanager
def _staged(target: Path) -> Iterator[Path]:
    """A folder to fill, which is the target once that is done.

    Raises:
        InvalidInput: nothing can be written there.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise InvalidInput(f"{target} cannot be written: {error.strerror}.", path=str(target)) from error
    try:
        yield staged
        _open(staged)
        if target.exists():
            target.rmdir()
        staged.rename(target)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _told(model_id: str, target: Path, loads_in: Mapping[str, str]) -> ModelExport:
    files = sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file())
    return ModelExport(model_id=model_id, folder=str(target), files=tuple(files), loads_in=dict(loads_in))


def _write(data: DataFolder, model_id: str, artifact: Path, folder: Path) -> dict[str, str]:
    """Fill the folder. Library -> how it loads what it can."""
    shutil.copytree(artifact, folder / ARTIFACT, copy_function=_copied)
    manifest = json.loads((artifact / MANIFEST).read_text("utf-8"))
    _copied(str(graph_file(artifact, "blend")), str(folder / BLEND))
    blend = f"InferenceSession({BLEND!r}): features in the order that the card lists -> score"
    loads_in = {ONNX: blend} | _cross_encoder(artifact, folder)
    found = record(data, model_id)
    reports = [data.store.evaluations.get(row.evaluation_id) for row in found.evaluations[:1]]
    (folder / "record.json").write_text(json.dumps(found.model_dump(mode="json"), indent=1, sort_keys=True), "utf-8")
    card = model_card(found, reports[0] if reports else None, manifest["served"], loads_in)
    (folder / "README.md").write_text(card, "utf-8")
    return loads_in


def _open(folder: Path) -> None:
    """Let others read it: the folders of `mkdtemp` and of an artifact are their owner's alone."""
    for inside in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        inside.chmod(0o755)


def _copied(source: str, target: str) -> str:
    """Copy, writable again: artifacts are read-only."""
    shutil.copyfile(source, target)
    return target


def _cross_encoder(artifact: Path, folder: Path) -> dict[str, str]:
    """What can be loaded of the cross-encoder, put where its library looks for it."""
    inside = artifact / CROSS_ENCODER
    if not inside.is_dir():
        return {}
    shutil.copytree(inside, folder, dirs_exist_ok=True, copy_function=_copied)
    blend = f"; InferenceSession({BLEND!r}): the blend"
    if (inside / HUB_MANIFEST).is_file():
        return {
            ONNX: f"InferenceSession('model.onnx'): the cross-encoder's logit{blend}",
            SENTENCE_TRANSFORMERS: "CrossEncoder(folder)",
        }
    for name, content in FOR_SENTENCE_TRANSFORMERS.items():
        (folder / name).write_text(json.dumps(content, indent=1), "utf-8")
    return {
        ONNX: f"InferenceSession('lower.onnx'), InferenceSession('joint.onnx'): the cross-encoder's halves{blend}",
        SENTENCE_TRANSFORMERS: "CrossEncoder(folder, trust_remote_code=True), with tribrid installed",
    }
