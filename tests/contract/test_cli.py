"""The command line as people and programs meet it: exit codes, one JSON document, words instead of tracebacks."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from http_examples import DOCUMENTS, EVALUATION, TRAINING, ndjson
from tribrid.cli.commands import NAMES
from tribrid.cli.program import run
from tribrid.errors import MissingExtra

HEAVY = ["sqlalchemy", "lancedb", "onnxruntime", "numpy", "httpx", "fastapi", "lightgbm", "torch", "dbos"]
FAST = ["--set", "cross_encoder=false", "--epochs", "1"]


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as the one JSON document it must be."""
        return json.loads(self.out)


Cli = Callable[..., Done]


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


def start(data_dir: Path, *words: str, **options: Any) -> subprocess.Popen[bytes]:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "tribrid.cli", "--data-dir", str(data_dir), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


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


# ------------------------------------------------------------------------------------------------ every command


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_and_json(cli: Cli, name: str) -> None:
    done = cli(name, "--help")
    assert done.code == 0
    assert "--json" in done.out
    assert "--data-dir" in done.out


def test_help_lists_every_command(cli: Cli) -> None:
    for done in (cli("--help"), cli()):
        assert done.code == 0
        assert not [name for name in NAMES if not re.search(rf"^│ {name} ", done.out, re.MULTILINE)]


def test_help_loads_nothing_heavy() -> None:
    program = f"import sys, tribrid.cli; sys.exit(' '.join(sorted(set({HEAVY!r}) & set(sys.modules))))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr.strip() == ""


def test_version(cli: Cli) -> None:
    assert re.fullmatch(r"tribrid \d+\.\d+\.\d+\n", cli("--version").out)


# ------------------------------------------------------------------------------------------------ the verbs


def test_a_folder_is_indexed_and_kept_in_line(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "soup.md").write_text("# Soup\nThe kitchen has soup by night.")
    (tmp_path / "proxy.md").write_text("# Proxy\nHow to open the proxy.")
    (tmp_path / "broken.txt").write_bytes(b"\xff\xfe\xfd")
    first = cli("index", "folder", str(tmp_path), "--json").document
    assert (first["documents"], first["embedded"], first["skipped_total"]) == (2, 2, 1)
    assert first["skipped"][0]["doc_id"] == "broken.txt"
    assert cli("index", "folder", str(tmp_path), "--json").document["embedded"] == 0
    (tmp_path / "proxy.md").unlink()
    shown = cli("index", "folder", str(tmp_path))
    assert re.search(r"Deleted\s+1", shown.out)
    assert "broken.txt" in shown.err
    assert cli("corpora", "folder", "--json").document["documents"] == 1


def test_a_folder_leaves_what_came_from_elsewhere_unless_told_to_mirror(cli: Cli, tmp_path: Path) -> None:
    elsewhere, folder = tmp_path / "records.jsonl", tmp_path / "folder"
    elsewhere.write_bytes(ndjson(DOCUMENTS[:3]))
    folder.mkdir()
    (folder / "soup.md").write_text("The kitchen has soup by night.")
    assert cli("index", "mixed", str(elsewhere), "--json").document["documents"] == 3
    assert cli("index", "mixed", str(folder), "--json").document["documents"] == 4
    assert cli("index", "mixed", str(folder), "--mirror", "--json").document["documents"] == 1


def test_records_come_from_standard_input(data_dir: Path) -> None:
    lines = (
        b'{"_id": "a", "text": "soup by night"}\n{broken\n{"_id": "b", "text": "\\u0000"}\n{"_id": "c", "text": NaN}\n'
    )
    indexing = start(data_dir, "index", "piped", "-", "--json", stdin=subprocess.PIPE)
    out, _ = indexing.communicate(lines, timeout=60)
    report = json.loads(out)
    assert indexing.returncode == 0
    assert report["documents"] == 1
    assert [skipped["line"] for skipped in report["skipped"]] == [2, 3, 4]


def test_search_logs_what_feedback_is_about(cli: Cli, corpus: str) -> None:
    found = cli("search", corpus, "open the proxy", "--json").document
    assert found["results"][0]["doc_id"] == "notes/proxy.md"
    given = cli("feedback", found["query_id"], "notes/proxy.md", "--signal", "click", "--json")
    assert given.document["ok"] is True
    shown = cli("search", corpus, "open the proxy", "--top-k", "2")
    assert "notes/proxy.md" in shown.out
    assert re.search(r"query_id [0-9a-f]{32}", shown.out)


