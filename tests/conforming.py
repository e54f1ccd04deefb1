"""Whether an answer over HTTP is what the OpenAPI document says of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import httpx
import jsonschema_rs

JSON = "application/json"


class Conforming:
    """Hook of an httpx client: every JSON answer that succeeds must fit the schema of its operation and status."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._components = {"components": document["components"]}
        # Those without a parameter first: `/reranker/evaluations/diff` is no evaluation's id.
        paths = sorted(document["paths"].items(), key=lambda item: item[0].count("{"))
        self._routes = [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), methods) for path, methods in paths]
        self._validators: dict[tuple[str, str, int], jsonschema_rs.Draft202012Validator] = {}

    def __call__(self, response: httpx.Response) -> None:
        if response.status_code >= 300 or response.headers.get("content-type") != JSON:
            return
        request = response.request
        for pattern, methods in self._routes:
            operation = methods.get(request.method.lower())
            if operation is not None and pattern.fullmatch(request.url.path):
                self._check(pattern.pattern, operation, response)
                return

    def _check(self, path: str, operation: Mapping[str, Any], response: httpx.Response) -> None:
        key = (path, response.request.method, response.status_code)
        if key not in self._validators:
            schema = operation["responses"][str(response.status_code)]["content"][JSON]["schema"]
            self._validators[key] = jsonschema_rs.Draft202012Validator(schema | self._components)
        response.read()
        faults = list(self._validators[key].iter_errors(response.json()))
        told = [f"{list(fault.instance_path)}: {fault.message}" for fault in faults[:3]]
        assert not faults, f"{response.request.method} {response.request.url}: {told}"
