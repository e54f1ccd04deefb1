"""Every command does what it says, and says it in one JSON document or in words."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import tribrid
from cli_calls import FAST, Cli, start
from http_examples import DOCUMENTS, EVALUATION, ndjson
from tribrid.cli.commands import NAMES
from tribrid.encoders import bfloat16
from tribrid.types import Scope

HEAVY = [
    "lance",
    "pyarrow",
    "onnxruntime",
    "openvino",
    "tokenizers",
    "httpx",
    "alembic",
    "psycopg",
    "fastapi",
    "uvicorn",
]
HEAVY += ["torch", "transformers", "lightgbm", "scipy", "sklearn", "pandas", "ir_measures", "onnx"]
"""What only the commands that need it may import. Most of them read a few rows and show them."""


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
    heavy = [*HEAVY, "sqlalchemy", "numpy", "pydantic", "tribrid.app"]
    assert loaded("import tribrid.cli, tribrid", heavy) == ""


def test_a_command_that_reads_rows_loads_nothing_heavy(data_dir: Path, corpus: str) -> None:
    calls = [["corpora"], ["corpora", corpus], ["models", corpus], ["runs"], ["evaluations"], ["keys"]]
    calls += [["config", corpus], ["evalset", "show", corpus], ["logs", "prune", corpus, "--days", "30"]]
    program = "from tribrid.cli.program import run\n"
    program += "".join(f"assert run(['--data-dir', {str(data_dir)!r}, *{words!r}]) == 0\n" for words in calls)
    assert loaded(program, HEAVY) == ""


def test_the_library_opens_without_what_is_heavy(data_dir: Path, corpus: str) -> None:
    program = (
        f"from tribrid import Tribrid\nwith Tribrid({str(data_dir)!r}) as t: assert t.corpora()[0].describe().passages"
    )
    assert loaded(program, HEAVY) == ""


def test_a_server_is_warm_before_its_first_search(data_dir: Path, corpus: str) -> None:
    """What is loaded late for a command's sake, a server loads before it says that it is ready."""
    program = f"from tribrid import Tribrid\nwith Tribrid({str(data_dir)!r}) as t: t.warm()"
    # What reads the query depends on the processor.
    runtime = "openvino" if bfloat16.available() else "onnxruntime"
    needed = {"lance", "pyarrow", "tokenizers", runtime}
    assert set(loaded(program, HEAVY).split()) >= needed


def loaded(program: str, heavy: list[str]) -> str:
    """Which of these modules a program of its own loads."""
    program += f"\nimport sys; sys.exit(' '.join(sorted(set({heavy!r}) & set(sys.modules))))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    return done.stderr.strip()


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


def test_what_is_missing_from_a_document_that_was_taken_is_said(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "soup.html").write_bytes(b"<p>The kitchen has soup by night, and a caf\xff.")
    report = cli("index", "parts", str(tmp_path), "--json").document
    assert (report["documents"], report["skipped_total"], report["losses_total"]) == (1, 0, 1)
    assert report["losses"][0]["doc_id"] == "soup.html"
    shown = cli("index", "parts", str(tmp_path))
    assert re.search(r"Read in part\s+1", shown.out)
    assert "In part soup.html: 1 place is not valid UTF-8" in shown.err


def test_a_dry_run_lists_what_would_come_of_it(cli: Cli, tmp_path: Path) -> None:
    for name in ("soup.md", "notes.bin", "made.md", "draft.md"):
        (tmp_path / name).write_text(f"The kitchen has {name}.")
    (tmp_path / ".gitignore").write_text("made.md\n")
    asked = ["index", "dry", str(tmp_path), "--exclude", "draft*"]
    shown = cli(*asked, "--dry-run").out
    for line in (
        "Read soup.md: 24 characters",
        "Skipped notes.bin: files of type .bin are not read",
        "Left out draft.md: excluded",
        "Left out made.md: .gitignore",
    ):
        assert line in shown.splitlines()
    assert cli("corpora", "dry").code != 0
    assert re.search(r"Left out\s+2", cli(*asked).out)
    found = cli("index", "dry", str(tmp_path), "--include", "draft*", "--dry-run", "--json").document
    assert ([row["doc_id"] for row in found["read"]], found["deleted"]) == (["draft.md"], ["soup.md"])
    assert cli("corpora", "dry", "--json").document["documents"] == 1


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
    shown = cli("import", corpus, str(tmp_path / "queries"), str(tmp_path / "events"))
    assert re.search(r"Feedback\s+0 new, 1 known before", shown.out)
    assert re.search(r"no impression has this query_id\s+1\s+3\s+notes/soup.md", shown.out)
    refused = cli("import", corpus, str(tmp_path / "events"), "--format", "ubi")
    assert refused.code == 2
    assert "import it with format native" in refused.err


