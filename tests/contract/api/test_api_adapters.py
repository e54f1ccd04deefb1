"""Tribrid's own packages for LangChain, LlamaIndex and Haystack, in their frameworks, against a real server."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from clients.adapters import RERANKERS, RETRIEVERS
from conftest import REPO_ROOT

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]
SCRIPT = REPO_ROOT / "tests" / "clients" / "adapters.py"
BEST = 1


@pytest.fixture(scope="module")
def outcomes(in_frameworks: Callable[..., str], client: httpx.Client, corpus: str) -> Any:
    """What came through each adapter."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{taken.getsockname()[1]}"
        return json.loads(in_frameworks(str(SCRIPT), str(client.base_url).rstrip("/"), corpus, nowhere))


@pytest.mark.parametrize("name", [call.__name__ for call in RERANKERS])
def test_a_reranker_orders_keeps_the_query_and_takes_feedback(name: str, outcomes: Mapping[str, Any]) -> None:
    got = outcomes[name]
    assert got["order"][0] == BEST
    assert len(got["order"]) == 3
    assert got["awaited"] == got["order"][: len(got["awaited"])]
    assert got["kept"]["tribrid_query_id"]
    assert got["kept"]["tribrid_index"] == BEST
    assert got["kept"].keys() >= {"tribrid_model", "tribrid_fallback"}
    assert got["untouched"], "the caller's documents are as they were"
    assert got["feedback"]["ok"] is got["afeedback"]["ok"] is True
    assert got["feedback"]["query_id"] == got["kept"]["tribrid_query_id"]
    assert got["empty"] == []


@pytest.mark.parametrize("name", [call.__name__ for call in RERANKERS])
def test_a_failure_is_raised_unless_the_order_is_to_be_kept(name: str, outcomes: Mapping[str, Any]) -> None:
    got = outcomes[name]
    assert got["raised"] == got["araised"] == "Unreachable"
    assert got["in_order"] == [0, 1]


@pytest.mark.parametrize("name", [call.__name__ for call in RETRIEVERS])
def test_a_retriever_finds_keeps_the_query_and_takes_feedback(name: str, outcomes: Mapping[str, Any]) -> None:
    got = outcomes[name]
    assert len(got["order"]) == 3
    assert got["awaited"] == got["order"][:2]
    assert got["kept"]["tribrid_doc_id"] == got["order"][0]
    assert got["feedback"]["doc_id"] == got["order"][1]
    assert got["raised"] == "Unreachable"


def test_each_keeps_its_framework_s_conventions(outcomes: Mapping[str, Any]) -> None:
    langchain, llama_index, haystack = (outcomes[call.__name__] for call in RERANKERS)
    assert langchain["is_a"]
    assert outcomes["langchain_retriever"]["is_a"]
    assert outcomes["langchain_retriever"]["runnable"] == [3, 3]
    assert langchain["foreign"] == "ValueError"
    assert langchain["kept"]["relevance_score"] <= 1
    assert {"ReRankStartEvent", "ReRankEndEvent"} <= set(llama_index["events"])
    assert llama_index["hidden"], "no model reads what is kept"
    assert llama_index["kept"]["retrieval_score"] == 0.5
    assert llama_index["wordless"] == "ValueError"
    assert not llama_index["key"], "the key is not stored"
    retrieved = outcomes["llama_index_retriever"]
    assert retrieved["is_a"]
    assert retrieved["source"] == retrieved["order"][0]
    assert retrieved["read"] == [False, False, True, True], "the title is read, what is kept is not"
    assert haystack["same"]
    differ, one, other = haystack["automatic"]
    assert differ, "Haystack's ids differ"
    assert one == other, "and Tribrid knows the text"


def test_what_is_sent_is_the_text_without_its_metadata(
    outcomes: Mapping[str, Any], client: httpx.Client, corpus: str
) -> None:
    doc_id = outcomes["llama_index_rerank"]["paged"]
    assert client.get(f"/corpora/{corpus}/documents/{doc_id}").json()["text"] == "A page of its own."


def test_what_was_done_with_it_is_logged(outcomes: Mapping[str, Any], client: httpx.Client, corpus: str) -> None:
    told = client.get(f"/corpora/{corpus}/logs/stats").json()
    assert told["feedback"]["thumbs_up"] >= len(RETRIEVERS)
    assert told["feedback"]["copy"] >= len(RERANKERS)
