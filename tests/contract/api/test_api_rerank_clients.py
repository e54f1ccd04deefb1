"""The real clients of other rerank services, as installed from PyPI, pointed at Tribrid.

They live in an environment of their own, .venv-clients, which `make clients` makes; RERANK_CLIENTS_PYTHON names
another's interpreter.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from clients.calls import CALLS, TEXTS
from conftest import REPO_ROOT

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]
SCRIPT = REPO_ROOT / "tests" / "clients" / "calls.py"
NAMES = [call.__name__ for call in CALLS]
TOP_N = {"cohere_1": 3, "voyage_async": 2, "langchain_cohere": 3}
MODELLESS = {"llama_index_tei", "haystack_tei"}
"""TEI's clients name no model: what answers them is the default, and no name of theirs can be wrong."""


@pytest.fixture(scope="module")
def outcomes(in_frameworks: Callable[..., str], client: httpx.Client, corpus: str) -> Any:
    """What every client made of its answers, and of a refusal."""
    url = str(client.base_url).rstrip("/")
    offline = {"HF_HUB_OFFLINE": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    return json.loads(in_frameworks(str(SCRIPT), url, corpus, "no-such-model", **offline))


@pytest.mark.parametrize("name", NAMES)
def test_a_client_understands_the_answer(name: str, outcomes: Mapping[str, Any]) -> None:
    got = outcomes["answers"][name]
    assert "error" not in got, got
    assert len(got["order"]) == TOP_N.get(name, len(TEXTS)), got
    assert len(set(got["order"])) == len(got["order"])
    assert got["scores"] == sorted(got["scores"], reverse=True)
    assert all(0 <= score <= 1 for score in got["scores"])
    if name not in MODELLESS:
        assert got["order"][0] == outcomes["answers"]["cohere_1"]["order"][0]
    if "texts" in got:
        assert got["texts"] == [TEXTS[at] for at in got["order"]]


@pytest.mark.parametrize("name", NAMES)
def test_a_client_that_names_its_vendor_s_model_is_answered(name: str, outcomes: Mapping[str, Any]) -> None:
    got = outcomes["unchanged"][name]
    assert "error" not in got, got
    assert len(got["order"]) == TOP_N.get(name, len(TEXTS)), got


@pytest.mark.parametrize("name", [name for name in NAMES if name not in MODELLESS])
def test_a_client_understands_a_refusal(name: str, outcomes: Mapping[str, Any]) -> None:
    got = outcomes["refusals"][name]
    assert "no-such-model" in got["said"], got
    assert "notes" in got["said"] or "There is no model" in got["said"], "it says what there is"


def test_the_typed_error_of_the_cohere_sdk(outcomes: Mapping[str, Any]) -> None:
    got = outcomes["refusals"]["cohere_2"]
    assert (got["error"], got["status"]) == ("NotFoundError", 404)
    assert got["body"]["message"] == got["body"]["detail"]


def test_the_id_that_the_sdk_gives_takes_feedback(outcomes: Mapping[str, Any], client: httpx.Client) -> None:
    body = {"query_id": outcomes["answers"]["cohere_2"]["id"], "index": 1, "signal": "click"}
    assert client.post("/feedback", json=body).json()["ok"] is True