def test_clicks_are_imported(cli: Cli, corpus: str, tmp_path: Path) -> None:
    log = tmp_path / "clicks.csv"
    log.write_text("query\tdocument\ttime\nsoup\tnotes/soup.md\t2026-01-02\nsoup\tnowhere.md\t2026-01-02\n")
    counts = cli("import", corpus, str(log), "--format", "clicks", "--json").document
    assert (counts["queries"], counts["impressions"], counts["unknown_documents"]) == (1, 1, ["nowhere.md"])
    shown = cli("import", corpus, str(log), "--format", "clicks")
    assert re.search(r"Joined\s+50.0% of the events; 1 did not", shown.out)
    assert re.search(r"Not in corpus\s+1 events: nowhere.md", shown.out)


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


def test_triplets_are_shown_and_decided(cli: Cli, corpus: str) -> None:
    page = cli("triplets", corpus, "--source", "judgments", "--limit", "2", "--json").document
    first, second = (row["triplet_id"] for row in page["triplets"])
    decided = cli("review", "drop", first, second, "--json").document["decided"]
    assert [row["status"] for row in decided] == ["dropped", "dropped"]
    assert cli("triplets", corpus, "--status", "dropped", "--json").document["total"] == 2
    assert cli("review", "accept", first).code == 0
    assert re.search(rf"{first[:8]}.*accepted", cli("triplets", corpus, "--status", "accepted").out)
    assert cli("review", "drop", "none").code == 3
    assert cli("triplets", corpus, "--status", "odd").code == 2
    assert cli("review", "accept", second).code == 0


def test_readiness_is_told_in_words(cli: Cli, corpus: str) -> None:
    found = cli("readiness", corpus, "--json").document
    assert found["answer"] == "perhaps"
    assert found["coverage"]["share"] > 0
    assert found["summary"] in " ".join(cli("readiness", corpus).out.split())


@pytest.mark.slow
def test_a_trained_model_is_evaluated_and_shown(cli: Cli, corpus: str, run_id: str, tmp_path: Path) -> None:
    page, checks = tmp_path / "report.html", tmp_path / "report.xml"
    shown = cli("evaluate", corpus, "--html", str(page), "--junit", str(checks))
    assert shown.code == 0, "an evaluation that ran well, whatever it says"
    for word in ("ndcg@10", "retrieval", "challenger", "95 % interval", "KEEP"):
        assert word in shown.out
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert ElementTree.parse(checks).find(".//testcase[@name='verdict']/failure") is not None
    gated = cli("evaluate", corpus, "--gate", "--json")
    assert gated.document["verdict"]["decision"] == "keep"
    assert gated.code == 7, "no error's code: a CI tells a refusal from a failure"
    assert cli("evaluate", "nowhere", "--gate", "--junit", str(checks)).code == 3
    assert ElementTree.parse(checks).find(".//testcase[@name='verdict']/error") is not None, "not the last one's"
    _evaluations(cli, corpus, gated.document["evaluation_id"], tmp_path)


def _evaluations(cli: Cli, corpus: str, evaluation_id: str, folder: Path) -> None:
    """The reports there are, one of them as a page, and two compared."""
    listed = cli("evaluations", "--corpus", corpus, "--json").document["evaluations"]
    assert [row["decision"] for row in listed] == ["keep", "keep"]
    assert listed[0]["evaluation_id"] == evaluation_id
    assert evaluation_id in cli("evaluations").out
    page = folder / "later.html"
    assert "KEEP" in cli("evaluations", evaluation_id, "--html", str(page)).out
    assert "Before and after" in page.read_text(encoding="utf-8")
    both = [row["evaluation_id"] for row in listed]
    assert cli("evaluations", "diff", *both, "--json").document["measures"]["ndcg@10"]["delta"]["mean"] == 0
    assert f"{len(EVALUATION)} compared" in cli("evaluations", "diff", *both).out


def test_models_go_live_by_hand_and_back(cli: Cli, corpus: str, run_id: str) -> None:
    (model,) = cli("models", corpus, "--json").document["models"]
    model_id = model["model_id"]
    refused = cli("promote", corpus, model_id, "--reason", "a test", "--json")
    assert (refused.code, refused.document["code"]) == (4, "not_proven")
    promoted = cli("promote", corpus, model_id, "--force", "--reason", "a test", "--json")
    assert promoted.document["champion"] == model_id
    assert re.search(rf"{model_id}.*champion", cli("models", corpus).out)
    assert "a test" in cli("models", "list", corpus).out
    shown = cli("models", "show", model_id)
    assert shown.code == 0
    assert re.search(r"Serves as\s+champion", shown.out)
    assert cli("rollback", corpus, "--json").document["champion"] is None


