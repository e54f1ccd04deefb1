"""packages/tribrid-typescript: its types are the OpenAPI document's, it packs to the same bytes, and it runs under Node
against a real server.

What makes and checks it is in .npm-clients, which `make clients` makes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from clients.typescript.generate import TOOLS, TYPES, document, types
from conftest import REPO_ROOT
from serving import Serve
from tribrid.api import create_app
from tribrid.app import Tribrid

pytestmark = pytest.mark.timeout(300)
PACKAGE = REPO_ROOT / "packages" / "tribrid-typescript"
CLIENT = REPO_ROOT / "tests" / "clients" / "typescript" / "client.ts"
STRICTLY = "--strict --target es2022 --lib es2022,dom --module nodenext --exactOptionalPropertyTypes"
LEFT_OUT = shutil.ignore_patterns("dist", "node_modules", "*.tgz")
GAPS, GAP_S = 12, 0.25
"""The slow server's answer takes longer than the client's timeout, and is never silent so long."""

FAILED = b'{"status": "failed", "problem": {"code": "failed", "status": 500, "detail": "It broke."}}'
"""What becomes of long work after its status was sent."""

Run = Callable[..., str]


@pytest.fixture(scope="module")
def run(program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a program of Node, or of .npm-clients: what it prints."""
    for name in ("node", "npm", str(TOOLS / "tsc")):
        program(name)
    cache = tmp_path_factory.mktemp("npm")

    def ran(*command: str, folder: Path) -> str:
        environment = {**os.environ, "npm_config_cache": str(cache), "npm_config_offline": "true"}
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return ran


