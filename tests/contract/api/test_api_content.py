"""Corpora, documents, labels, search and settings through HTTP."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from http_examples import DOCUMENTS, EVALUATION, TRAINING, ndjson, ok, refused

pytestmark = pytest.mark.timeout(300)


def test_corpora(client: httpx.Client, corpus: str) -> None:
    assert [row["corpus_id"] for row in ok(client.get("/corpora"))["corpora"]] == [corpus]
    assert ok(client.get("/corpora/notes"))["documents"] == len(DOCUMENTS)
    refused(client.post("/corpora", json={"corpus_id": corpus}), 409, "corpus_exists")


@pytest.mark.parametrize("corpus_id", ["../up", "a/b", ".hidden", "", "ü", "a" * 65, "a b", "a\n"])
def test_ids_that_are_paths(corpus_id: str, client: httpx.Client) -> None:
    refused(client.post("/corpora", json={"corpus_id": corpus_id}), 422, "invalid_input")


@pytest.mark.parametrize("kind", ["application/x-ndjson", "application/json", "application/octet-stream", None])
def test_documents_of_any_content_type(kind: str | None, client: httpx.Client, fresh: str) -> None:
    records = [{"doc_id": "a", "text": "soup", "metadata": {"v": 1}}, {"_id": 2, "title": "Pasta"}]
    headers = {"Content-Type": kind} if kind else {}
    for content in (ndjson(records), json.dumps(records).encode()):
        assert ok(client.post(f"{fresh}/documents", content=content, headers=headers))["documents"] == 2
    document = ok(client.get(f"{fresh}/documents/a"))
    assert document == {"doc_id": "a", "title": "", "text": "soup", "uri": "", "metadata": {"v": 1}}


def test_a_bad_record_is_named_and_the_rest_goes_in(client: httpx.Client, fresh: str) -> None:
    lines = [b'{"_id": "a", "text": "soup"}', b"{", b'{"_id": "b", "text": "\\u0000"}', b'{"_id": "c", "text": "\xff"}']
    lines += [b'{"_id": "d", "text": NaN}', b'{"text": "nobody"}', b'{"_id": "e", "text": "pasta"}']
    answer = ok(client.post(f"{fresh}/documents", content=b"\n".join(lines)))
    assert answer["documents"] == 2
    assert [skipped["line"] for skipped in answer["skipped"]] == [2, 3, 4, 5, 6]
    assert all(skipped["reason"] for skipped in answer["skipped"])
    assert answer["skipped_total"] == 5


def test_an_id_that_comes_twice_is_named_and_the_later_record_holds(client: httpx.Client, fresh: str) -> None:
    records = [{"_id": "a", "text": "soup"}, {"_id": "b", "text": "pasta"}, {"_id": "a", "text": "tea"}]
    answer = ok(client.post(f"{fresh}/documents", content=ndjson(records)))
    assert (answer["documents"], answer["duplicates"], answer["duplicates_total"]) == (2, ["a"], 1)
    assert ok(client.get(f"{fresh}/documents/a"))["text"] == "tea"
    assert ok(client.post(f"{fresh}/documents", content=ndjson(records[1:])))["duplicates_total"] == 0


def test_unchanged_documents_are_not_embedded_again(client: httpx.Client, fresh: str) -> None:
    assert ok(client.post(f"{fresh}/documents", content=ndjson(DOCUMENTS)))["embedded"] == len(DOCUMENTS)
    assert ok(client.post(f"{fresh}/documents", content=ndjson(DOCUMENTS)))["embedded"] == 0


def test_documents_of_a_corpus_that_is_not_there(client: httpx.Client) -> None:
    refused(client.post("/corpora/none/documents", content=ndjson(DOCUMENTS)), 404, "corpus_not_found")


def test_documents_are_deleted(client: httpx.Client, fresh: str) -> None:
    client.post(f"{fresh}/documents", content=ndjson(DOCUMENTS))
    one, *others = (record["_id"] for record in DOCUMENTS)
    assert "/" in one, "an id may be a path"
    assert ok(client.get(f"{fresh}/documents/{one}"))["doc_id"] == one
    assert ok(client.delete(f"{fresh}/documents/{one}"))["deleted"] == 1
    refused(client.delete(f"{fresh}/documents/{one}"), 404, "document_not_found")
    refused(client.get(f"{fresh}/documents/{one}"), 404, "document_not_found")
    assert ok(client.post(f"{fresh}/documents/delete", json={"doc_ids": [one, *others]}))["deleted"] == len(others)
    assert ok(client.get(fresh))["passages"] == 0
    refused(client.post(f"{fresh}/documents/delete", json={"doc_ids": []}), 422, "invalid_input")


def test_judgments_as_qrels(client: httpx.Client, fresh: str) -> None:
    client.post(f"{fresh}/documents", content=ndjson(DOCUMENTS))
    qrels = "q1 0 notes/soup.md 2\nq1 0 notes/pasta.md 0\nq2 0 nowhere 1\n"
    body = {"queries": {"q1": "hot soup", "q2": "what is not there", "q3": "unjudged"}, "qrels": qrels}
    answer = ok(client.put(f"{fresh}/judgments", json=body))
    assert (answer["queries"], answer["judgments"]) == (2, 3)
    assert answer["unknown_documents"] == ["nowhere"]
    stored = ok(client.get(f"{fresh}/judgments"))["queries"]
    assert stored[0] == {"query_id": "q1", "text": "hot soup", "judgments": {"notes/soup.md": 2, "notes/pasta.md": 0}}
    ok(client.put(f"{fresh}/judgments", json={"queries": TRAINING[:1]}))
    assert len(ok(client.get(f"{fresh}/judgments"))["queries"]) == 3
    ok(client.put(f"{fresh}/judgments?replace=true", json={"queries": TRAINING[:1]}))
    assert len(ok(client.get(f"{fresh}/judgments"))["queries"]) == 1


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"queries": {"q1": "a"}, "qrels": "q2 0 d 1"}, "q2"),
        ({"queries": {"q1": "a"}, "qrels": "q1 0 d\nq1"}, "line"),
        ({"queries": {"q1": 5}, "qrels": "q1 0 d 1"}, "text"),
        ({"queries": [{"query_id": "q1"}], "qrels": "q1 0 d 1"}, "qrels"),
        ({"queries": {"q1": "a"}, "qrels": ["q1 0 d 1"]}, "qrels"),
        ({"queries": []}, "queries"),
        ({"queries": [{"query_id": "q", "text": "a", "judgments": {"d": 1.5}}]}, "grade"),
        ({"queries": [{"query_id": "q", "text": " ", "judgments": {}}]}, "text"),
        ([], "queries"),
        (None, "queries"),
    ],
)
@pytest.mark.parametrize("kind", ["judgments", "eval_dataset"])
def test_labels_that_are_half_right_are_not_taken(
    kind: str, body: Any, says: str, client: httpx.Client, fresh: str
) -> None:
    assert says in refused(client.put(f"{fresh}/{kind}", content=json.dumps(body)), 422, "invalid_input")["detail"]


@pytest.mark.parametrize("raw", [b"", b"{", b"[" * 100_000, b'{"queries": "\xff"}', b'{"a": NaN}'])
def test_labels_that_are_no_json(raw: bytes, client: httpx.Client, fresh: str) -> None:
    detail = refused(client.put(f"{fresh}/judgments", content=raw), 422, "invalid_input")["detail"]
    assert "not valid JSON" in detail


def test_an_eval_dataset_is_named_by_its_content(client: httpx.Client, fresh: str) -> None:
    one = ok(client.put(f"{fresh}/eval_dataset", json={"queries": EVALUATION}))
    assert one["version"] == 1
    assert one["unknown_documents_total"] > 0
    assert ok(client.put(f"{fresh}/eval_dataset", json={"queries": EVALUATION}))["version"] == 1
    two = ok(client.put(f"{fresh}/eval_dataset", json={"queries": EVALUATION[1:]}))
    assert two["version"] == 2
    assert two["sha256"] != one["sha256"]
    current = ok(client.get(f"{fresh}/eval_dataset"))
    assert current["sha256"] == two["sha256"]
    assert {query["query_id"]: query for query in current["queries"]} == {q["query_id"]: q for q in EVALUATION[1:]}
