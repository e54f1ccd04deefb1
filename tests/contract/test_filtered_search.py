"""A search with a filter, through the library, on both databases: what is found, counted, logged and learned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tribrid.app import Tribrid
from tribrid.app.bounds import Bounds
from tribrid.config import read_environment
from tribrid.errors import DocumentNotFound, Forbidden, InvalidInput, QueryNotFound
from tribrid.types import FILTERED_EVIDENCE, Document
from tribrid.types.filters import Filter

COUNT = 120
TEAM_A = Filter.read({"team": "a"})


def documents() -> list[Document]:
    """Of every four, one is German; half belong to each team; one has no metadata."""
    return [
        Document(
            f"d{n}",
            f"How to renew the certificate of proxy number {n} by night.",
            f"Proxy {n}",
            metadata={"n": n, "lang": "de" if n % 4 == 0 else "en", "team": "ab"[n % 2], "tags": ["all", f"t{n % 3}"]},
        )
        for n in range(COUNT - 1)
    ] + [Document("bare", "How to renew a certificate.")]


@pytest.fixture
def tribrid(database_url: str, tmp_path: Path) -> Iterator[Tribrid]:
    environment = read_environment().model_copy(update={"data_dir": tmp_path / "data", "database_url": database_url})
    with Tribrid(environment=environment) as opened:
        opened.create_corpus("c").documents.add(documents())
        yield opened


def ids(tribrid: Tribrid, given: Any, top_k: int = COUNT, **how: Any) -> list[str]:
    found = tribrid.corpus("c").search("renew the certificate", top_k, filter=given, **how)
    return [result.doc_id for result in found.results]


def test_what_is_found_counted_and_logged(tribrid: Tribrid) -> None:
    """One story: an index takes seconds on each database."""
    corpus = tribrid.corpus("c")
    everything = corpus.search("renew the certificate", COUNT)
    assert (everything.matching, everything.facets) == (None, {})
    found = corpus.search("renew the certificate", 10, filter={"n": {"$lt": 5}}, facets=["lang", "tags", "none"])
    assert {result.doc_id for result in found.results} == {f"d{n}" for n in range(5)}
    assert [result.rank for result in found.results] == [1, 2, 3, 4, 5]
    assert found.matching == 5
    assert found.reranked_candidates == (5 if found.reranked else 0)
    assert [(value.value, value.documents) for value in found.facets["lang"]] == [("en", 3), ("de", 2)]
    assert next((value.value, value.documents) for value in found.facets["tags"]) == ("all", 5)
    assert found.facets["none"] == ()
    # A passage has the scores of the legs that it has without a filter; its ranks are those among what may be found.
    before = {result.doc_id: result.first_stage.legs for result in everything.results}
    for result in found.results:
        legs, whole = result.first_stage.legs, before[result.doc_id]
        assert legs.dense
        assert whole.dense
        assert legs.dense.score == pytest.approx(whole.dense.score, abs=1e-6)
        assert legs.dense.rank <= 5
        if legs.sparse and whole.sparse:
            assert legs.sparse.score == pytest.approx(whole.sparse.score, abs=1e-5)

    assert ids(tribrid, {"lang": {"$exists": False}}) == ["bare"]
    assert "bare" in ids(tribrid, {"lang": {"$ne": "de"}})
    assert ids(tribrid, {"n": -1}) == []
    assert corpus.search("renew", facets=["team"]).facets["team"][0].documents == COUNT // 2

    kept = tribrid.store.logs.impression(found.query_id)
    assert kept.filter == {"n": {"$lt": 5}}
    assert tribrid.store.logs.impression(everything.query_id).filter is None
    lists = {logged.query_id: logged.filtered for logged in tribrid.store.logs.iterate_with_feedback("c")}
    assert lists[found.query_id]
    assert not lists[everything.query_id]

    # New metadata holds from the next search on, with the same text and without an embedding.
    changed = corpus.documents.add([Document("d3", documents()[3].text, "Proxy 3", metadata={"n": 999})])
    assert changed.embedded == 0
    assert ids(tribrid, {"n": {"$gte": 500}}) == ["d3"]


def test_pages_are_cut_from_one_order(tribrid: Tribrid) -> None:
    whole = ids(tribrid, {"team": "a"}, 30)
    pages = [
        tribrid.corpus("c").search("renew the certificate", 10, filter={"team": "a"}, offset=at) for at in (0, 10, 20)
    ]
    assert [result.doc_id for page in pages for result in page.results] == whole
    assert [result.rank for page in pages for result in page.results] == list(range(1, 31))
    assert ids(tribrid, {"team": "a"}, 10, offset=500) == []
    shown = tribrid.store.logs.impression(pages[1].query_id).shown
    assert [row.rank for row in shown] == list(range(11, 21))


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"filter": {"n": {"gte": 5}}}, "filter.n: there is no operator"),
        ({"offset": -1}, "offset: 0 or more"),
        ({"offset": 995, "top_k": 10}, "offset: 0 or more, and with top_k up to 1000"),
        ({"facets": ["f"] * 11}, "facets: a list of up to 10"),
    ],
)
def test_what_is_wrong_is_said(tribrid: Tribrid, how: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=says.replace(".", r"\.")):
        tribrid.corpus("c").search("renew", **how)


def test_a_pinned_library_finds_and_tells_of_nothing_else(tribrid: Tribrid) -> None:
    mine = {f"d{n}" for n in range(0, COUNT - 1, 2)}
    seen, all_of_it = tribrid.bound_to(pinned=TEAM_A), tribrid.corpus("c")
    corpus = seen.corpus("c")
    found = corpus.search("renew the certificate", COUNT, facets=["team"])
    assert {result.doc_id for result in found.results} == mine
    assert found.matching == len(mine)
    assert [(value.value, value.documents) for value in found.facets["team"]] == [("a", len(mine))]
    for given in ({"team": "b"}, {"$or": [{"team": "b"}, {"team": {"$exists": False}}]}, {"$not": {"team": "a"}}):
        assert corpus.search("renew the certificate", COUNT, filter=given).results == ()
    german = corpus.search("renew the certificate", COUNT, filter={"lang": "de"})
    assert {result.doc_id for result in german.results} == {f"d{n}" for n in range(0, COUNT - 1, 4)}

    assert corpus.documents.get("d2").doc_id == "d2"
    for other in ("d1", "bare", "gone"):
        with pytest.raises(DocumentNotFound, match=f"Corpus 'c' has no document '{other}'"):
            corpus.documents.get(other)

    theirs = all_of_it.search("renew the certificate")
    seen.feedback(found.query_id, "click", found.results[0].doc_id)
    seen.feedback(german.query_id, "click", german.results[0].doc_id)
    for query_id in (theirs.query_id, all_of_it.search("renew", filter={"team": "b"}).query_id):
        with pytest.raises(QueryNotFound):
            seen.feedback(query_id, "click")
    for refused in (
        lambda: seen.rerank("renew", [{"id": "d1"}], corpus_id="c"),
        lambda: corpus.compare("renew"),
        lambda: corpus.explain("renew", "d1"),
        lambda: corpus.documents.page(),
        lambda: corpus.documents.add([Document("new", "text")]),
        corpus.triplets,
        corpus.mine,
        lambda: corpus.erase(doc_id="d1"),
    ):
        with pytest.raises(Forbidden, match="pinned to a filter"):
            refused()


def test_a_search_was_within_a_pinned_filter_by_what_the_filter_means() -> None:
    pinned = Filter.read({"staff": True})
    narrower = Filter.read({"year": 2020}).within(pinned).given
    kept: list[Any] = [{"staff": True}, narrower, None, {"staff": 1}, {"$and": [{"staff": 1.0}]}, {"year": 2020}]
    assert [Bounds(pinned=pinned).searched(given) for given in kept] == [True, True, False, False, False, False]


def test_nobody_passed_over_what_a_filter_left_out(tribrid: Tribrid) -> None:
    """Mining learns from filtered lists, of what they showed alone."""
    corpus = tribrid.corpus("c")
    for n in range(12):
        found = corpus.search(f"certificate of proxy number {n}", 5, filter={"lang": "de"}, client_id=f"u{n}")
        tribrid.feedback(found.query_id, "click", found.results[3].doc_id)
    mined = corpus.mine(sources=["logs"])
    assert mined.triplets
    triplets = corpus.triplets(limit=1000).triplets
    german = {f"d{n}" for n in range(0, COUNT - 1, 4)}
    assert {triplet.negative.doc_id for triplet in triplets} <= german
    latest = tribrid.store.triplets.latest("c")
    kept = tribrid.store.triplets.load(latest.triplet_set_id)
    assert all(FILTERED_EVIDENCE in triplet.evidence for triplet in kept)


def test_passages_several_of_one_document(tribrid: Tribrid) -> None:
    words = "The certificate of the gateway is renewed by the night. " * 25
    guide = "# Gateway\n\n" + "".join(f"## Step {n}\n\n{words}\n\n" for n in range(1, 6))
    corpus = tribrid.corpus("c")
    corpus.documents.add([Document("guide.md", guide, "Gateway", metadata={"team": "a", "guide": True})])
    only = {"guide": True}
    (whole,) = corpus.search("gateway certificate", filter=only).results
    found = corpus.search("gateway certificate", 4, filter=only, per="passage")
    assert [result.rank for result in found.results] == [1, 2, 3, 4]
    assert {result.doc_id for result in found.results} == {"guide.md"}
    assert len({result.passage.start for result in found.results}) == 4
    for result in (whole, *found.results):
        assert result.text == guide[result.passage.start : result.passage.end]
        assert result.headings[0] == "Gateway"
        assert result.lines
        assert guide.splitlines()[result.lines.first - 1].strip() in result.text
        marked = {result.text[start:end].lower() for start, end in result.highlights}
        assert {"certificate", "gateway"} <= marked <= {"certificate", "gateway", "certificates"}
    assert any("Step" in result.headings[-1] for result in found.results)
    scores = [result.score for result in found.results]
    assert scores == sorted(scores, reverse=True)
    rest = corpus.search("gateway certificate", 100, filter=only, per="passage", offset=4).results
    assert {result.passage.start for result in rest}.isdisjoint(result.passage.start for result in found.results)
    # What is logged is the document, where it stands highest.
    (shown,) = tribrid.store.logs.impression(found.query_id).shown
    assert (shown.doc_id, shown.rank) == ("guide.md", 1)
    tribrid.feedback(found.query_id, "click", "guide.md")
    mixed = corpus.search("renew the certificate", 50, per="passage")
    assert mixed.reranked
    assert len(mixed.results) == 50
    with pytest.raises(InvalidInput, match="per: 'chunk' is not one of doc, passage"):
        corpus.search("renew", per="chunk")