def test_logs_are_imported(cli: Cli, corpus: str, tmp_path: Path) -> None:
    records = [
        {"query_id": "q1", "query": "soup", "timestamp": 1_700_000_000, "shown": ["notes/soup.md", "notes/pasta.md"]},
        {"query_id": "q1", "signal": "click", "doc_id": "notes/soup.md"},
        {"query_id": "gone", "signal": "click", "doc_id": "notes/soup.md"},
    ]
    (tmp_path / "queries").write_bytes(ndjson(records[:1]))
    (tmp_path / "events").write_bytes(ndjson(records[1:]))
    counts = cli("import", corpus, str(tmp_path / "queries"), str(tmp_path / "events"), "--json").document
    assert (counts["impressions"], counts["feedback"], counts["unjoined"]) == (1, 1, 1)


def test_judgments_come_from_trec_files(cli: Cli, corpus: str, tmp_path: Path) -> None:
    queries, qrels = tmp_path / "queries.jsonl", tmp_path / "qrels.tsv"
    queries.write_text('{"_id": "t1", "text": "how to list a key"}\n')
    qrels.write_text("t1 0 notes/key.md 1\nt1 0 nowhere.md 1\n")
    stored = cli("judgments", corpus, "--queries", str(queries), "--qrels", str(qrels), "--json").document
    assert stored["unknown_documents"] == ["nowhere.md"]
    asked = [query["query_id"] for query in cli("judgments", corpus, "--json").document["queries"]]
    assert "t1" in asked
    assert "certificate" in asked


def test_the_eval_dataset_is_shown(cli: Cli, corpus: str) -> None:
    assert len(cli("evalset", corpus, "--json").document["queries"]) == len(EVALUATION)
    assert re.search(rf"Queries\s+{len(EVALUATION)}\b", cli("evalset", corpus).out)


