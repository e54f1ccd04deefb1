"""Bad input: an exit code from the error tree, words instead of tracebacks, nothing half-written."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from cli_calls import Cli
from tribrid.cli.program import run

BAD = {
    2: [
        ["frobnicate"],
        ["search", "notes"],
        ["search", "notes", "x", "--top-k", "0"],
        ["search", "notes", "x", "--bogus"],
        ["search", "notes", ""],
        ["search", "notes", "a\0b"],
        ["search", "notes", "\udcff"],
        ["search", "notes", "x" * 200_000],
        ["index", "../up", "."],
        ["index", "notes", "no-such-file"],
        ["index", "notes", "no-such-file.jsonl"],
        ["feedback", "nobody", "a", "--signal", "wave"],
        ["import", "notes", "no-such-file"],
        ["judgments", "notes", "--qrels", "x.tsv"],
        ["judgments", "notes", "--queries", "no", "--qrels", "no"],
        ["evalset", "notes", "--file", "no-such-file"],
        ["mine", "notes", "--max-pairs", "0"],
        ["mine", "notes", "--source", "rumours"],
        ["train", "notes", "--set", "bogus=1"],
        ["train", "notes", "--set", "epochs"],
        ["train", "notes", "--epochs", "1", "--set", "epochs=2"],
        ["train", "notes", "--epochs", "0"],
        ["train", "notes", "--set", "learning_rate=nan"],
        ["evaluate", "notes", "--no-wait", "--gate"],
        ["evaluate", "notes", "--html", "no/such/folder/page.html"],
        ["evaluate", "notes", "--junit", "."],
        ["evaluations", "a", "b"],
        ["evaluations", "diff", "a"],
        ["evaluations", "--html", "page.html"],
        ["evaluations", "\udcff"],
        ["runs", "diff", "a", "b", "c"],
        ["promote", "notes", "--force"],
        ["models", "show", "one", "two"],
        ["models", "export", "nobody"],
        ["erase", "notes"],
        ["erase", "notes", "--query", "x", "--doc-id", "y"],
        ["runs", "--cancel"],
        ["corpora", "--delete"],
        ["config", "training.bogus=1"],
        ["config", "bogus.epochs=1"],
        ["config", "training.epochs=many"],
        ["config", "epochs=2"],
        ["config", "one", "two"],
        ["config", "--unset", "training.bogus"],
        ["serve", "--host", "0.0.0.0"],
        ["serve", "--port", "70000"],
    ],
    3: [
        ["search", "nowhere", "x"],
        ["corpora", "nowhere"],
        ["evaluations", "none"],
        ["evaluations", "diff", "a", "b"],
        ["evaluations", "--corpus", "nowhere"],
        ["runs", "diff", "a", "b"],
        ["feedback", "nobody", "a", "--signal", "click"],
        ["import", "nowhere", "-"],
        ["judgments", "nowhere"],
        ["mine", "nowhere"],
        ["train", "nowhere"],
        ["evaluate", "nowhere"],
        ["evaluate", "notes", "--model", "nobody"],
        ["models", "nowhere"],
        ["models", "show", "nobody"],
        ["models", "export", "nobody", "somewhere"],
        ["erase", "notes", "--query-id", "nobody"],
        ["promote", "notes", "nobody", "--reason", "x"],
        ["runs", "nobody"],
        ["runs", "nobody", "--follow"],
        ["runs", "nobody", "--cancel"],
        ["config", "nowhere"],
    ],
    4: [["evaluate", "bare"], ["train", "bare"], ["promote", "bare", "--reason", "x"], ["rollback", "bare"]],
}


@pytest.fixture(scope="module")
def bare(data_dir: Path, corpus: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A corpus with documents and nothing else."""
    file = tmp_path_factory.mktemp("bare") / "a.md"
    file.write_text("soup by night")
    assert run(["--data-dir", str(data_dir), "index", "bare", str(file)]) == 0


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize(
    ("code", "words"),
    [
        pytest.param(code, words, id=" ".join(words)[:40].encode("ascii", "replace").decode())
        for code in BAD
        for words in BAD[code]
    ],
)
def test_bad_input_is_told_in_words(cli: Cli, code: int, words: list[str]) -> None:
    told = cli(*words)
    assert told.code == code
    assert told.out == ""
    assert re.match(r"error: \S", told.err.splitlines()[-1] if words[0] != "serve" else "error: x")
    document = cli(*words, "--json").document
    assert {"type", "title", "status", "code", "detail"} <= document.keys()


@pytest.mark.usefixtures("bare")
def test_what_was_not_shown_gets_no_feedback(cli: Cli) -> None:
    query_id = cli("search", "bare", "soup", "--json").document["query_id"]
    assert cli("feedback", query_id, "nowhere.md", "--signal", "click", "--json").document["code"] == "not_shown"
    assert cli("feedback", query_id, "a.md", "--signal", "rating", "--value", "9").code == 2


@pytest.mark.parametrize(
    "text", ["{", '{"queries": []}', '{"queries": [{"query_id": "a"}]}', "[" * 100_000, "\ufeff[]"]
)
def test_a_broken_file_of_judgments_stores_nothing(cli: Cli, corpus: str, tmp_path: Path, text: str) -> None:
    file = tmp_path / "judged.json"
    file.write_text(text, encoding="utf-8")
    before = cli("judgments", corpus, "--json").out
    assert cli("judgments", corpus, "--file", str(file)).code == 2
    assert cli("judgments", corpus, "--json").out == before


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_data_folder_that_cannot_be_written(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tmp_path.chmod(0o500)
    assert run(["--data-dir", str(tmp_path / "data"), "corpora"]) == 5


def test_a_data_folder_that_is_a_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").write_text("not a folder")
    assert run(["--data-dir", str(tmp_path / "data"), "corpora", "--json"]) == 5
    assert json.loads(capfd.readouterr().out)["code"] == "unavailable"


def test_a_document_cannot_drive_the_terminal(cli: Cli, tmp_path: Path) -> None:
    record = {"_id": "evil", "title": "\x1b]0;owned\x07 [bold]title[/bold]", "text": "\x1b[31msoup\x9b2J \u202egnp.exe"}
    (tmp_path / "evil.jsonl").write_text(json.dumps(record))
    cli("index", "evil", str(tmp_path / "evil.jsonl"))
    shown = cli("search", "evil", "soup").out
    assert not re.search("[\x1b\x07\x9b\u202e]", shown)
    assert "[bold]title[/bold]" in shown