@pytest.fixture(scope="module")
def tarballs(run: Run, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Of two copies of the package, made at other times and with the rights of the two usual umasks."""
    made: list[Path] = []
    for time_s, mode in ((1_700_000_000, 0o644), (1_750_000_000, 0o664)):
        copy = tmp_path_factory.mktemp("package") / "source"
        shutil.copytree(PACKAGE, copy, ignore=LEFT_OUT)
        for path in copy.rglob("*"):
            path.chmod(mode if path.is_file() else 0o755)
            os.utime(path, (time_s, time_s))
        (copy / "node_modules").symlink_to(TOOLS.parent, target_is_directory=True)
        run("npm", "pack", folder=copy)
        made += copy.glob("*.tgz")
    return made


@pytest.fixture(scope="module")
def project(tarballs: list[Path], run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody's program, with the package installed."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "package.json").write_text('{"name": "somebody-s", "private": true, "type": "module"}', "utf-8")
    run("npm", "install", "--no-audit", "--no-fund", str(tarballs[0]), folder=folder)
    return folder


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[list[str]]:
    """Three addresses: of a server that takes connections and says nothing, of one that answers slowly, of nobody."""
    with ExitStack() as stack:
        mute = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0))))
        server = stack.enter_context(HTTPServer(("127.0.0.1", 0), Slow))
        nobody = stack.enter_context(socket.socket())
        nobody.bind(("127.0.0.1", 0))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stack.callback(server.shutdown)
        ports = (mute.getsockname()[1], server.server_address[1], nobody.getsockname()[1])
        yield [f"http://127.0.0.1:{port}" for port in ports]


class Slow(BaseHTTPRequestHandler):
    """Long work as the server answers it: a space now and then, and at the end the JSON."""

    def do_POST(self) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(GAPS):
            self.wfile.write(b" ")
            Slow.pause.wait(GAP_S)
        self.wfile.write(FAILED if self.path == "/reranker/mine" else b'{"results": []}')

    def log_message(self, format: str, *args: object) -> None:
        """Not on stderr."""

    pause = threading.Event()


@pytest.fixture(scope="module")
def outcome(project: Path, run: Run, client: httpx.Client, corpus: str, elsewhere: list[str]) -> Mapping[str, Any]:
    """What came of client.ts, once tsc had found it right."""
    compiled(project, CLIENT.read_text("utf-8"), run)
    url = str(client.base_url).rstrip("/")
    told: Mapping[str, Any] = json.loads(run("node", "client.js", url, corpus, *elsewhere, folder=project))
    return told


def compiled(project: Path, code: str, run: Run) -> None:
    (project / "client.ts").write_text(code, "utf-8")
    run(str(TOOLS / "tsc"), *STRICTLY.split(), "client.ts", folder=project)


def test_its_types_are_the_document_s(run: Run, tmp_path: Path) -> None:
    made = types(document(tmp_path / "data"), tmp_path)
    assert made == TYPES.read_text("utf-8"), f"run: python {CLIENT.parent.relative_to(REPO_ROOT)}/generate.py"


def test_it_packs_to_the_same_bytes_with_what_is_to_be_in_it(tarballs: list[Path]) -> None:
    one, other = tarballs
    assert one.name == "tribrid-client-0.1.0.tgz"
    assert one.read_bytes() == other.read_bytes()
    with tarfile.open(one) as archive:
        names = set(archive.getnames())
    sources = {path.stem for path in (PACKAGE / "src").glob("*.ts")}
    built = {f"dist/{name}{ending}" for name in sources for ending in (".js", ".d.ts")}
    assert names == {f"package/{name}" for name in {"package.json", "README.md", "LICENSE", *built}}


def test_its_lock_names_no_host_and_what_its_package_does(run: Run) -> None:
    lock = json.loads((PACKAGE / "package-lock.json").read_text("utf-8"))
    told = json.loads((PACKAGE / "package.json").read_text("utf-8"))
    assert {name: lock["packages"][""][name] for name in ("name", "version", "devDependencies")} == {
        name: told[name] for name in ("name", "version", "devDependencies")
    }
    assert "dependencies" not in told, "it needs nothing to run"
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]


def test_a_search_and_a_rerank_take_feedback(outcome: Mapping[str, Any], client: httpx.Client, corpus: str) -> None:
    searched, reranked = outcome["searched"], outcome["reranked"]
    assert len(searched["order"]) == 3
    assert searched["told"]["doc_id"] == searched["order"][1]
    assert reranked["order"][0] == 1
    assert len(reranked["order"]) == 2
    assert reranked["text"]["text"] == "A kitchen has pasta and soup."
    assert reranked["told"]["doc_id"] == "typed/soup.md"
    logged = client.get(f"/corpora/{corpus}/logs/stats").json()["feedback"]
    assert (logged["click"], logged["rating"]) == (1, 1)


def test_any_route_is_called(outcome: Mapping[str, Any]) -> None:
    called = outcome["called"]
    assert called["made"] == "typed"
    assert called["added"]["documents"] == 1
    assert called["read"] == "Soup\nand tea."
    assert called["of"] == ["typed", None]
    assert called["mined"]["status"] == "succeeded"
    assert called["gone"]


def test_a_refusal_has_the_server_s_code(outcome: Mapping[str, Any]) -> None:
    refused = outcome["refused"]
    assert (refused["name"], refused["code"], refused["status"]) == ("TribridError", "corpus_not_found", 404)
    assert refused["problem"]["corpus_id"] == "nowhere"
    assert refused["problem"]["request_id"]
    assert "nowhere" in refused["message"]
    assert outcome["lost"]["code"] == "not_found"
    failed = outcome["failed"]
    assert (failed["name"], failed["code"], failed["status"]) == ("TribridError", "failed", 500)
    assert failed["message"] == "It broke."


def test_no_answer_is_told(outcome: Mapping[str, Any]) -> None:
    for name in ("silent", "quiet", "closed"):
        assert outcome[name]["name"] == "Unreachable"
        assert outcome[name]["code"] == "unreachable"
        assert outcome[name]["unreachable"]
    assert "silent for 300 ms" in outcome["quiet"]["message"]
    assert "ECONNREFUSED" in outcome["closed"]["message"]
    assert outcome["slow"] == {"results": []}, "it was never silent for long"


def test_a_signal_ends_a_call_with_its_reason(outcome: Mapping[str, Any]) -> None:
    assert outcome["ended"] == {"name": "enough"}
    assert outcome["later"] == {"name": "AbortError"}


def test_what_cannot_work_is_refused_at_once(outcome: Mapping[str, Any]) -> None:
    assert outcome["query"] == {"name": "TypeError"}
    assert outcome["endless"] == {"name": "RangeError"}


def test_the_example_in_its_readme_runs_and_its_key_is_sent(
    project: Path, run: Run, serve: Serve, tmp_path: Path
) -> None:
    (block,) = re.findall(r"^```typescript\n(.*?)^```$", (PACKAGE / "README.md").read_text("utf-8"), re.M | re.S)
    with Tribrid(tmp_path / "data") as tribrid:
        tribrid.create_corpus("handbook").documents.add([{"doc_id": "a", "title": "Leave", "text": "Days of leave."}])
        key = tribrid.keys.create(name="client", scopes=["admin"]).key
        url = serve(create_app(tribrid)).url
        compiled(project, block.replace("http://localhost:8000", url).replace("tribrid_...", key), run)
        assert "Leave" in run("node", "client.js", folder=project)
