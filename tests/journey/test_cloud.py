"""Mode cloud from the setting to the served list, the report and the bill, with a real service and a real worker."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import learnable
from chat_server import Reply, Seen
from rerank_server import RerankServer, rerank_server, score_of, speaks
from serving import running
from tribrid.api import create_app
from tribrid.app import Tribrid
from tribrid.cloud import client as cloud
from tribrid.config import read_environment
from tribrid.errors import BudgetSpent, InvalidInput, ModelUnavailable
from tribrid.store.spending import ALL_TIME

pytestmark = pytest.mark.timeout(240)
KEY = "rk-very-secret-0123456789"
MODEL, USD = "rerank-v4.0-fast", 0.002
DOCUMENTS = learnable.documents()
QUERY = " ".join(DOCUMENTS[7].text.split()[:3])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud, "FIRST_WAIT_S", 0.01)


@contextmanager
def opened(folder: Path, url: str, **settings: Any) -> Iterator[Tribrid]:
    """A library user in mode cloud: the address and its key are in the environment, the rest as given."""
    variables = {
        "TRIBRID_RERANKING__RERANKER_MODE": "cloud",
        "TRIBRID_RERANKING__RERANKER_CLOUD_PROVIDER": "cohere",
        "TRIBRID_RERANKING__RERANKER_CLOUD_URL": url,
        "TRIBRID_RERANKER_CLOUD_API_KEY": KEY,
        "TRIBRID_RERANKING__RERANKER_TIMEOUT_MS": "20000",
        "TRIBRID_EVALUATION__RESAMPLES": "200",
    }
    with Tribrid(folder, environment=read_environment({**os.environ, **variables})) as tribrid:
        tribrid.create_corpus("c")
        tribrid.corpus("c").documents.add(DOCUMENTS)
        if settings:
            tribrid.patch_settings({"reranking": {f"reranker_cloud_{name}": v for name, v in settings.items()}})
        yield tribrid


class Mood:
    """A service that can be told to fail."""

    def __init__(self) -> None:
        self.failing = False

    def __call__(self, seen: Seen, before: int) -> Reply:
        return Reply(b"", 500) if self.failing else speaks("cohere")(seen, before)


def test_a_search_is_ranked_by_the_service_and_by_nobody_else(tmp_path: Path) -> None:
    mood = Mood()
    with rerank_server(mood) as server, opened(tmp_path, server.url, retries=0) as tribrid:
        found = tribrid.corpus("c").search(QUERY)
        served = server.url.removeprefix("http://")
        assert (found.reranked, found.model_id, found.fallback_reason) == (True, f"cohere/{served}", None)
        scores = [result.score for result in found.results]
        assert scores == [pytest.approx(score_of(QUERY, f"{result.title}\n{result.text}")) for result in found.results]
        assert scores == sorted(scores, reverse=True)
        assert {seen.headers["authorization"] for seen in server.seen} == {f"Bearer {KEY}"}

        mood.failing = True
        fused = tribrid.corpus("c").search(QUERY)
        assert (fused.reranked, fused.model_id) == (False, "retrieval")
        assert fused.fallback_reason == f"The rerank service {served} failed: status 500, 1 times asked."
        assert [r.first_stage.rank for r in fused.results] == list(range(1, 11))
        status = tribrid.corpus("c").status()
        assert (status.model_id, status.loaded, status.reason) == (f"cohere/{served}", True, None)
        assert status.cloud is not None
        assert status.cloud.last_failure is not None
        assert status.cloud.last_failure.detail == fused.fallback_reason

        mood.failing = False
        assert tribrid.corpus("c").search(QUERY).reranked is True


def test_a_spent_budget_serves_the_fused_order_and_says_so(tmp_path: Path) -> None:
    says = speaks("cohere", {"billed_units": {"search_units": 1}})
    with rerank_server(says) as server, opened(tmp_path, server.url, model=MODEL, budget_usd=1.5 * USD) as tribrid:
        assert [tribrid.corpus("c").search(QUERY).reranked for _ in range(3)] == [True, False, False]
        found = tribrid.corpus("c").search(QUERY)
        assert "reranking.reranker_cloud_budget_usd" in str(found.fallback_reason)
        assert len(server.seen) == 1
        cloud = tribrid.corpus("c").status().cloud
        assert cloud is not None
        (budget,) = cloud.budgets
        assert budget.period == "month"
        assert budget.spent_usd == pytest.approx(USD)
        tribrid.patch_settings({"reranking": {"reranker_cloud_budget_usd": 1.0}})
        assert tribrid.corpus("c").search(QUERY).reranked is True
        tribrid.patch_settings({"reranking": {"reranker_cloud_budget_usd": USD}})
        assert "is spent" in str(tribrid.corpus("c").status().reason)


def test_an_evaluation_measures_the_service_and_its_rivals_and_pays_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rival = {"name": "rival", "provider": "tei", "url": None, "model": None}
    cohere = speaks("cohere", {"billed_units": {"search_units": 2}})
    with rerank_server(cohere) as server, rerank_server(speaks("tei")) as other:
        monkeypatch.setenv("TRIBRID_CLOUD_URLS", other.url)
        with opened(tmp_path, server.url, model=MODEL, budget_usd=1.0) as tribrid:
            tribrid.corpus("c").eval_dataset.put(learnable.queries("eval", 12, seed=3))
            with pytest.raises(InvalidInput, match="not among the addresses"):
                tribrid.corpus("c").submit_evaluate(arms=[{**rival, "url": "http://169.254.169.254"}])
            report = tribrid.corpus("c").evaluate(arms=[{**rival, "url": other.url}]).model_dump(mode="json")
            check_report(report, server, other)
            assert tribrid.store.spending.usd(ALL_TIME) == pytest.approx(12 * 2 * USD)
            tribrid.patch_settings({"reranking": {"reranker_cloud_budget_usd": 0.05}})
            with pytest.raises(BudgetSpent, match="is left"):
                tribrid.corpus("c").submit_evaluate()
            shown = json.dumps(
                [
                    report,
                    tribrid.corpus("c").settings(),
                    tribrid.info(),
                    tribrid.corpus("c").status(),
                    tribrid.doctor(),
                ],
                default=lambda answer: answer.model_dump(mode="json"),
            )
    assert KEY not in shown
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def check_report(report: dict[str, Any], server: RerankServer, other: RerankServer) -> None:
    assert report["compared"] == {"before": "retrieval", "after": "cloud", "serves": None}
    assert {"cloud", "rival", "retrieval", "oracle"} <= set(report["systems"])
    assert report["systems"]["cloud"]["ndcg@10"] == pytest.approx(report["systems"]["rival"]["ndcg@10"])
    assert (report["failed"], report["promoted"]) == ({}, False)
    assert len(server.seen) == 12
    assert len(other.seen) == 24  # fifty documents in batches of 32
    assert "authorization" not in other.seen[0].headers
    cost = report["cost"]
    assert cost["usd"] == cost["cloud"]["cloud"]["usd"] == pytest.approx(12 * 2 * USD)
    assert (cost["cloud"]["cloud"]["requests"], cost["cloud"]["cloud"]["units"]) == (12, 600)
    assert cost["cloud"]["rival"]["usd"] == 0.0
    assert cost["estimated"]["usd"] == pytest.approx(12 * USD)
    assert cost["estimated"]["cloud"]["cloud"]["unit"] == "search"


def test_what_is_not_set_up_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    with rerank_server(speaks("cohere")) as server, opened(tmp_path, server.url) as tribrid:
        tribrid.patch_settings({"reranking": {"reranker_cloud_provider": "voyage", "reranker_cloud_budget_usd": 1.0}})
        tribrid.patch_settings({"reranking": {"reranker_cloud_url": "http://10.255.255.1"}})
        assert "budget_usd cannot be kept" in str(tribrid.corpus("c").search(QUERY).fallback_reason)
        assert tribrid.corpus("c").status().problem == "model_unavailable"
        tribrid.corpus("c").eval_dataset.put(learnable.queries("eval", 3, seed=3))
        with pytest.raises(ModelUnavailable, match="budget_usd"):
            tribrid.corpus("c").submit_evaluate()
        assert server.seen == []


def doctors_word(tribrid: Tribrid) -> tuple[bool, str]:
    (check,) = [check for check in tribrid.doctor() if check.check == "rerank service"]
    return check.ok, check.detail


def test_doctor_and_the_routes_say_whether_it_works_and_spend_nothing(tmp_path: Path) -> None:
    allowed = {KEY}

    def says(seen: Seen, before: int) -> Reply:
        key = seen.headers.get("authorization", "").removeprefix("Bearer ")
        return speaks("cohere")(seen, before) if key in allowed else Reply(b"", 401)

    with rerank_server(says) as server, opened(tmp_path, server.url, model=MODEL) as tribrid:
        ok, detail = doctors_word(tribrid)
        assert (ok, "takes the key" in detail) == (True, True)
        allowed.clear()
        ok, detail = doctors_word(tribrid)
        assert (ok, "refused the key of TRIBRID_RERANKER_CLOUD_API_KEY" in detail) == (False, True)
        assert all(seen.body["documents"] == [] for seen in server.seen)
        asked = len(server.seen)
        with running(create_app(tribrid)) as up:
            client = up.client()
            status = client.get("/reranker/status", params={"corpus_id": "c"}).json()
            info = client.get("/reranker/info").json()
            arm = {"name": "x", "provider": "cohere", "url": "http://10.0.0.1", "model": "m"}
            client.put("/corpora/c/eval_dataset", json={"queries": [
                {"query_id": "q", "text": "x", "judgments": {DOCUMENTS[0].doc_id: 1}}
            ]}).raise_for_status()  # fmt: skip
            refused = client.post("/reranker/evaluate", json={"corpus_id": "c", "arms": [arm]})
        assert len(server.seen) == asked
    assert (status["mode"], status["model_id"]) == ("cloud", f"cohere/{MODEL}")
    assert (status["cloud"]["price_known"], status["cloud"]["spent"]["by_model"]) == (True, [])
    assert info["cloud"]["keys_present"] == ["reranker_cloud"]
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_input")
    assert KEY not in json.dumps([status, info, refused.json()])
