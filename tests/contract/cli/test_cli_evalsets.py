"""`tribrid evalset`: the old forms still work, each format goes out and in, and check ends as a build should."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import searched
from cli_calls import Cli
from http_examples import DOCUMENTS, EVALUATION, ndjson


def test_the_old_forms_are_what_they_were(cli: Cli, corpus: str, tmp_path: Path) -> None:
    shown = cli("evalset", corpus, "--json").document
    assert len(shown["queries"]) == len(EVALUATION)
    assert cli("evalset", "show", corpus, "--json").document == shown
    again = tmp_path / "same.json"
    again.write_text(json.dumps({"queries": EVALUATION}))
    assert cli("evalset", corpus, "--file", str(again), "--json").document["version"] == shown["version"]


def test_export_and_put_in_each_format(cli: Cli, corpus: str, tmp_path: Path) -> None:
    sha256 = cli("evalset", corpus, "--json").document["sha256"]
    for form, name in (("json", "e.json"), ("jsonl", "e.jsonl")):
        path = tmp_path / name
        assert cli("evalset", "export", corpus, "--format", form, "--out", str(path)).out == f"Wrote {path}\n"
        assert cli("evalset", "put", corpus, "--file", str(path), "--json").document["sha256"] == sha256
    beir, trec = tmp_path / "beir", tmp_path / "trec"
    written = cli("evalset", "export", corpus, "--format", "beir", "--out", str(beir), "--json").document["files"]
    assert {Path(path).name for path in written} == {"queries.jsonl", "test.tsv", "corpus.jsonl"}
    assert len((beir / "corpus.jsonl").read_text().splitlines()) == len(DOCUMENTS)
    assert cli("evalset", "put", corpus, "--file", str(beir), "--json").document["sha256"] == sha256
    assert cli("evalset", "export", corpus, "--format", "trec", "--out", str(trec)).code == 0
    files = ["--queries", str(trec / "topics.trec"), "--qrels", str(trec / "qrels.txt")]
    assert cli("evalset", "put", corpus, *files, "--json").document["sha256"] == sha256
    ratings = tmp_path / "ratings.csv"
    ratings.write_text(cli("evalset", "export", corpus, "--format", "quepid").out)
    by_text = cli("evalset", "put", corpus, "--file", str(ratings), "--json").document
    assert by_text["version"] == 2
    listed = cli("evalset", "list", corpus).out
    assert "in force" in listed
    assert sha256[:12] in listed
    assert cli("evalset", "put", corpus, "--file", str(tmp_path / "e.json"), "--json").document["version"] == 1
    assert cli("evalset", "show", f"{corpus}@2", "--json").document["sha256"] == by_text["sha256"]


def test_judgments_are_read_from_the_same_files(cli: Cli, corpus: str, tmp_path: Path) -> None:
    before = cli("judgments", corpus, "--json").document
    lines, topics, qrels, both = (tmp_path / name for name in ("j.jsonl", "t.trec", "q.txt", "both.json"))
    lines.write_text(json.dumps({"query_id": "j1", "text": "warm soup", "judgments": {"notes/soup.md": 1}}) + "\n")
    topics.write_text("<top>\n<num> Number: j2\n<title> cold pasta\n</top>\n")
    qrels.write_text("j2 0 notes/pasta.md 1\n")
    both.write_text(json.dumps({"queries": {"j3": "bread"}, "qrels": "j3 0 notes/soup.md 0"}))
    for words in (["--file", lines], ["--queries", topics, "--qrels", qrels], ["--file", both]):
        assert cli("judgments", corpus, *map(str, words)).code == 0
    stored = {query["query_id"] for query in cli("judgments", corpus, "--json").document["queries"]}
    assert stored == {query["query_id"] for query in before["queries"]} | {"j1", "j2", "j3"}
    lines.write_text(json.dumps({"queries": before["queries"]}))
    lines.rename(tmp_path / "before.json")
    assert cli("judgments", corpus, "--file", str(tmp_path / "before.json"), "--replace").code == 0


def test_check_ends_a_build_that_would_decide_on_too_little(cli: Cli, corpus: str) -> None:
    done = cli("evalset", "check", corpus)
    assert done.code == 1
    assert "Not fit to decide on" in done.out
    assert "independent queries show a change of" in " ".join(done.out.split())
    assert "gone" in done.out
    fine = cli("evalset", "check", corpus, "--effect", "0.5")
    assert (fine.code, "Fit to decide on" in fine.out) == (0, True)
    assert cli("evalset", "check", corpus, "--json").document["ok"] is False


@pytest.mark.timeout(300)
def test_a_dataset_is_made_from_the_log(cli: Cli, tmp_path: Path) -> None:
    documents, log = tmp_path / "corpus.jsonl", tmp_path / "log.jsonl"
    documents.write_bytes(ndjson(DOCUMENTS))
    found = {f"open number {n} please": DOCUMENTS[n % 8]["_id"] for n in range(36)}
    log.write_bytes(searched.lines(found, [document["_id"] for document in DOCUMENTS[:8]]))
    assert cli("index", "logged", str(documents)).code == 0
    assert cli("import", "logged", str(log)).code == 0
    made = cli("evalset", "from-logs", "logged", "--last", "2w")
    assert made.code == 0, made.err
    assert "from logs: 216 searches of 6 clients, 2026-04-17 to 2026-05-01" in " ".join(made.out.split())
    assert "from logs" in cli("evalset", "list", "logged").out
    to_judge = cli("evalset", "next", "logged")
    assert to_judge.out.startswith("0 of 50 queries; no change would show now"), to_judge.err
    assert "asked by 6 clients" in to_judge.out
    report = cli("evaluate", "logged", "--junit", str(tmp_path / "junit.xml"), "--html", str(tmp_path / "page.html"))
    assert report.code == 0, report.err
    assert "KEEP what serves now, by labels from logs" in report.out
    for name in ("junit.xml", "page.html"):
        assert "Measured on labels from logs" in (tmp_path / name).read_text()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["evalset", "frob", "notes"], 2, "Say what to do"),
        (["evalset", "put", "notes"], 2, "Give --file, or --queries with --qrels"),
        (["evalset", "check", "notes", "--file", "x.json"], 2, "takes no judged queries"),
        (["evalset", "export", "notes", "--format", "xlsx"], 2, "'xlsx' is not one of"),
        (["evalset", "export", "notes", "--format", "beir"], 2, "name a folder with --out"),
        (["evalset", "from-logs", "notes"], 2, "--last 14d"),
        (["evalset", "from-logs", "notes", "--last", "soon"], 2, "no span of time"),
        (["evalset", "from-logs", "notes", "--last", "14d"], 4, "People judged the eval dataset in force"),
        (["evalset", "show", "notes@9"], 4, "no eval dataset '9'"),
        (["evalset", "list", "nowhere"], 3, "no corpus"),
        (["evaluate", "notes", "--arm", "solr=no-such-file"], 2, "cannot be read"),
        (["evaluate", "notes", "--arm", "solr"], 2, "NAME=VALUE"),
        (["config", "notes", "evaluation.primary_measure=nDGC@10"], 2, "nDGC@10"),
    ],
)
def test_what_cannot_be_done_is_said(cli: Cli, corpus: str, words: list[str], code: int, says: str) -> None:
    done = cli(*words)
    assert (done.code, says in " ".join(done.err.split())) == (code, True), done.err
