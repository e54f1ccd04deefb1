"""A shop: what stands in the products' fields decides their order, from the settings to a model that is handed on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import shop
from http_examples import ok
from serving import running
from tribrid import Reranker, Tribrid
from tribrid.api import create_app
from tribrid.app.corpus import Corpus
from tribrid.cli.program import run
from tribrid.errors import InvalidField, InvalidInput
from tribrid.types import Document

pytestmark = pytest.mark.timeout(300)
QUICK: dict[str, Any] = {"cross_encoder": False, "folds": 3}
TAUGHT = 40


@pytest.fixture(scope="module")
def tribrid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tribrid]:
    with Tribrid(tmp_path_factory.mktemp("shop")) as opened:
        corpus = opened.create_corpus("shop")
        corpus.documents.add(shop.documents())
        corpus.judgments.put(shop.queries(0, TAUGHT))
        corpus.eval_dataset.put(shop.queries(TAUGHT, shop.NAMES))
        corpus.patch_settings({"features": {"fields": shop.FIELDS}, "reranking": {"collect_documents": False}})
        corpus.mine(sources=["judgments"])
        yield opened


@pytest.fixture(scope="module")
def without(tribrid: Tribrid) -> str:
    """A model that knows the texts alone."""
    tribrid.corpus("shop").patch_settings({"features": None})
    return tribrid.corpus("shop").train(**QUICK).model_id


@pytest.fixture(scope="module")
def learned(tribrid: Tribrid, without: str) -> str:
    """A model that knows the fields."""
    corpus = tribrid.corpus("shop")
    corpus.patch_settings({"features": {"fields": shop.FIELDS}})
    return corpus.train(**QUICK).model_id


@pytest.fixture
def corpus(tribrid: Tribrid) -> Corpus:
    return tribrid.corpus("shop")


def scores(tribrid: Tribrid, model: str, products: list[dict[str, Any]]) -> list[float]:
    """The raw score of each product, in the order given."""
    found = tribrid.rerank("a thing", products, corpus_id="shop", model=model)
    return [row.raw_score for row in sorted(found.results, key=lambda row: row.index)]


def products(field: str, values: list[Any], **others: Any) -> list[dict[str, Any]]:
    return [
        {"id": f"p{at}", "text": "The thing that you look for.", "metadata": {**others, field: value}}
        for at, value in enumerate(values)
    ]


def test_a_model_that_reads_the_fields_ranks_a_shop_and_one_that_does_not_cannot(
    corpus: Corpus, without: str, learned: str
) -> None:
    blind, sees = corpus.evaluate(model_id=without), corpus.evaluate(model_id=learned)
    assert blind.after is not None
    assert sees.after is not None
    assert sees.after["ndcg@10"] > blind.after["ndcg@10"] + 0.2
    assert sees.promoted
    assert [(field.name, field.kind) for field in sees.fields] == [
        ("price", "number"),
        ("stock", "number"),
        ("brand", "category"),
        ("released", "date"),
    ]
    assert not blind.fields
    asked = shop.queries(TAUGHT, shop.NAMES)
    first = [corpus.search(query.text).results[0].doc_id for query in asked]
    right = sum(query.judgments.get(doc_id, 0) for query, doc_id in zip(asked, first, strict=True))
    assert right > len(asked) / 2


def alone(tribrid: Tribrid, model: str, field: str, values: list[Any], **others: Any) -> list[float]:
    """The score of one product with each of these values, among three others and at the same place."""
    lists = [products(field, [3, value, 40, None], **others) for value in values]
    return [scores(tribrid, model, given)[1] for given in lists]


def test_more_stock_never_lowers_a_score_and_a_higher_price_never_raises_it(tribrid: Tribrid, learned: str) -> None:
    for others in ({"price": 10}, {"price": 3000, "brand": "acme"}, {}):
        found = alone(tribrid, learned, "stock", [0, 1, 3, 20, 100, 5000, 10**9], **others)
        assert found == sorted(found)
        assert found[0] < found[-1]
    found = alone(tribrid, learned, "price", [0.01, 1, 9.99, 10, 500, 10**7], stock=3)
    assert found == sorted(found, reverse=True)
    assert found[0] > found[-1]


def test_what_rises_alone_never_falls_behind(tribrid: Tribrid, learned: str) -> None:
    """Raising the stock of one product of a list: no other one passes it."""
    behind = []
    for stock in (0, 1, 4, 30, 1000):
        found = scores(tribrid, learned, products("stock", [0, 2, 5, 60, stock], price=10))
        behind.append(sum(score > found[-1] for score in found[:-1]))
    assert behind == sorted(behind, reverse=True)


def test_a_field_beside_the_text_counts_and_what_did_not_come_is_the_corpus_s_own(
    tribrid: Tribrid, learned: str
) -> None:
    inside = products("price", [5, 500], stock=3)
    beside = [{"id": p["id"], "text": p["text"], **p["metadata"]} for p in inside]
    assert scores(tribrid, learned, beside) == scores(tribrid, learned, inside)
    known = shop.documents()[:6]
    bare = [{"id": document.doc_id, "text": document.text, "title": document.title} for document in known]
    whole = [{**row, "metadata": document.metadata} for row, document in zip(bare, known, strict=True)]
    found = pytest.approx(scores(tribrid, learned, whole), abs=1e-6)  # they grow older meanwhile
    assert scores(tribrid, learned, bare) == found
    assert scores(tribrid, learned, [{"id": document.doc_id} for document in known]) == found


def test_a_missing_value_is_missing_and_an_explanation_says_so(corpus: Corpus, learned: str) -> None:
    priced = next(d for d in shop.documents() if "price" in d.metadata)
    bare = next(d for d in shop.documents() if "price" not in d.metadata)
    for document in (priced, bare):
        found = corpus.explain(document.title, document.doc_id, model_id=learned)
        moved = {row.feature: row.value for row in found.moved_by}
        told = [name for name in moved if name.endswith((":price", ":stock"))]
        assert told, moved
        if "field:price" in moved:
            assert moved["field:price"] == document.metadata.get("price")


def test_the_fields_go_with_a_model_that_is_handed_on(tribrid: Tribrid, learned: str, tmp_path: Path) -> None:
    tribrid.models.export(learned, tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text()
    assert "| price | number | more never raises it |" in card
    loaded = Reranker.load(tmp_path / "model")
    given = products("price", [500, 5, None, 50], stock=3)
    assert next(row.doc_id for row in loaded.rank("a thing", given)) == "p1"
    again = Reranker.load(loaded.save(tmp_path / "copy"))
    assert again.rank("a thing", given) == loaded.rank("a thing", given)


def test_an_evaluation_tells_that_prices_are_not_what_they_were(corpus: Corpus, learned: str) -> None:
    before = shop.documents()
    try:
        prices = {d.doc_id: d.metadata["price"] for d in before if "price" in d.metadata}
        risen = [replace(d, metadata={**d.metadata, "price": 90 * prices.get(d.doc_id, 1)}) for d in before]
        corpus.documents.add(risen)
        report = corpus.evaluate(model_id=learned)
        price = next(field for field in report.fields if field.name == "price")
        assert price.drifted
        assert any("field price is not what challenger learned from" in note for note in report.notes)
    finally:
        corpus.documents.add(before)
    assert not any(field.name == "price" and field.drifted for field in corpus.evaluate(model_id=learned).fields)


def test_what_is_no_number_is_refused_with_the_first_document_that_has_it(
    tribrid: Tribrid, corpus: Corpus, learned: str, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = [
        Document("zz-odd", "Odd.", "", "", {"price": "12 EUR"}),
        Document("aa-odd", "Odd too.", "", "", {"price": "cheap"}),
    ]
    with pytest.raises(InvalidField, match=r"'p1'.*price.*cheap"):
        scores(tribrid, learned, products("price", [5, "cheap"]))
    corpus.documents.add(odd)
    try:
        for work in (corpus.submit_train, corpus.submit_evaluate):
            with pytest.raises(InvalidField) as refused:
                work()
            assert refused.value.facts == {"doc_id": "aa-odd", "field": "price", "value": '"cheap"'}
        with running(create_app(tribrid)) as server:
            client = server.client()
            answer = client.post("/reranker/train", json={"corpus_id": "shop"})
            told = answer.json()
            assert (answer.status_code, told["code"], told["doc_id"]) == (422, "invalid_field", "aa-odd")
            asked = {"query": "a thing", "documents": products("price", [5, "cheap"]), "corpus_id": "shop"}
            answer = client.post("/rerank", json=asked)
            told = answer.json()
            assert (answer.status_code, told["code"], told["field"]) == (400, "invalid_field", "price")
            assert ok(client.post("/rerank", json={**asked, "documents": products("price", [5, 6])}))["results"]
        data_dir = str(tribrid.environment.data_dir)
        assert run(["--data-dir", data_dir, "--json", "train", "shop"]) == 2
        said = capsys.readouterr()
        assert '"code": "invalid_field"' in said.out + said.err
    finally:
        corpus.documents.delete([document.doc_id for document in odd])


def test_what_only_a_call_knows_is_learned_from_as_the_call_had_it(tmp_path: Path) -> None:
    """How far a shop is depends on who asks: no document has it."""
    rng = random.Random(6)
    own = [replace(d, text=f"{d.text} Number {d.doc_id[-1]}.", metadata={}) for d in shop.documents()]
    with Tribrid(tmp_path) as tribrid:
        corpus = tribrid.create_corpus("near")
        corpus.documents.add(own)
        corpus.patch_settings({"features": {"fields": "distance:number:down"}})
        judged = []
        for query in shop.queries(0, shop.NAMES):
            far = {doc_id: round(rng.lognormvariate(1, 1), 2) for doc_id in query.judgments}
            given: list[dict[str, Any]] = [{"id": doc_id, "distance": distance} for doc_id, distance in far.items()]
            found = tribrid.rerank(query.text, given, corpus_id="near")
            kept = tribrid.store.logs.impression(found.query_id).given_fields
            assert kept == {doc_id: {"distance": distance} for doc_id, distance in far.items()}
            nearest = min(far, key=lambda doc_id: far[doc_id])
            judged.append(replace(query, judgments={doc_id: int(doc_id == nearest) for doc_id in far}))
        corpus.judgments.put(judged[:TAUGHT])
        corpus.eval_dataset.put(judged[TAUGHT:])
        corpus.mine(sources=["judgments"])
        corpus.train(**QUICK)
        report = corpus.evaluate()
        assert report.before is not None
        assert report.after is not None
        assert report.after["ndcg@10"] > report.before["ndcg@10"] + 0.2


def test_settings_that_name_no_field_are_refused(corpus: Corpus) -> None:
    for wrong in ("price", "price:money", "brand:category:up", "price:number:sideways", "price:number price:date"):
        with pytest.raises(InvalidInput, match=r"features\.fields"):
            corpus.patch_settings({"features": {"fields": wrong}})