def test_a_model_is_exported(cli: Cli, corpus: str, run_id: str, tmp_path: Path) -> None:
    (model,) = cli("models", corpus, "--json").document["models"]
    done = cli("models", "export", model["model_id"], str(tmp_path / "out"))
    assert done.code == 0
    assert "onnxruntime" in done.out
    assert model["model_id"] in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert cli("models", "export", model["model_id"], str(tmp_path / "out")).code == 2


def test_a_search_is_erased(cli: Cli, corpus: str) -> None:
    found = cli("search", corpus, "open the soup", "--json").document
    done = cli("erase", corpus, "--query-id", found["query_id"], "--json").document
    assert done["erased"] == {"impressions": 1}
    assert cli("feedback", found["query_id"], "x", "--signal", "click").code == 3
    assert "list" in cli("erase", corpus, "--history").out
    assert cli("erase", corpus, "--history", "--query", "x").code == 2


def test_runs_are_listed_shown_and_compared(cli: Cli, corpus: str, run_id: str) -> None:
    assert [found["run_id"] for found in cli("runs", "--json").document["runs"]] == [run_id]
    assert run_id in cli("runs", "--corpus", corpus).out
    assert cli("runs", run_id, "--json").document["state"] == "succeeded"
    assert cli("runs", run_id, "--follow", "--json").document["run_id"] == run_id
    assert cli("runs", run_id, "--diff", run_id, "--json").document["differences"] == {}
    assert "do not differ" in cli("runs", "diff", run_id, run_id).out
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
    assert re.search(r"^reranking\.tribrid_reranker_topn=20\n +corpus: ", shown, re.MULTILINE)
    assert cli("config", corpus, "--unset", "reranking.tribrid_reranker_topn").code == 0


def test_settings_are_chosen_by_name_and_pattern(cli: Cli, corpus: str) -> None:
    every = cli("config", "--json").document["settings"]
    found = cli("config", corpus, "training.*", "gate.guard_measures", "--json").document
    assert found["corpus_id"] == corpus
    assert {section: set(fields) for section, fields in found["settings"].items()} == {
        "training": set(every["training"]),
        "gate": {"guard_measures"},
    }
    assert re.fullmatch(r"training\.epochs=2\n +default: .*\n", cli("config", "training.epo*").out)
    assert cli("config", "trainings.*").code == 2


def test_every_setting_as_it_is_shown_can_be_typed(data_dir: Path, cli: Cli) -> None:
    narrow = {**os.environ, "TTY_COMPATIBLE": "1", "COLUMNS": "80", "NO_COLOR": "1"}
    listed = start(data_dir, "config", env=narrow).communicate(timeout=60)[0].decode()
    shown = [words for line in listed.splitlines() if not line.startswith(" ") for words in shlex.split(line)]
    before = cli("config", "--json").document["settings"]
    assert len(shown) == sum(map(len, before.values()))
    after = cli("config", *shown, "--json").document["settings"]
    values = [{s: {n: entry["value"] for n, entry in f.items()} for s, f in of.items()} for of in (before, after)]
    assert values[0] == values[1]
    assert cli("config", *(f"--unset={one.partition('=')[0]}" for one in shown)).code == 0


def test_an_id_is_known_by_its_beginning(cli: Cli, corpus: str, run_id: str) -> None:
    (model,) = cli("models", corpus, "--json").document["models"]
    model_id = model["model_id"]
    assert cli("models", "show", model_id[:8], "--json").document["model_id"] == model_id
    assert cli("runs", run_id[:8], "--json").document["job_id"] == run_id
    assert "epochs=1" in cli("runs", run_id[:8]).out
    assert cli("runs", run_id[:3]).code == 3  # as good as nothing
    triplets = cli("triplets", corpus, "--json").document["triplets"]
    triplet_id = triplets[0]["triplet_id"]
    assert cli("review", "accept", triplet_id[:12], "--json").document["decided"][0]["triplet_id"] == triplet_id


def test_what_several_ids_begin_with_is_refused(data_dir: Path, cli: Cli) -> None:
    with tribrid.Tribrid(data_dir) as opened:
        for key_id in ("abcd01", "abcd02", "abcd0211"):
            opened.store.access.add(key_id, "", [Scope.SEARCH], "0" * 64, None, None)
    refused = cli("keys", "revoke", "abcd")
    assert refused.code == 2
    assert "abcd01, abcd02, abcd0211" in refused.err
    assert cli("keys", "revoke", "abcd02", "--json").document["key_id"] == "abcd02"  # whole, and another begins so
    assert cli("keys", "revoke", "abcd021", "--json").document["key_id"] == "abcd0211"


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
