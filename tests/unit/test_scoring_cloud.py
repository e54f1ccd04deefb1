"""The client of rerank services, against a real one on loopback: what it sends, and everything that can go wrong."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chat_server import Reply, Says, Seen
from rerank_server import ok, rerank_server, score_of, speaks, then
from tribrid.cloud import client as cloud
from tribrid.cloud.client import CloudScorer
from tribrid.cloud.clouds import Clouds
from tribrid.cloud.dialects import endpoint
from tribrid.cloud.prices import load_prices
from tribrid.config import Environment
from tribrid.config.reranking import RerankingConfig
from tribrid.errors import ScorerFailed
from tribrid.store import Store

KEY = "rk-very-secret-0123456789"
QUERY = "renew the certificate"
TEXTS = [f"certificate number {n} of the proxy" for n in range(5)]
PRICES = load_prices()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = Store.open(tmp_path_factory.mktemp("store"))
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud, "FIRST_WAIT_S", 0.01)


@contextmanager
def connected(store: Store, url: str, *, key: str = "", provider: str = "cohere", **more: Any) -> Iterator[CloudScorer]:
    """Mode cloud, its address and key as the operator's environment has them."""
    config = RerankingConfig.model_validate(
        {
            "reranker_cloud_provider": provider,
            "reranker_cloud_url": url,
            "reranker_cloud_model": "m",
            "reranker_timeout_ms": 20_000,
            **more,
        }
    )
    named = {"overrides": {"reranking": {"reranker_cloud_url": url}}, "cloud_keys": {"reranker_cloud": key}}
    clouds = Clouds(
        Environment.model_validate({"data_dir": Path(), **(named if key else {})}), store.spending, lambda: PRICES
    )
    try:
        yield clouds.scorer("c", config, config)
    finally:
        clouds.close()


def ask(scorer: CloudScorer, texts: list[str] = TEXTS, query: str = QUERY) -> list[float]:
    scores: list[float] = scorer.client.rerank(query, texts, scorer.meter, scorer.timeout_s).tolist()
    return scores


def answers(store: Store, says: Says, **more: Any) -> tuple[list[float], list[Seen]]:
    with rerank_server(says) as server, connected(store, server.url, **more) as scorer:
        return ask(scorer), server.seen


def failure(store: Store, says: Says, **more: Any) -> tuple[str, list[Seen]]:
    with rerank_server(says) as server, connected(store, server.url, **more) as scorer:
        with pytest.raises(ScorerFailed) as caught:
            ask(scorer)
        assert KEY not in json.dumps(caught.value.problem())
        assert QUERY not in json.dumps(caught.value.problem())
        return caught.value.detail, server.seen


@pytest.mark.parametrize(
    ("provider", "path", "more"),
    [
        ("cohere", "/v1/rerank", {"documents": TEXTS, "top_n": 5}),
        ("jina", "/v1/rerank", {"documents": TEXTS, "top_n": 5, "return_documents": False}),
        ("voyage", "/v1/rerank", {"documents": TEXTS, "top_k": 5, "truncation": True}),
        ("tei", "/rerank", {"texts": TEXTS, "raw_scores": True, "truncate": True}),
    ],
)
def test_each_service_is_asked_in_its_own_form(store: Store, provider: str, path: str, more: dict[str, Any]) -> None:
    scores, seen = answers(store, speaks(provider), provider=provider, key=KEY)
    assert scores == pytest.approx([score_of(QUERY, text) for text in TEXTS])
    (question,) = seen
    assert question.path == path
    assert question.body == {"model": "m", "query": QUERY, **more}
    assert question.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("provider", "url", "asked"),
    [
        ("cohere", None, "https://api.cohere.com/v2/rerank"),
        ("voyage", None, "https://api.voyageai.com/v1/rerank"),
        ("jina", None, "https://api.jina.ai/v1/rerank"),
        ("tei", None, None),
        ("tei", "http://h:80/", "http://h:80/rerank"),
        ("cohere", "http://h/v2", "http://h/v2/rerank"),
        ("cohere", "http://h/v2/rerank/", "http://h/v2/rerank"),
        ("jina", "http://h/api/reranking", "http://h/api/reranking"),
    ],
)
def test_an_address_is_completed(provider: Any, url: str | None, asked: str | None) -> None:
    assert endpoint(provider, url) == asked


def test_a_document_without_text_does_not_sink_the_others(store: Store) -> None:
    with rerank_server(speaks("cohere")) as server, connected(store, server.url) as scorer:
        assert len(ask(scorer, ["", "  ", "certificate"])) == 3
        assert server.seen[0].body["documents"] == ["-", "-", "certificate"]


def test_long_lists_go_in_the_batches_that_the_service_takes(store: Store) -> None:
    texts = [f"certificate {n}" for n in range(70)]
    with rerank_server(speaks("tei")) as server, connected(store, server.url, provider="tei") as scorer:
        assert ask(scorer, texts) == pytest.approx([score_of(QUERY, text) for text in texts])
        assert sorted(len(seen.body["texts"]) for seen in server.seen) == [6, 32, 32]


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_what_passes_is_asked_again(store: Store, status: int) -> None:
    scores, seen = answers(store, then(Reply(b"", status), Reply(b"", status), after=speaks("cohere")))
    assert (len(scores), len(seen)) == (5, 3)


