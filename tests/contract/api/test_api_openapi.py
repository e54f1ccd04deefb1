"""The OpenAPI document: valid, whole, and good enough to make a typed client from.

What makes and checks the TypeScript client is in .npm-clients, which `make clients` makes.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from conftest import REPO_ROOT
from tribrid.api.server import create_app
from tribrid.app import Tribrid
from tribrid.config import read_environment

CLIENT = REPO_ROOT / "tests" / "clients" / "typescript" / "client.ts"
TOOLS = REPO_ROOT / ".npm-clients" / "node_modules" / ".bin"
STRICTLY = "--strict --noEmit --target es2022 --lib es2022,dom --module esnext --moduleResolution bundler"
REF = re.compile(r'"#/components/schemas/([^"]+)"')

Document = dict[str, Any]


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Document:
    with Tribrid(tmp_path_factory.mktemp("openapi"), environment=read_environment({})) as tribrid:
        return create_app(tribrid).openapi()


def answers(document: Document) -> Iterator[tuple[str, str, Document]]:
    """Operation, status and answer, for every one that succeeds."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for status, answer in operation["responses"].items():
                if status.startswith("2"):
                    yield f"{method.upper()} {path}", status, answer


def test_it_is_valid(document: Document) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_every_operation_says_what_it_answers(document: Document) -> None:
    bare = [
        (operation, status)
        for operation, status, answer in answers(document)
        if status != "204" and not all(kind.get("schema") for kind in answer.get("content", {"none": {}}).values())
    ]
    assert bare == []
    told = {operation for operation, _, _ in answers(document)}
    assert len(told) == sum(len(methods) for methods in document["paths"].values())


def test_every_operation_may_answer_a_problem(document: Document) -> None:
    for methods in document["paths"].values():
        for operation in methods.values():
            assert operation["responses"]["default"]["content"].keys() == {"application/problem+json"}


def test_every_schema_is_used_and_every_used_one_is_there(document: Document) -> None:
    there = document["components"]["schemas"].keys()
    assert set(REF.findall(json.dumps(document))) == there
    assert [name for name in there if "__" in name or name.endswith(("-Input", "-Output"))] == [], "names clash"


def test_every_field_of_an_answer_is_described_by_more_than_its_name(document: Document) -> None:
    """A field without a type would be `unknown` in a client; free JSON is a type."""
    for name, schema in document["components"]["schemas"].items():
        for field, said in schema.get("properties", {}).items():
            free = name in ("ValueDifference", "Setting")  # a setting's or a number's value may be of any type
            assert free or said.keys() & {"type", "$ref", "anyOf", "const", "enum", "allOf"}, f"{name}.{field}"


@pytest.mark.slow
def test_a_typescript_client_is_checked_against_it(
    document: Document, tool: Callable[[str], str], tmp_path: Path
) -> None:
    written = tmp_path / "openapi.json"
    written.write_text(json.dumps(document), "utf-8")
    shutil.copy(CLIENT, tmp_path)
    for command in (
        [tool("openapi-typescript"), str(written), "--output", "tribrid.d.ts"],
        [tool("tsc"), *STRICTLY.split(), CLIENT.name],
    ):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def tool(program: Callable[[str], str]) -> Callable[[str], str]:
    """A program of .npm-clients, by its name."""
    program("node")
    return lambda name: program(str(TOOLS / name))
