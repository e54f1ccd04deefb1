"""An agent over the Model Context Protocol: the program as an agent starts it, with the protocol's own client."""

from __future__ import annotations

import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.types import TextContent

from tribrid.app import Tribrid
from tribrid.errors import Unauthorized
from tribrid.mcp import serve
from waiting import awaited

READING = {"corpora", "search", "document", "readiness", "evaluations", "report", "job"}
pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with two corpora, one of them empty."""
    with Tribrid(tmp_path) as tribrid:
        tribrid.create_corpus("secret")
        tribrid.create_corpus("handbook").documents.add(
            [
                {"doc_id": "leave", "title": "Leave", "text": "Everyone has 30 days of annual leave."},
                {"doc_id": "expenses", "title": "Expenses", "text": "Keep receipts of every journey."},
            ]
        )
    return tmp_path


def talked(folder: Path, key: str | None, talk: Any) -> Any:
    """What `talk` makes of a client of the program on this folder."""
    env = {**os.environ, "TRIBRID_DATA_DIR": str(folder), **({"TRIBRID_MCP_KEY": key} if key is not None else {})}

    async def run() -> Any:
        async with Client(
            StdioServerParameters(command=sys.executable, args=["-m", "tribrid.cli", "mcp"], env=env)
        ) as client:
            return await talk(client)

    return awaited(run())


def asking(name: str, **arguments: Any) -> Any:
    """A talk of one call."""

    def talk(client: Client) -> Coroutine[Any, Any, Any]:
        return client.call_tool(name, arguments)

    return talk


def words(answer: Any) -> str:
    """What an agent reads."""
    return " ".join(part.text for part in answer.content if isinstance(part, TextContent))


async def offered(client: Client) -> set[str]:
    return {tool.name for tool in (await client.list_tools()).tools}


def test_without_a_key_it_reads(folder: Path) -> None:
    async def talk(client: Client) -> Any:
        tools = (await client.list_tools()).tools
        found = await client.call_tool("search", {"corpus_id": "handbook", "query": "annual leave"})
        whole = await client.call_tool("document", {"corpus_id": "handbook", "doc_id": "leave"})
        refused = await client.call_tool("search", {"corpus_id": "nowhere", "query": "annual leave"})
        return tools, found, whole, refused

    tools, found, whole, refused = talked(folder, None, talk)
    assert {tool.name for tool in tools} == READING
    assert all(tool.annotations.read_only_hint for tool in tools)
    assert found.structured_content["results"][0]["doc_id"] == "leave"
    assert whole.structured_content["text"] == "Everyone has 30 days of annual leave."
    assert refused.is_error
    assert "nowhere" in words(refused)


def test_a_key_says_more_and_on_which_corpora(folder: Path) -> None:
    with Tribrid(folder) as tribrid:
        key = tribrid.keys.create("agent", ["search", "feedback", "train"], ["handbook"]).key

    async def talk(client: Client) -> Any:
        names = await offered(client)
        found = (await client.call_tool("search", {"corpus_id": "handbook", "query": "receipts"})).structured_content
        told = await client.call_tool(
            "feedback", {"query_id": found["query_id"], "signal": "click", "doc_id": "expenses"}
        )
        judged = [
            await client.call_tool("judge", {"corpus_id": "handbook", "query": query, "doc_id": doc_id, "grade": grade})
            for query, doc_id, grade in (("Receipts?", "expenses", 3), ("receipts?", "leave", 0))
        ]
        elsewhere = await client.call_tool("search", {"corpus_id": "secret", "query": "receipts"})
        listed = await client.call_tool("corpora", {})
        return names, told, judged, elsewhere, listed

    names, told, judged, elsewhere, listed = talked(folder, key, talk)
    assert names == READING | {"feedback", "judge", "evaluate"}
    assert not told.is_error
    assert judged[-1].structured_content["grades"] == {"expenses": 3, "leave": 0}
    assert elsewhere.is_error
    assert [row["corpus_id"] for row in listed.structured_content["corpora"]] == ["handbook"]
    with Tribrid(folder) as tribrid:
        assert tribrid.corpus("handbook").logs.stats().impressions == 1
        judgments = tribrid.corpus("handbook").judgments
        assert [query.judgments for query in judgments.get().queries] == [{}], "a model's word is no judgment"
        assert {(rating.judge, rating.by) for rating in judgments.ratings().ratings} == {("mcp:agent", "model")}


def test_a_key_that_may_search_only_searches_and_ends_when_it_is_revoked(folder: Path) -> None:
    with Tribrid(folder) as tribrid:
        made = tribrid.keys.create("agent", ["search"])

    async def talk(client: Client) -> Any:
        names = await offered(client)
        before = await client.call_tool("corpora", {})
        with Tribrid(folder) as tribrid:
            tribrid.keys.revoke(made.key_id)
        return names, before, await client.call_tool("corpora", {})

    names, before, after = talked(folder, made.key, talk)
    assert names == {"corpora", "search", "document"}
    assert not before.is_error
    assert after.is_error
    assert "revoked" in words(after)


@pytest.mark.parametrize("key", ["", " ", "tribrid_of_nobody"])
def test_a_key_of_nobody_is_not_the_same_as_none(folder: Path, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIBRID_MCP_KEY", key)
    with Tribrid(folder) as tribrid, pytest.raises(Unauthorized, match="nobody has this key"):
        serve(tribrid)


def test_wrong_arguments_are_told(folder: Path) -> None:
    answer = talked(folder, None, asking("search", corpus_id="handbook", query="leave", top_k=0))
    assert answer.is_error
    assert "top_k" in words(answer)