def test_after_the_last_retry_it_has_failed(store: Store) -> None:
    detail, seen = failure(store, then(Reply(b"secret stack trace", 500)), reranker_cloud_retries=1)
    assert detail.endswith("failed: status 500, 2 times asked.")
    assert len(seen) == 2


@pytest.mark.parametrize("value", ["3600", "date"])
def test_a_service_that_wants_to_be_left_alone_is(store: Store, value: str) -> None:
    header = formatdate(time.time() + 3600, usegmt=True) if value == "date" else value
    with rerank_server(then(Reply(b"", 429, {"Retry-After": header}))) as server:
        with connected(store, server.url) as scorer:
            for _ in range(3):
                with pytest.raises(ScorerFailed):
                    ask(scorer)
            assert scorer.client.last_failure is not None
            assert "not asked for another" in scorer.client.last_failure[1]
        assert len(server.seen) == 1


def test_the_wait_that_the_service_asks_for_is_kept_by_every_request(store: Store) -> None:
    """The first answer asks for a second's patience; a search that starts meanwhile keeps it as well."""
    at: list[float] = []
    refused = threading.Event()

    def says(seen: Seen, before: int) -> Reply:
        at.append(time.monotonic())
        return Reply(b"", 429, {"Retry-After": "1"}) if before == 0 else speaks("cohere")(seen, before)

    with rerank_server(says) as server, connected(store, server.url) as scorer:

        def first() -> None:
            ask(scorer)
            refused.set()

        thread = threading.Thread(target=first)
        thread.start()
        while scorer.client.pace.wait_s()[0] <= 0 and not refused.is_set():
            time.sleep(0.005)
        ask(scorer)
        thread.join(20)
    assert len(at) == 3
    assert min(at[1:]) - at[0] >= 0.95


def test_after_failing_again_and_again_it_is_given_a_rest(store: Store) -> None:
    more: dict[str, Any] = {"reranker_cloud_retries": 0, "reranker_timeout_ms": 500}
    with rerank_server(then(Reply(b"", 500))) as server, connected(store, server.url, **more) as scorer:
        for _ in range(5):
            with pytest.raises(ScorerFailed):
                ask(scorer)
        assert len(server.seen) == 3
        assert scorer.client.pace.wait_s()[1] == "it failed 3 times in a row"


def test_after_the_rest_it_is_asked_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud, "FIRST_REST_S", 0.05)
    says = then(*[Reply(b"", 500)] * 3, after=speaks("cohere"))
    with rerank_server(says) as server, connected(store, server.url, reranker_cloud_retries=0) as scorer:
        for _ in range(3):
            with pytest.raises(ScorerFailed):
                ask(scorer)
        assert len(ask(scorer)) == 5


def hanging(release: threading.Event) -> Says:
    def says(seen: Seen, before: int) -> Reply:
        release.wait(30)
        return speaks("cohere")(seen, before)

    return says


def test_a_slow_service_is_not_waited_for(store: Store) -> None:
    release = threading.Event()
    with rerank_server(hanging(release)) as server:
        with connected(store, server.url, reranker_timeout_ms=200) as scorer:
            with pytest.raises(ScorerFailed, match=r"in (200 ms|reranking\.reranker_timeout_ms)"):
                ask(scorer)
            assert not release.is_set()  # it has not answered yet
        release.set()


