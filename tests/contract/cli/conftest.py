"""The command line in this process or in one of its own, on a data folder with a corpus, labels and a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli_calls import FAST, Cli, Done, start
from http_examples import DOCUMENTS, EVALUATION, TRAINING, ndjson
from tribrid.cli.program import run


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


@pytest.fixture
def cli(data_dir: Path, capfd: pytest.CaptureFixture[str]) -> Cli:
    """Run a command on the module's data folder, in this process."""

    def call(*words: str) -> Done:
        capfd.readouterr()
        code = run(["--data-dir", str(data_dir), *words])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return Done(code, out, err)

    return call


@pytest.fixture(scope="module")
def corpus(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A corpus with judgments, an eval dataset and triplets."""
    files = tmp_path_factory.mktemp("files")
    (files / "corpus.jsonl").write_bytes(ndjson(DOCUMENTS))
    (files / "training.json").write_text(json.dumps({"queries": TRAINING}))
    (files / "eval.json").write_text(json.dumps({"queries": EVALUATION}))
    for words in (
        ["index", "notes", str(files / "corpus.jsonl")],
        ["evalset", "notes", "--file", str(files / "eval.json")],
        ["judgments", "notes", "--file", str(files / "training.json")],
        ["mine", "notes", "--source", "judgments"],
    ):
        assert run(["--data-dir", str(data_dir), "--json", *words]) == 0
    return "notes"


@pytest.fixture(scope="module")
def run_id(data_dir: Path, corpus: str) -> str:
    """A training that succeeded, and so a model."""
    training = start(data_dir, "train", corpus, *FAST, "--json")
    out, err = training.communicate(timeout=100)
    assert training.returncode == 0, err.decode()
    trained: dict[str, Any] = json.loads(out)
    assert trained["status"] == "succeeded"
    return str(trained["run_id"])
