"""The three clients of the page that users were promised, run as they stand there against a real server on port 8000.

`clients/promised.md` is that page. Python and curl run unchanged. Node runs the TypeScript after one change, which
takes its only type away (`: string`; no Node before 22 does it by itself), with a base URL put before its paths, as the
page's own site would, and with a call of the function that it defines.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tribrid.corpus.code import CodeUnit, first_sentence, python_functions
from tribrid.demo.server import running_server

# Three trainings and three evaluations, each in a process of its own: over a minute, most of it starting them.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PAGE = Path(__file__).parent / "clients" / "promised.md"
PORT = 8000
BASE = f"http://localhost:{PORT}"
CLIENT_TIMEOUT_S = 300
TRAINING_MODULES = ("heapq", "textwrap", "shlex", "bisect", "csv")
EVALUATION_MODULES = ("statistics", "cmd")
FEWEST_WORDS = 4

BEFORE_TYPESCRIPT = f"""
const fetchAbsolute = globalThis.fetch;
globalThis.fetch = (path, options) => fetchAbsolute("{BASE}" + path, options);
const print = console.log;
console.log = (report) => print(JSON.stringify(report));
"""
AFTER_TYPESCRIPT = '\nawait trainReranker("tribrid");\n'


def snippet(language: str) -> str:
    """The page's code block in this language, as it stands."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return str(found)


def units(module: str) -> list[CodeUnit]:
    """A standard module's functions, each name once."""
    source = Path(sysconfig.get_path("stdlib")) / f"{module}.py"
    return list({unit.qualname: unit for unit in python_functions(source, module)}.values())


def judged(modules: tuple[str, ...]) -> list[dict[str, Any]]:
    """First sentences of docstrings as queries, each with the function it describes."""
    described = {unit.qualname: first_sentence(unit.docstring or "") for module in modules for unit in units(module)}
    return [
        {"query_id": name, "text": sentence, "judgments": {name: 1}}
        for name, sentence in described.items()
        if len(sentence.split()) >= FEWEST_WORDS
    ]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """`tribrid serve` on port 8000, with the corpus `tribrid`: functions of the standard library, their judgments to
    train from, and an eval dataset of other modules.
    """
    with running_server(tmp_path_factory.mktemp("clients"), port=PORT, api_key=None, waiting=lambda _what: None):
        documents = [
            {"_id": unit.qualname, "title": unit.qualname, "text": unit.source_without_docstring}
            for module in (*TRAINING_MODULES, *EVALUATION_MODULES)
            for unit in units(module)
        ]
        with httpx.Client(base_url=BASE) as client:
            client.post("/corpora", json={"corpus_id": "tribrid"}).raise_for_status()
            content = "\n".join(map(json.dumps, documents))
            indexed = client.post("/corpora/tribrid/documents", content=content).raise_for_status().json()
            assert indexed["documents"] == len(documents) > 100
            for name, modules in (("judgments", TRAINING_MODULES), ("eval_dataset", EVALUATION_MODULES)):
                client.put(f"/corpora/tribrid/{name}", json={"queries": judged(modules)}).raise_for_status()
        yield


def run(command: list[str]) -> str:
    # Proxies of the machine are not for localhost.
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", timeout=CLIENT_TIMEOUT_S, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def check(report: dict[str, Any]) -> None:
    """The report has before and after of the model that the last training made."""
    runs = httpx.get(f"{BASE}/reranker/train/runs", params={"corpus_id": "tribrid"}).json()["runs"]
    assert report["status"] == "succeeded", report
    assert runs[0]["state"] == "succeeded"
    assert runs[0]["params"] == {"epochs": 2, "batch_size": 16}
    assert (report["run_id"], report["model_id"]) == (runs[0]["run_id"], runs[0]["model_id"])
    for side in ("before", "after"):
        assert {"mrr@10", "recall@5", "recall@10", "recall@20", "ndcg@10", "map", "judged@10"} <= report[side].keys()
        assert all(0 <= value <= 1 for value in report[side].values())
    assert report["delta"]["ndcg@10"]["ci95"][0] <= report["delta"]["ndcg@10"]["mean"]
    assert report["verdict"]["decision"] in ("promote", "keep")


def test_python(server: None) -> None:
    check(ast.literal_eval(run([sys.executable, "-c", snippet("python")])))


def test_curl(server: None, program: Callable[[str], str]) -> None:
    for needed in ("curl", "jq"):
        program(needed)
    answers, rest = [], run([program("bash"), "-euo", "pipefail", "-c", snippet("bash")])
    while rest := rest.lstrip():
        answer, end = json.JSONDecoder().raw_decode(rest)
        answers.append(answer)
        rest = rest[end:]
    mined, trained, report = answers
    assert mined["pairs"] > 0
    assert trained["run_id"] == report["run_id"]
    check(report)


def test_typescript(server: None, program: Callable[[str], str], tmp_path: Path) -> None:
    typescript = snippet("typescript")
    assert typescript.count(": string") == 1
    script = tmp_path / "client.mjs"
    script.write_text(BEFORE_TYPESCRIPT + typescript.replace(": string", "") + AFTER_TYPESCRIPT, encoding="utf-8")
    check(json.loads(run([program("node"), str(script)])))


def test_the_page_is_the_one_that_was_promised(shared_data: Path) -> None:
    (seed,) = (shared_data.parent / "seed").glob("*.txt")
    assert PAGE.read_text("utf-8").rstrip() == seed.read_text("utf-8").rstrip()