def test_no_more_requests_at_a_time_than_set(store: Store) -> None:
    lock, now, most = threading.Lock(), [0], [0]
    two = threading.Event()

    def says(seen: Seen, before: int) -> Reply:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
            if now[0] == 2:
                two.set()
        two.wait(10)
        reply = speaks("cohere")(seen, before)
        with lock:
            now[0] -= 1
        return reply

    with rerank_server(says) as server, connected(store, server.url, reranker_cloud_concurrency=2) as scorer:
        threads = [threading.Thread(target=ask, args=(scorer,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert len(server.seen) == 8
    assert most[0] == 2


def rows(*scores: tuple[Any, Any]) -> Reply:
    return ok({"results": [{"index": index, "relevance_score": score} for index, score in scores]})


WHOLE = [(n, 0.5) for n in range(5)]


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(b""), "not JSON"),
        (Reply(b"<html>"), "not JSON"),
        (Reply(b"[" * 100_000), "not JSON"),
        (Reply(b"\xff\xfe\x00"), "not JSON"),
        (ok("text"), "without results"),
        (ok({"results": {"0": 1}}), "without results"),
        (ok({"results": []}), "scores for 0 of 5"),
        (rows(*WHOLE[:3]), "scores for 3 of 5"),
        (rows(*WHOLE, (5, 0.5)), "document 5 of 5"),
        (rows(*WHOLE[:4], (-1, 0.5)), "document -1 of 5"),
        (rows(*WHOLE, (0, 0.5)), "two scores for document 0"),
        (rows(*WHOLE[:4], (4, float("nan"))), "no number"),
        (rows(*WHOLE[:4], (4, float("inf"))), "no number"),
        (rows(*WHOLE[:4], (4, "0.5")), "no number"),
        (rows(*WHOLE[:4], (4, None)), "no number"),
        (rows(*WHOLE[:4], (True, 0.5)), "without an index"),
        (rows(*WHOLE[:4], ("4", 0.5)), "without an index"),
        (ok([1, 2, 3]), "no object"),
        (Reply(b"[" + b" " * 2_000_000 + b"]"), "more than"),
    ],
)
def test_no_score_is_made_up(store: Store, reply: Reply, said: str) -> None:
    detail, seen = failure(store, then(reply))
    assert said in detail
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("status", "key", "said"),
    [
        (401, KEY, "refused the key of TRIBRID_RERANKER_CLOUD_API_KEY (401)"),
        (403, "", "TRIBRID_RERANKER_CLOUD_API_KEY gave none (403)"),
        (404, KEY, "/v1/rerank answers 404"),
        (422, KEY, "refuses the request with status 422"),
    ],
)
def test_a_refusal_says_what_to_look_at_and_is_not_asked_again(store: Store, status: int, key: str, said: str) -> None:
    reply = Reply(json.dumps({"message": f"no {KEY}"}).encode(), status)
    detail, seen = failure(store, then(reply), key=key)
    assert said in detail
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("words", "passed_on"),
    [
        ("unknown field top_n", True),
        (f"bad input: {QUERY.upper()}", False),
        ("value error, input: number 3 of the pro", False),
    ],
)
def test_a_services_words_are_passed_on_unless_they_repeat_what_it_was_sent(
    store: Store, words: str, passed_on: bool
) -> None:
    detail, _ = failure(store, then(Reply(words.encode(), 422)))
    assert (words in detail) is passed_on


def test_a_redirect_is_not_followed(store: Store) -> None:
    with rerank_server(speaks("cohere")) as elsewhere:
        redirect = Reply(b"", 307, {"Location": f"{elsewhere.url}/v1/rerank"})
        assert "redirect" in failure(store, then(redirect), key=KEY)[0]
        assert elsewhere.seen == []


def test_nobody_there_is_said(store: Store) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with connected(store, url) as scorer, pytest.raises(ScorerFailed, match="ConnectError, 3 times asked"):
        ask(scorer)


def test_a_closed_client_says_so_to_who_waits(store: Store) -> None:
    with rerank_server(speaks("cohere")) as server, connected(store, server.url) as scorer:
        scorer.client.close()
        with pytest.raises(ScorerFailed, match="closed"):
            ask(scorer)


def test_the_key_and_the_query_are_not_logged(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        answers(store, speaks("cohere"), key=KEY)
    assert caplog.text
    assert KEY not in caplog.text
    assert "certificate" not in caplog.text


@pytest.mark.parametrize("text", ["\ud800 half a pair", "字" * 3000, "\x00"])
def test_any_text_can_be_sent(store: Store, text: str) -> None:
    with rerank_server(speaks("cohere")) as server, connected(store, server.url) as scorer:
        assert np.isfinite(ask(scorer, [text, "plain"], text)).all()
        assert server.seen[0].body["query"] == text


def probe(store: Store, says: Says, **more: Any) -> str:
    with rerank_server(says) as server, connected(store, server.url, **more) as scorer:
        try:
            return scorer.client.probe(5)
        finally:
            assert [seen.body.get("documents") for seen in server.seen] == [[]]


def test_a_probe_finds_out_without_a_document_to_pay_for(store: Store) -> None:
    assert probe(store, speaks("cohere"), key=KEY).endswith("takes the key")
    with pytest.raises(ScorerFailed, match="refused the key"):
        probe(store, then(Reply(b"", 401)), key=KEY)
    with pytest.raises(ScorerFailed, match="status 500"):
        probe(store, then(Reply(b"", 500)))


def test_servers_that_mix_forms_are_read(store: Store) -> None:
    for body in (
        [{"index": n, "relevance_score": 0.1 * n} for n in range(5)],
        {"results": [{"index": n, "score": 0.1 * n, "document": {"text": "x"}} for n in range(5)]},
        {"data": [{"index": n, "relevance_score": 0.1 * n} for n in range(5)], "usage": "free"},
    ):
        assert answers(store, then(ok(body)))[0] == pytest.approx([0.1 * n for n in range(5)])


@pytest.mark.parametrize("provider", ["cohere", "jina", "voyage", "tei"])
def test_what_a_service_gives_becomes_a_probability_that_tells_good_from_better(store: Store, provider: str) -> None:
    """TEI is asked for logits; the others give 0..1."""
    given = np.array([-3.0, 0.5, 2.0, 7.0] if provider == "tei" else [0.01, 0.4, 0.8, 0.99])
    with connected(store, "http://127.0.0.1:9", provider=provider) as scorer:
        found = scorer.calibration.probabilities(given)
    assert ((found > 0) & (found < 1)).all()
    assert (np.diff(found) > 0).all()