@pytest.mark.slow
def test_a_trained_model_is_evaluated_and_shown(cli: Cli, corpus: str, run_id: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    shown = cli("evaluate", corpus, "--html", str(page))
    assert shown.code == 0
    for word in ("nDCG@10", "retrieval", "challenger", "95 % interval", "KEEP"):
        assert word in shown.out
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    gated = cli("evaluate", corpus, "--gate", "--json")
    assert gated.code == (0 if gated.document["verdict"]["decision"] == "promote" else 1)
    assert gated.document["verdict"]["decision"] == "keep"


def test_models_go_live_by_hand_and_back(cli: Cli, corpus: str, run_id: str) -> None:
    (model,) = cli("models", corpus, "--json").document["models"]
    assert (
        cli("promote", corpus, model["model_id"], "--reason", "a test", "--json").document["champion"]
        == model["model_id"]
    )
    assert "champion" in cli("models", corpus).out
    assert cli("rollback", corpus, "--json").document["champion"] is None


def test_runs_are_listed_shown_and_compared(cli: Cli, corpus: str, run_id: str) -> None:
    assert [found["run_id"] for found in cli("runs", "--json").document["runs"]] == [run_id]
    assert run_id in cli("runs", "--corpus", corpus).out
    assert cli("runs", run_id, "--json").document["state"] == "succeeded"
    assert cli("runs", run_id, "--follow", "--json").document["run_id"] == run_id
    assert cli("runs", run_id, "--diff", run_id, "--json").document["differences"] == {}
    assert cli("runs", run_id, "--cancel").code == 4


def test_a_queued_job_is_cancelled(cli: Cli, corpus: str, run_id: str) -> None:
    queued = cli("train", corpus, *FAST, "--no-wait", "--json").document
    ended = cli("runs", queued["job_id"], "--cancel", "--json").document
    assert ended["state"] == "cancelled"
    followed = cli("runs", queued["job_id"], "--follow", "--json")
    assert followed.code == 130
    assert followed.document["code"] == "cancelled"


def test_settings_tell_where_they_come_from(cli: Cli, corpus: str) -> None:
    def epochs(*words: str) -> tuple[int, str]:
        entry = cli("config", *words, "--json").document["settings"]["training"]["epochs"]
        return entry["value"], entry["origin"]

    assert epochs(corpus) == (2, "default")
    assert epochs("training.epochs=3") == (3, "global")
    assert epochs(corpus, "training.epochs=4", "reranking.tribrid_reranker_topn=20") == (4, "corpus")
    assert epochs(corpus, "--unset", "training.epochs") == (3, "global")
    assert epochs("training.epochs=null") == (2, "default")
    shown = cli("config", corpus).out
    assert re.search(r"reranking\.tribrid_reranker_topn\s+20\s+corpus", shown)
    assert cli("config", corpus, "--unset", "reranking.tribrid_reranker_topn").code == 0


def test_doctor_does_what_it_says_works(cli: Cli) -> None:
    done = cli("doctor", "--json")
    assert done.code == 0
    assert {check["check"] for check in done.document["checks"]} >= {"encoder", "index and search", "worker"}


def test_a_corpus_is_deleted_only_on_a_yes(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("soup by night")
    cli("index", "doomed", str(tmp_path))
    assert cli("corpora", "doomed", "--delete").code == 2
    assert cli("corpora", "doomed").code == 0
    assert cli("corpora", "doomed", "--delete", "--yes").code == 0
    assert cli("corpora", "doomed").code == 3


# ------------------------------------------------------------------------------------------------ bad input

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
        ["promote", "notes"],
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
        ["feedback", "nobody", "a", "--signal", "click"],
        ["import", "nowhere", "-"],
        ["judgments", "nowhere"],
        ["mine", "nowhere"],
        ["train", "nowhere"],
        ["evaluate", "nowhere"],
        ["evaluate", "notes", "--model", "nobody"],
        ["models", "nowhere"],
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


# ------------------------------------------------------------------------------------------------ processes


def test_nobody_reading_is_no_error(data_dir: Path, corpus: str) -> None:
    command = f"{sys.executable} -m tribrid.cli --data-dir {data_dir} config | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["141"]
    assert done.stderr.strip() == ""


@pytest.mark.slow
def test_ctrl_c_leaves_the_job_and_says_how_to_find_it(data_dir: Path, corpus: str, cli: Cli) -> None:
    training = start(data_dir, "train", corpus, "--epochs", "50", "--batch-size", "1", start_new_session=True)
    deadline = time.monotonic() + 60
    while not (going := [found for found in cli("runs", "--json").document["runs"] if found["state"] == "running"]):
        assert time.monotonic() < deadline
    os.killpg(training.pid, signal.SIGINT)
    _, err = training.communicate(timeout=30)
    assert training.returncode == 130
    told = err.decode()
    assert "Traceback" not in told
    assert f"runs {going[0]['run_id']} --follow" in told
    assert cli("runs", going[0]["run_id"], "--cancel", "--json").document["state"] == "cancelled"


@pytest.fixture
def server(data_dir: Path, corpus: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = 18_000 + os.getpid() % 1000
    serving = start(data_dir, "serve", "--port", str(port), start_new_session=True)
    deadline = time.monotonic() + 60
    while True:
        try:
            httpx.get(f"http://127.0.0.1:{port}/health").raise_for_status()
            break
        except httpx.TransportError:
            assert serving.poll() is None, serving.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.2)
    yield serving, port
    if serving.poll() is None:
        serving.kill()
    serving.communicate()


def test_it_serves_until_ctrl_c(server: tuple[subprocess.Popen[bytes], int], corpus: str, cli: Cli) -> None:
    serving, port = server
    body = {"corpus_id": corpus, "query": "open the proxy"}
    found = httpx.post(f"http://127.0.0.1:{port}/search", json=body, timeout=30).json()
    assert found["results"][0]["doc_id"] == "notes/proxy.md"
    taken = cli("serve", "--port", str(port), "--json")
    assert taken.code == 5
    assert str(port) in taken.document["detail"]
    serving.send_signal(signal.SIGINT)
    _, err = serving.communicate(timeout=30)
    assert serving.returncode == 130
    assert b"Traceback" not in err


# ------------------------------------------------------------------------------------------------ the demo


def test_the_demo_does_not_touch_another_database(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIBRID_DATABASE_URL", "sqlite:////tmp/other.db")
    done = cli("demo", "--json")
    assert done.code == 2
    assert "TRIBRID_DATABASE_URL" in done.document["detail"]


def test_the_demo_says_what_to_install(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "from tribrid.cli import main\n"
        f"main(['--data-dir', {str(tmp_path)!r}, 'demo', '--json'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
    )
    assert done.returncode == MissingExtra.exit_code
    assert json.loads(done.stdout)["code"] == "missing_extra"
    assert "pip install 'tribrid[train]'" in done.stderr
