"""Logs from elsewhere through the library: what joins is stored once, what does not is told, and nothing is made up."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from http_examples import DOCUMENTS, WORDS
from tribrid.answers.logs import NotTaken, ReasonExample
from tribrid.app import Tribrid
from tribrid.corpus.records import parse_records
from tribrid.errors import InvalidInput, NoDocuments
from tribrid.types import Document, EventType, LoggedList

pytestmark = pytest.mark.timeout(240)
T0 = "2026-01-02T03:04:05Z"
IDS = [record["_id"] for record in DOCUMENTS]


def ndjson(records: Iterable[Any]) -> io.BytesIO:
    return io.BytesIO("".join(json.dumps(record) + "\n" for record in records).encode())


def query(query_id: str, hits: list[str], at: Any = T0) -> dict[str, Any]:
    return {"query_id": query_id, "user_query": "soup", "query_response_hit_ids": hits, "timestamp": at}


def event(query_id: str, object_id: str, at: Any = T0, **target: str) -> dict[str, Any]:
    attributes = {"object": {"object_id": object_id, **target}}
    return {"query_id": query_id, "action_name": "click", "timestamp": at, "event_attributes": attributes}


def click(text: str, doc_id: str, at: Any = T0) -> dict[str, Any]:
    return {"query": text, "doc_id": doc_id, "timestamp": at}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tribrid]:
    with Tribrid(tmp_path_factory.mktemp("data")) as opened:
        yield opened


@pytest.fixture
def corpus(library: Tribrid) -> Iterator[str]:
    """A corpus with the example documents, gone after the test."""
    library.create_corpus("c")
    library.corpus("c").documents.add(parse_records(ndjson(DOCUMENTS), max_document_chars=1000))
    yield "c"
    library.corpus("c").delete()


def lists(library: Tribrid) -> list[LoggedList]:
    return list(library.store.logs.iterate_with_feedback("c"))


REFUSED: dict[str, tuple[str, list[dict[str, Any]], str]] = {
    "other ids than the corpus": (
        "ubi",
        [query("q", ["ean-1", "ean-2"]), event("q", "ean-1", object_id_field="ean")],
        r"documents like 'ean-1'; this corpus has ids like 'notes/.*object_id_field says 'ean'",
    ),
    "other ids than the lists": (
        "ubi",
        [query("q", IDS[:2]), event("q", "sku-7")],
        r"documents like 'sku-7'; the lists of their queries show documents like 'notes/.*object_id",
    ),
    "events alone": (
        "ubi",
        [event("q", IDS[0]), event("p", IDS[1])],
        r"events and no query records .*query_id like 'q'",
    ),
    "query records that are none": (
        "ubi",
        [query("q", IDS[:2]) | {"user_query": "x" * 20_000}, event("q", IDS[0])],
        r"no query record \(with user_query\) could be taken: 1 records were refused, 1 of them because",
    ),
    "other query_ids": (
        "native",
        [
            {"query_id": "q-1", "query": "soup", "timestamp": T0, "shown": IDS[:2]},
            {"query_id": "1", "signal": "click", "doc_id": IDS[0]},
        ],
        r"query_ids like '1', query records like 'q-1'",
    ),
    "nothing was shown": (
        "ubi",
        [query("q", []), event("q", IDS[0])],
        r"query_response_hit_ids is empty.*format clicks",
    ),
    "times out of range": (
        "ubi",
        [query("q", IDS[:2]), event("q", IDS[0], at=-5)],
        r"timestamp is not between 1970 and 9999.*ISO 8601",
    ),
    "no query_id": (
        "ubi",
        [query("q", IDS[:2]), {**event("q", IDS[0]), "query_id": None}],
        r"1 times\) because query_id is missing",
    ),
    "native as ubi": (
        "ubi",
        [{"query_id": "q", "query": "soup", "timestamp": T0, "shown": IDS[:2]}, {"query_id": "q", "signal": "click"}],
        r"looks like Tribrid's own records.*format native",
    ),
    "ubi as native": ("native", [query("q", IDS[:2]), event("q", IDS[0])], r"looks like OpenSearch UBI.*format ubi"),
    "clicks as ubi": ("ubi", [click("soup", IDS[0])], r"looks like a log of clicks alone.*format clicks"),
    "ubi as clicks": ("clicks", [query("q", IDS[:2]), event("q", IDS[0])], r"looks like OpenSearch UBI.*format ubi"),
    "clicks on other ids": (
        "clicks",
        [click("soup", "ean-1")],
        r"'ean-1'; this corpus has ids like 'notes/.*Is doc_id the id",
    ),
    "clicks without times": ("clicks", [click("soup", IDS[0], at=None)], r"1 times\) because timestamp is missing"),
}


def test_what_joins_nothing_is_refused_with_the_likely_cause(library: Tribrid, corpus: str) -> None:
    for name, (form, records, cause) in REFUSED.items():
        with pytest.raises(InvalidInput, match=cause) as refused:
            library.corpus(corpus).logs.add(ndjson(records), form)
        assert refused.value.status == 422, name
        assert library.corpus(corpus).logs.stats().impressions == 0, name
    with pytest.raises(InvalidInput, match="looks like a log of clicks alone"):
        library.corpus(corpus).logs.add(io.BytesIO(b"query,sku,click_time\nsoup,1,2026-01-02\n"), "ubi")
    with pytest.raises(InvalidInput, match="not one of native, ubi, clicks"):
        library.corpus(corpus).logs.add(ndjson([]), "csv")
    assert library.corpus(corpus).logs.stats().impressions == 0


def test_a_log_without_events_is_taken(library: Tribrid, corpus: str) -> None:
    counts = library.corpus(corpus).logs.add(ndjson([query("q", ["not here"])]), "ubi")
    assert (counts.impressions, counts.join_rate) == (1, None)


def test_part_of_a_log_that_joins_comes_with_reasons(library: Tribrid, corpus: str) -> None:
    records = [
        query("q", [*IDS[:2], "gone"]),
        event("q", IDS[0]),
        event("q", "gone"),
        event("other", IDS[0]),
        event("another", IDS[1]),
        {**event("q", IDS[1]), "action_name": "stare"},
    ]
    counts = library.corpus(corpus).logs.add(ndjson(records), "ubi")
    assert (counts.impressions, counts.feedback, counts.unjoined, counts.join_rate) == (1, 2, 2, 0.5)
    assert (counts.unknown_document, counts.unknown_documents) == (1, ("gone",))
    example = ReasonExample(line=4, doc_id=IDS[0], source="")
    first = NotTaken(reason="no impression has this query_id", kind="unjoined", count=2, example=example)
    assert counts.reasons[0] == first
    assert counts.reasons[1].reason == "action 'stare' is not feedback"


def test_events_join_what_was_searched_or_imported_before(library: Tribrid, corpus: str) -> None:
    library.corpus(corpus).logs.add(ndjson([query("q", IDS[:2])]), "ubi")
    searched = library.corpus(corpus).search("soup").query_id
    counts = library.corpus(corpus).logs.add(ndjson([event("q", IDS[1]), event(searched, "notes/soup.md")]), "ubi")
    assert (counts.impressions, counts.feedback, counts.unjoined) == (0, 2, 0)
    assert library.corpus(corpus).logs.stats().with_feedback == 2


def test_a_stored_list_is_not_replaced_by_another_with_its_query_id(library: Tribrid, corpus: str) -> None:
    library.corpus(corpus).logs.add(ndjson([query("q", IDS[:2]), event("q", IDS[0])]), "ubi")
    counts = library.corpus(corpus).logs.add(ndjson([query("q", IDS[2:4]), event("q", IDS[2])]), "ubi")
    assert (counts.impressions, counts.feedback, counts.unjoined) == (0, 0, 1)
    assert counts.reasons[0].reason == "the document was not shown in the list stored before"


def log_of(queries: int) -> io.BytesIO:
    records = [query(f"q{number:04}", IDS[:5], at=1_700_000_000 + number) for number in range(queries)]
    events = [event(f"q{number:04}", IDS[number % 5], at=1_700_000_100 + number) for number in range(queries)]
    return ndjson([*events, *records])


class Stopped(Exception):
    """As Ctrl-C would."""


def stop_at(stage: str, times: int) -> Any:
    seen = 0

    def emit(kind: EventType, data: Mapping[str, Any]) -> None:
        nonlocal seen
        seen += data.get("stage") == stage
        if seen == times:
            raise Stopped

    return emit


def test_an_import_that_broke_off_is_taken_up_again(library: Tribrid, corpus: str) -> None:
    with pytest.raises(Stopped):
        library.corpus(corpus).logs.add(log_of(4500), "ubi", emit=stop_at("storing", 2))
    there = library.corpus(corpus).logs.stats()
    assert 0 < there.impressions < 4500
    assert there.feedback["click"] == there.impressions  # a list never comes without its feedback
    counts = library.corpus(corpus).logs.add(log_of(4500), "ubi")
    assert (counts.impressions, counts.feedback) == (4500 - there.impressions, 4500 - there.impressions)
    assert counts.known_feedback == there.impressions
    again = library.corpus(corpus).logs.add(log_of(4500), "ubi")
    assert (again.impressions, again.feedback, again.known_feedback) == (0, 0, 4500)
    assert library.corpus(corpus).logs.stats().feedback["click"] == 4500


def test_impressions_of_clicks_are_reconstructed_and_marked(library: Tribrid, corpus: str) -> None:
    rows = [
        "user,sku,query,click_time",
        "u1,notes/soup.md,Soup,2026-01-02 03:04:05",
        "u2,notes/pasta.md,soup,2026-01-01",
        "u3,gone,soup,2026-01-01",
        "u3,notes/soup.md,soup,",
    ]
    counts = library.corpus(corpus).logs.add(io.BytesIO("\n".join(rows).encode()), "clicks")
    assert (counts.impressions, counts.feedback, counts.unjoined) == (2, 2, 1)
    assert (counts.queries, counts.retrieved) == (1, 1)
    assert (counts.unknown_document, counts.unknown_documents) == (1, ("gone",))
    assert [entry.reason for entry in counts.reasons] == [
        "timestamp is missing",
        "the corpus has no such document",
    ]
    older, newer = lists(library)
    assert (older.source, older.client_id, older.query) == ("reconstructed", "u2", "soup")
    assert (newer.client_id, newer.created_us) == ("u1", 1_767_323_045_000_000)
    retrieved = [result.doc_id for result in library.corpus(corpus).search("soup", top_k=len(DOCUMENTS)).results]
    for found, clicked in ((older, "notes/pasta.md"), (newer, "notes/soup.md")):
        assert [done.doc_id for done in found.feedback] == [clicked]
        assert list(found.doc_ids[:10]) == retrieved[:10]
        assert found.ranks[found.doc_ids.index(clicked)] == retrieved.index(clicked) + 1


def test_a_clicked_document_that_retrieval_does_not_find_stands_after_all_it_does(
    library: Tribrid, corpus: str
) -> None:
    library.corpus(corpus).patch_settings({"reranking": {"tribrid_reranker_topn": 10}})
    try:
        library.corpus(corpus).logs.add(ndjson([click("soup", name) for name in IDS]), "clicks")
    finally:
        library.corpus(corpus).patch_settings({"reranking": {"tribrid_reranker_topn": None}})
    for found in lists(library):
        [done] = found.feedback
        assert len(found.doc_ids) in (10, 11)
        assert list(found.ranks[:10]) == list(range(1, 11))
        if len(found.doc_ids) == 11:
            assert (found.doc_ids[10], found.ranks[10]) == (done.doc_id, 11)


def test_a_click_log_can_be_repeated_and_taken_up_again(library: Tribrid, corpus: str) -> None:
    records = [click(WORDS[number % 8], IDS[number % 7], at=1_700_000_000 + number) for number in range(1500)]
    told: list[Mapping[str, Any]] = []
    with pytest.raises(Stopped):
        library.corpus(corpus).logs.add(ndjson(records), "clicks", emit=stop_at("reconstructing", 1))
    stored = library.corpus(corpus).logs.stats().impressions
    assert 0 < stored < 1500
    again = library.corpus(corpus).logs.add(ndjson(reversed(records)), "clicks", emit=lambda _, data: told.append(data))
    assert (again.feedback, again.known_feedback) == (1500 - stored, stored)
    assert (told[-1]["done"], told[-1]["total"]) == (1500, 1500)
    last = library.corpus(corpus).logs.add(ndjson(records), "clicks")
    assert (last.impressions, last.known_feedback, last.retrieved) == (0, 1500, 0)
    assert library.corpus(corpus).logs.stats().feedback == {"click": 1500}


def test_clicks_need_documents(library: Tribrid, tmp_path: Path) -> None:
    library.create_corpus("empty")
    with pytest.raises(NoDocuments):
        library.corpus("empty").logs.add(ndjson([click("soup", "a")]), "clicks")
    library.corpus("empty").delete()


def test_real_clicks(library: Tribrid, corpus: str, shared_data: Path) -> None:
    folder = shared_data / "bestbuy-xbox"
    with (folder / "corpus.jsonl").open("rb") as documents:
        library.corpus(corpus).documents.add(parse_records(documents, max_document_chars=100_000))
    with (folder / "raw" / "train.csv").open("rb") as log:
        rows = list(itertools.islice(log, 2001))
    counts = library.corpus(corpus).logs.add(rows, "clicks")
    known = {row["sku"] for row in csv.DictReader(line.decode() for line in rows)} - set(counts.unknown_documents)
    assert counts.records == 2000
    assert (counts.join_rate or 0) > 0.98
    assert counts.feedback + counts.known_feedback + counts.unjoined == 2000
    assert {done.doc_id for found in lists(library) for done in found.feedback} <= known


def test_real_ubi_logs(library: Tribrid, corpus: str, shared_data: Path) -> None:
    raw = shared_data / "esci-us-small" / "raw"
    body = (raw / "dashboards_ubi_queries.json").read_bytes() + (raw / "dashboards_ubi_events.json").read_bytes()
    with pytest.raises(InvalidInput, match="this corpus has ids like 'notes/"):
        library.corpus(corpus).logs.add(io.BytesIO(body), "ubi")
    with (shared_data / "esci-us-small" / "corpus.jsonl").open("rb") as documents:
        read = list(parse_records(documents, max_document_chars=100_000))
    some = [document for document in read if isinstance(document, Document)]
    library.store.documents.upsert(corpus, some)
    counts = library.corpus(corpus).logs.add(io.BytesIO(body), "ubi")
    assert (counts.impressions, counts.feedback) == (279, 512)
    assert (counts.join_rate or 0) > 0.8
    assert 0 < counts.unknown_document < 512
