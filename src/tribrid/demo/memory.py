"""What the demo remembers in its data folder, so that a second run shows the result and an interrupted one goes on."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tribrid.version import __version__


@dataclass(slots=True)
class Memory:
    """How far the demo got. Empty ids: not there yet.

    Attributes:
        made_by: the interpreter and the version of Tribrid, which decide the collection.
        collection: its sha256.
        documents: how many of its documents are indexed.
        labelled: whether judgments and eval dataset are stored.
        took_s: seconds by stage, over all the runs it took.
    """

    made_by: str
    collection: str
    documents: int = 0
    labelled: bool = False
    mine_job: str = ""
    train_run: str = ""
    evaluate_job: str = ""
    evaluation_id: str = ""
    took_s: dict[str, float] = field(default_factory=dict)


def maker() -> str:
    """This interpreter and this version of Tribrid."""
    return f"Python {sys.version}, Tribrid {__version__}"


def recall(folder: Path) -> Memory | None:
    """What is remembered; None if nothing is, or not in this form."""
    try:
        return Memory(**json.loads(_path(folder).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def remember(folder: Path, memory: Memory) -> None:
    """Write it down so that a crash leaves the old or the new, never a half."""
    path = _path(folder)
    staged = path.with_suffix(".tmp")
    staged.write_text(json.dumps(asdict(memory), indent=2), encoding="utf-8")
    os.replace(staged, path)


def _path(folder: Path) -> Path:
    return folder / "demo.json"
