"""Eval datasets over HTTP: every format out and in, versions, the check; and what an evaluate call refuses at once."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import httpx
import pytest

import searched
from http_examples import DOCUMENTS, EVALUATION, ndjson, ok, refused

pytestmark = pytest.mark.timeout(300)
RUN = "".join(f"{query['query_id']} Q0 {DOCUMENTS[0]['_id']} 1 1.5 solr\n" for query in EVALUATION)


def put(client: httpx.Client, corpus: str, content: str | bytes, kind: str) -> Any:
    return ok(client.put(f"{corpus}/eval_dataset", content=content, headers={"Content-Type": kind}))


def test_what_goes_out_comes_back_in_as_the_same_version(client: httpx.Client, fresh: str) -> None:
    first = ok(client.put(f"{fresh}/eval_dataset", json={"queries": EVALUATION}))
    route = f"{fresh}/eval_dataset"
    jsonl = client.get(route, params={"format": "jsonl"})
    assert jsonl.headers["content-type"] == "application/x-ndjson"
    assert 'filename="fresh-evalset.jsonl"' in jsonl.headers["content-disposition"]
    assert put(client, fresh, jsonl.content, "application/x-ndjson")["sha256"] == first["sha256"]
    bundle = client.get(route, params={"format": "json"}).json()
    assert bundle["sha256"] == first["sha256"]
    assert put(client, fresh, json.dumps(bundle), "application/json")["version"] == 1

    with zipfile.ZipFile(io.BytesIO(client.get(route, params={"format": "trec"}).content)) as archive:
        trec = {name: archive.read(name).decode() for name in archive.namelist()}
    assert trec.keys() == {"topics.trec", "qrels.txt"}  # no evaluation has frozen candidates yet
    assert trec["qrels.txt"] == client.get(route, params={"format": "qrels"}).text
    assert trec["topics.trec"] == client.get(route, params={"format": "topics"}).text
    body = json.dumps({"topics": trec["topics.trec"], "qrels": trec["qrels.txt"]})
    assert put(client, fresh, body, "application/json")["sha256"] == first["sha256"]

    quepid = client.get(route, params={"format": "quepid"}).text
    assert quepid.startswith("query,docid,rating\n")
    by_text = put(client, fresh, quepid, "text/csv")
    assert (by_text["version"], by_text["queries"], by_text["judgments"]) == (2, len(EVALUATION), first["judgments"])
    beir = client.get(route, params={"format": "beir", "version": "1"}).content
    assert beir == client.get(route, params={"format": "beir", "version": first["sha256"][:8]}).content
    with zipfile.ZipFile(io.BytesIO(beir)) as archive:
        assert set(archive.namelist()) == {"queries.jsonl", "qrels/test.tsv"}

    versions = ok(client.get(f"{fresh}/eval_datasets"))["eval_datasets"]
    assert [(row["version"], row["current"]) for row in versions] == [(2, True), (1, False)]
    assert ok(client.get(route, params={"version": "1"}))["sha256"] == first["sha256"]
    refused(client.get(route, params={"version": "7"}), 409, "no_eval_dataset")
    refused(client.get(route, params={"format": "run"}), 422, "invalid_input")
    assert "format" in refused(client.get(route, params={"format": "xlsx"}), 422, "invalid_input")["field"]


def test_a_bundle_that_was_tampered_with_is_refused(client: httpx.Client, fresh: str) -> None:
    bundle = {"queries": EVALUATION, "sha256": "0" * 64}
    assert "but it holds" in refused(client.put(f"{fresh}/eval_dataset", json=bundle), 422, "invalid_input")["detail"]
    known = EVALUATION[0]["query_id"]
    broken: list[Any] = [
        [],
        {"doc_ids": {"no such query": ["d"]}},
        {"doc_ids": {known: [1]}},
        {"doc_ids": {known: "d"}},
        {"doc_ids": {known: ["d"]}, "sha256": "0" * 64},
    ]
    for candidates in broken:
        given = {"queries": EVALUATION, "candidates": candidates}
        assert "candidates" in refused(client.put(f"{fresh}/eval_dataset", json=given), 422, "invalid_input")["detail"]
    refused(client.get(f"{fresh}/eval_dataset"), 409, "no_eval_dataset")


def test_candidates_come_with_a_bundle(client: httpx.Client, fresh: str) -> None:
    known = EVALUATION[0]["query_id"]
    given = {"queries": EVALUATION, "candidates": {"doc_ids": {known: ["b", "a"]}}, "primary_measure": "success@1"}
    put_ = ok(client.put(f"{fresh}/eval_dataset", json=given))
    assert put_["primary_measure"] == "success@1"
    assert (put_["bundle"]["source"], put_["bundle"]["corpus_version"], put_["bundle"]["depth"]) == ("import", None, 2)
    run = client.get(f"{fresh}/eval_dataset", params={"format": "run"}).text
    assert run == f"{known} Q0 b 1 2 tribrid-candidates\n{known} Q0 a 2 1 tribrid-candidates\n"
    again = client.get(f"{fresh}/eval_dataset", params={"format": "json"}).json()
    assert again["candidates"]["doc_ids"] == {known: ["b", "a"]}
    assert ok(client.put(f"{fresh}/eval_dataset", json=again))["bundle"] == put_["bundle"]


def test_the_check_says_what_is_wrong(client: httpx.Client, fresh: str) -> None:
    refused(client.get(f"{fresh}/eval_dataset/check"), 409, "no_eval_dataset")
    client.post(f"{fresh}/documents", content=ndjson(DOCUMENTS)).raise_for_status()
    twice = [*EVALUATION, {**EVALUATION[0], "query_id": "again"}]
    ok(client.put(f"{fresh}/eval_dataset", json={"queries": twice}))
    ok(client.put(f"{fresh}/judgments", json={"queries": EVALUATION[:1]}))
    found = ok(client.get(f"{fresh}/eval_dataset/check", params={"effect": 0.5}))
    codes = {problem["code"]: problem for problem in found["problems"]}
    assert codes.keys() == {"unknown_documents", "duplicate_queries", "judgments_overlap"}
    assert codes["unknown_documents"]["examples"] == ["gone"]
    assert set(codes["duplicate_queries"]["examples"][0]) == {EVALUATION[0]["query_id"], "again"}
    assert found["ok"] is True
    strict = ok(client.get(f"{fresh}/eval_dataset/check"))
    assert strict["ok"] is False
    assert strict["problems"][-1]["code"] == "too_few_queries"
    assert strict["power"]["independent_queries"] == len(EVALUATION)
    assert "effect" in refused(client.get(f"{fresh}/eval_dataset/check?effect=0"), 422, "invalid_input")["field"]


@pytest.mark.parametrize(("setting", "value"), [("primary_measure", "nDGC@10"), ("measures", ["P@5", "Nope@3"])])
def test_a_measure_that_there_is_not_is_refused_by_name(
    client: httpx.Client, fresh: str, setting: str, value: Any
) -> None:
    problem = refused(client.patch(f"{fresh}/config", json={"evaluation": {setting: value}}), 422, "invalid_input")
    assert problem["measure"] in ("nDGC@10", "Nope@3")
    assert problem["measure"] in problem["detail"]


def test_a_measure_of_the_users_decides_and_is_frozen_with_the_dataset(client: httpx.Client, fresh: str) -> None:
    given = {"evaluation": {"measures": ["AP(rel=2)", "P@3"]}, "gate": {"guard_measures": "RR@10, map"}}
    told = ok(client.patch(f"{fresh}/config", json=given))["settings"]
    assert told["evaluation"]["measures"]["value"] == ["map-rel-2", "precision@3"]
    assert told["gate"]["guard_measures"]["value"] == ["mrr@10", "map"]
    ok(client.patch(f"{fresh}/config", json={"evaluation": {"measures": ["map-rel-2"]}}))  # as it was shown
    ok(client.patch(f"{fresh}/config", json={"evaluation": None, "gate": None}))
    ok(client.patch(f"{fresh}/config", json={"evaluation": {"primary_measure": "p@5"}}))
    assert ok(client.put(f"{fresh}/eval_dataset", json={"queries": EVALUATION}))["primary_measure"] == "precision@5"
    ok(client.patch(f"{fresh}/config", json={"evaluation": {"primary_measure": None}}))
    again = ok(client.put(f"{fresh}/eval_dataset", json={"queries": EVALUATION}))
    assert (again["version"], again["primary_measure"], again["recommended_measure"]) == (1, "precision@5", "ndcg@10")
    client.patch(f"{fresh}/config", json={"evaluation": {"primary_measure": "Judged@10"}}).read()
    judged = client.patch(f"{fresh}/config", json={"evaluation": {"primary_measure": "Judged@10"}})
    assert "cannot decide" in refused(judged, 422, "invalid_input")["detail"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "corpus_id"),
        ({"corpus_ids": []}, "corpus_ids"),
        ({"corpus_id": "notes", "arms": [{"name": "solr"}]}, "needs one of run, model_id"),
        ({"corpus_id": "notes", "arms": [{"name": "solr", "run": RUN, "model_id": "m"}]}, "needs one of run, model_id"),
        ({"corpus_id": "notes", "arms": [{"name": "oracle", "run": RUN}]}, "'oracle' cannot be the name"),
        ({"corpus_id": "notes", "arms": [{"name": "a b", "run": RUN}]}, "'a b' cannot be the name"),
        ({"corpus_id": "notes", "arms": [{"name": "x", "run": RUN}] * 2}, "'x' cannot be the name"),
        ({"corpus_id": "notes", "arms": [{"name": "solr", "run": "nonsense"}]}, "'solr': The run cannot be read"),
        ({"corpus_id": "notes", "arms": [{"name": "solr", "run": "q Q0 d 1 1 t"}]}, "ranks none of the eval dataset's"),
        ({"corpus_id": "notes", "arms": [{"name": "solr", "run": RUN, "surprise": 1}]}, "no such field"),
    ],
)
def test_an_evaluation_that_cannot_work_is_refused_before_the_first_byte(
    client: httpx.Client, corpus: str, body: Any, says: str
) -> None:
    response = client.post("/reranker/evaluate", json=body)
    assert says in refused(response, 422, response.json()["code"])["detail"]


def test_corpora_and_models_that_are_not_there(client: httpx.Client, corpus: str) -> None:
    body: dict[str, Any] = {"corpus_ids": [corpus, "none"]}
    refused(client.post("/reranker/evaluate", json=body), 404, "corpus_not_found")
    body = {"corpus_id": corpus, "arms": [{"name": "old", "model_id": "none"}]}
    refused(client.post("/reranker/evaluate", json=body), 404, "model_not_found")


def test_a_run_of_megabytes_is_taken(client: httpx.Client, corpus: str) -> None:
    """A run is text in the evaluate call, which is otherwise small JSON."""
    padding = "".join(f"padding{at} Q0 {'d' * 60}{at} 1 1.5 solr\n" for at in range(14_000))
    assert len(padding) > 1 << 20
    body = {"corpus_id": corpus, "wait": False, "arms": [{"name": "solr", "run": RUN + padding}]}
    job = ok(client.post("/reranker/evaluate", json=body), 202)
    params = ok(client.get(f"/jobs/{job['job_id']}"))["params"]
    assert {name: params["arms"][0][name] for name in ("name", "kind", "tag", "restrict")} == {
        "name": "solr", "kind": "run", "tag": "solr", "restrict": False
    }  # fmt: skip
    assert len(params["arms"][0]["sha256"]) == 64
    assert "padding" not in json.dumps(params)


def test_a_dataset_from_logs_is_marked_wherever_it_goes(client: httpx.Client, fresh: str) -> None:
    route = f"{fresh}/eval_dataset"
    short = refused(client.post(f"{route}/from_logs", json={"last": "14d"}), 409, "not_enough_evidence")
    assert short["needed"] == 30
    for last in ("fortnight", "0d", "14"):
        refused(client.post(f"{route}/from_logs", json={"last": last}), 422, "invalid_input")
    found = {f"open number {n} please": DOCUMENTS[n % 8]["_id"] for n in range(36)}
    shown = [document["_id"] for document in DOCUMENTS[:8]]
    ok(client.post(f"{fresh}/documents", content=ndjson(DOCUMENTS)))
    ok(client.post(f"{fresh}/logs", params={"format": "native"}, content=searched.lines(found, shown)))
    made = ok(client.post(f"{route}/from_logs", json={"last": "14d"}))
    assert (made["source"], made["queries"], made["log"]["clients"]) == ("logs", 36, 6)
    assert ok(client.get(route))["log"] == made["log"]
    assert [row["source"] for row in ok(client.get(f"{fresh}/eval_datasets"))["eval_datasets"]] == ["logs"]

    for form in ("jsonl", "trec", "qrels", "beir", "quepid"):
        refused(client.get(route, params={"format": form}), 422, "invalid_input")
    assert client.get(route, params={"format": "topics"}).status_code == 200
    bundle = client.get(route, params={"format": "json"}).json()
    judged = ok(client.put(route, json={"queries": EVALUATION}))
    assert judged["source"] == "judgments"
    refused(client.post(f"{route}/from_logs", json={"last": "14d"}), 409, "conflict")
    assert ok(client.post(f"{route}/from_logs", json={"last": "14d", "replace": True}))["sha256"] == made["sha256"]
    assert put(client, fresh, json.dumps(bundle), "application/json")["sha256"] == made["sha256"]
    refused(client.put(route, json=ok(client.get(route))), 422, "invalid_input")  # without what the labels rest on
    refused(client.put(f"{fresh}/judgments", json=bundle), 422, "invalid_input")

    ok(client.post(f"{fresh}/index"))
    found = ok(client.get(f"{route}/next", params={"queries": 2}))
    assert [query["clients"] for query in found["queries"]] == [6, 6]
    assert found["queries"][0]["documents"][0].keys() == {"doc_id", "title", "snippet"}
    assert (found["eval_queries"], found["detectable_now"]) == (0, None)
    assert found["guideline"].startswith("1: ")
    refused(client.get(f"{route}/next", params={"queries": 51}), 422, "invalid_input")
