"""Examples of clients and frameworks, and LangChain's standard tests, in the frameworks and against a real server.

No language model is called: `PRELUDES` has one of each framework's own stand-ins.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import httpx
import pytest

from conftest import REPO_ROOT
from http_examples import ndjson

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]
STANDARD = REPO_ROOT / "tests" / "clients" / "standard.py"
READMES = sorted(path.parent / "README.md" for path in REPO_ROOT.glob("packages/*/pyproject.toml"))
PAGE = REPO_ROOT / "docs" / "howto-frameworks.md"
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRELUDES = {
    "import dspy": """
import dspy
from dspy.utils import DummyLM
dspy.configure(lm=DummyLM([{"reasoning": "The handbook says so.", "answer": "30"}]))
""",
    "from pydantic_ai": """
from pydantic_ai import ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import FunctionModel
def read(messages, info):
    found = [part for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]
    if not found:
        return ModelResponse(parts=[ToolCallPart("search", {"query": "days off"})])
    if len(found) == 1:
        first = found[0].content[0]
        return ModelResponse(parts=[ToolCallPart("cite", {"query_id": first["query_id"], "doc_id": first["doc_id"]})])
    return ModelResponse(parts=[TextPart(first_text(found))])
def first_text(found):
    return found[0].content[0]["text"] + found[1].content
model = FunctionModel(read)
""",
}


@pytest.fixture(scope="module")
def handbook(client: httpx.Client) -> str:
    """What the examples search."""
    client.post("/corpora", json={"corpus_id": "handbook"}).raise_for_status()
    texts = {"leave.md": "Everyone has 30 days off, by night and by day.", "soup.md": "Boil the soup for an hour."}
    documents = [{"doc_id": doc_id, "title": doc_id, "text": text} for doc_id, text in texts.items()]
    client.post("/corpora/handbook/documents", content=ndjson(documents)).raise_for_status()
    return str(client.base_url).rstrip("/")


def signals(client: httpx.Client) -> dict[str, int]:
    told: dict[str, int] = client.get("/corpora/handbook/logs/stats").json()["feedback"]
    return told


def examples(page: Path) -> list[str]:
    return _BLOCK.findall(page.read_text("utf-8"))


@pytest.mark.parametrize("page", READMES, ids=lambda page: page.parent.name)
def test_the_example_of_a_package_runs_and_is_learned_from(
    page: Path, in_frameworks: Callable[..., str], handbook: str, client: httpx.Client, tmp_path: Path
) -> None:
    before = signals(client).get("click", 0)
    (code,) = examples(page)
    program = tmp_path / "example.py"
    program.write_text(code.replace("http://localhost:8000", handbook), "utf-8")
    in_frameworks(str(program))
    assert signals(client)["click"] > before


@pytest.mark.parametrize(("framework", "signal"), [("import dspy", "thumbs_up"), ("from pydantic_ai", "cite")])
def test_an_example_of_the_page_runs_and_is_learned_from(
    framework: str, signal: str, in_frameworks: Callable[..., str], handbook: str, client: httpx.Client, tmp_path: Path
) -> None:
    before = signals(client).get(signal, 0)
    (code,) = (code for code in examples(PAGE) if framework in code)
    program = tmp_path / "example.py"
    program.write_text(PRELUDES[framework] + code.replace("http://localhost:8000", handbook), "utf-8")
    in_frameworks(str(program), DSPY_CACHEDIR=str(tmp_path / "cache"))
    assert signals(client)[signal] == before + 1


def test_every_example_of_the_page_is_run() -> None:
    assert len(examples(PAGE)) == len(PRELUDES)
    assert len(READMES) == 5


def test_langchain_s_standard_tests_pass(
    in_frameworks: Callable[..., str], client: httpx.Client, corpus: str, tmp_path: Path
) -> None:
    url, report = str(client.base_url).rstrip("/"), tmp_path / "report.xml"
    options = f"-q --noconftest -p no:cacheprovider -c /dev/null --asyncio-mode=auto --rootdir {tmp_path}".split()
    variables = {"TRIBRID_URL": url, "TRIBRID_CORPUS": corpus}
    in_frameworks("-m", "pytest", *options, f"--junitxml={report}", str(STANDARD), **variables)
    suite = ElementTree.parse(report).getroot().find("testsuite")
    assert suite is not None
    counts = {name: int(suite.attrib[name]) for name in ("tests", "skipped", "failures", "errors")}
    assert counts["tests"] >= 5
    assert counts["skipped"] == counts["failures"] == counts["errors"] == 0
