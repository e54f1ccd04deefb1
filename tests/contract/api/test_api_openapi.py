"""The OpenAPI document: valid, whole, and good enough to make a typed client from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tribrid import errors
from tribrid.api.server import create_app
from tribrid.app import Tribrid
from tribrid.config import read_environment

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


def test_the_codes_of_errors_are_known_and_others_are_allowed(document: Document) -> None:
    schemas = document["components"]["schemas"]
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.TribridError)]
    assert schemas["ErrorCode"]["enum"] == sorted(kind.code for kind in kinds)
    assert schemas["ProblemBody"]["properties"]["code"]["anyOf"] == [
        {"$ref": "#/components/schemas/ErrorCode"},
        {"type": "string"},
    ]


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
