"""What does not work is said where one looks: GET /ready, `doctor`, GET /metrics; and what can be mended is."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from serving import running
from tribrid.api import create_app
from tribrid.app import Tribrid
from tribrid.corpus.jsonlines import Skipped
from tribrid.errors import DocumentNotFound, Unavailable
from tribrid.types import Document
from waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
TEXTS = {"soup": "The kitchen serves soup on Mondays.", "leave": "Everyone has thirty days of leave."}


def documents() -> list[Document]:
    return [Document(doc_id, text, "") for doc_id, text in TEXTS.items()]


@pytest.fixture
def tribrid(tmp_path: Path) -> Iterator[Tribrid]:
    """Two corpora."""
    with Tribrid(tmp_path / "data") as opened:
        for corpus_id in ("whole", "broken"):
            opened.create_corpus(corpus_id).documents.add(documents())
        yield opened


@pytest.fixture
def client(tribrid: Tribrid) -> Iterator[httpx.Client]:
    with running(create_app(tribrid)) as server:
        client = server.client()
        until(lambda: "being loaded" not in client.get("/ready").text)
        yield client


def damage(tribrid: Tribrid, corpus_id: str) -> None:
    data = next(tribrid.folder.index_dir(corpus_id).glob("*.lance/data/*"))
    held = bytearray(data.read_bytes())
    held[100:300] = b"\xff" * 200
    data.write_bytes(held)


def troubles(client: httpx.Client) -> list[dict[str, str]]:
    """What GET /ready tells while searches are answered."""
    found: list[dict[str, str]] = client.get("/ready").json()["troubles"]
    return found


def doctors_word(tribrid: Tribrid) -> tuple[bool, str]:
    (check,) = [check for check in tribrid.doctor() if check.check == "corpora"]
    return check.ok, check.detail


def test_a_damaged_index_is_named_everywhere_and_made_anew_over_http(tribrid: Tribrid, client: httpx.Client) -> None:
    assert client.get("/ready").json() == {"status": "ready", "troubles": []}
    damage(tribrid, "broken")
    (trouble,) = until(lambda: troubles(client))
    assert (trouble["what"], trouble["corpus_id"]) == ("index", "broken")
    metrics = client.get("/metrics").text
    for line in ('corpus_searchable{corpus_id="broken"} 0.0', 'searchable{corpus_id="whole"} 1.0', "_ready 0.0"):
        assert line in metrics
    ok, told = doctors_word(tribrid)
    assert not ok
    assert "broken" in told
    assert "whole" not in told
    damage(tribrid, "whole")
    until(lambda: client.get("/ready").status_code == 503)
    for corpus_id in ("whole", "broken"):
        made = client.post(f"/corpora/{corpus_id}/index", timeout=60)
        assert (made.status_code, made.json()["embedded"]) == (200, 2)
    until(lambda: client.get("/ready").json() == {"status": "ready", "troubles": []})
    found = client.post("/search", json={"corpus_id": "broken", "query": "soup"}).json()
    assert found["results"][0]["doc_id"] == "soup"
    assert doctors_word(tribrid)[0]
    assert client.post("/corpora/none/index").status_code == 404


def test_an_upload_that_broke_off_is_told_and_indexed_by_itself(tribrid: Tribrid) -> None:
    corpus = tribrid.corpus("broken")

    def breaks_off() -> Iterator[Document | Skipped]:
        yield from (Document(f"new{number}", f"Potatoes of kind {number}.", "") for number in range(600))
        raise OSError("the power went out")

    with pytest.raises(OSError, match="power"):
        corpus.documents.add(breaks_off())
    (trouble,) = tribrid.condition().troubles
    assert (trouble.what, trouble.corpus_id) == ("documents", "broken")
    ok, told = doctors_word(tribrid)
    assert not ok
    assert "broken" in told
    assert corpus.search("potatoes").results[0].doc_id in TEXTS
    with running(create_app(tribrid)):
        until(lambda: not tribrid.condition().troubles)
    assert corpus.search("potatoes").results[0].doc_id.startswith("new")


def test_what_is_to_be_done_is_said_once(tribrid: Tribrid) -> None:
    """Either the server does it, or somebody has to."""
    for corpus_id in ("whole", "broken"):
        with pytest.raises(RuntimeError), tribrid.folder.uploads.upload_under_way(corpus_id):
            raise RuntimeError("killed")
    (tribrid.folder.index_dir("whole") / "published.json").unlink()  # killed at its first upload
    damage(tribrid, "broken")
    found = tribrid.condition()
    told = {(trouble.corpus_id, trouble.what): trouble.detail for trouble in found.troubles}
    assert told.keys() == {("whole", "documents"), ("broken", "documents"), ("broken", "index")}
    assert told["whole", "documents"].endswith("The server ends it by itself.")
    assert "--rebuild" in told["broken", "index"]
    assert told["broken", "documents"].endswith("The server ends it once the index is made anew.")
    assert found.searchable == {"whole": False, "broken": False}
    with running(create_app(tribrid)) as server:
        until(lambda: tribrid.condition().searchable["whole"])
        assert server.client().post("/corpora/broken/index", timeout=60).status_code == 200
        until(lambda: not tribrid.condition().troubles)
    assert tribrid.corpus("whole").search("soup").results[0].doc_id == "soup"


def test_an_index_that_was_deleted_under_the_server_is_named_and_made_anew(
    tribrid: Tribrid, client: httpx.Client
) -> None:
    asked = {"corpus_id": "broken", "query": "soup"}
    assert client.post("/search", json=asked).status_code == 200
    shutil.rmtree(tribrid.folder.index_dir("broken"))
    (trouble,) = until(lambda: troubles(client))
    assert (trouble["what"], trouble["corpus_id"], "lost" in trouble["detail"]) == ("index", "broken", True)
    assert client.post("/search", json=asked).status_code == 409
    assert not doctors_word(tribrid)[0]
    made = client.post("/corpora/broken/index", timeout=60)
    assert (made.status_code, made.json()["embedded"]) == (200, 2)
    until(lambda: client.get("/ready").json() == {"status": "ready", "troubles": []})
    assert client.post("/search", json=asked).json()["results"][0]["doc_id"] == "soup"


def test_documents_that_wait_for_their_first_mining_are_no_trouble(tribrid: Tribrid) -> None:
    """A rerank collects them. What was mined has an index, and may lose it."""
    tribrid.create_corpus("given")
    tribrid.rerank("soup", list(TEXTS.values()), corpus_id="given")
    assert not tribrid.condition().troubles
    assert doctors_word(tribrid)[0]
    tribrid.corpus("given").mine()
    assert not tribrid.condition().troubles
    shutil.rmtree(tribrid.folder.index_dir("given"))
    (trouble,) = tribrid.condition().troubles
    assert (trouble.what, trouble.corpus_id) == ("index", "given")
    assert not doctors_word(tribrid)[0]


@pytest.mark.parametrize("way", ["server", "again"])
def test_an_erasure_that_broke_off_is_brought_to_its_end(tribrid: Tribrid, way: str) -> None:
    """Between the rows and the index: the document is nowhere but in files of the index."""
    corpus = tribrid.corpus("broken")

    def indexed() -> set[str]:
        snapshot = tribrid.folder.index("broken").snapshot()
        return set(snapshot.doc_hashes()) if snapshot else set()

    def breaks_off() -> None:
        with tribrid.folder.uploads.erasure_under_way("broken"):
            tribrid.store.erasures.document("broken", "soup")
            raise OSError("the power went out")

    with pytest.raises(OSError, match="power"):
        breaks_off()
    assert indexed() == {"soup", "leave"}
    assert [(trouble.what, trouble.corpus_id) for trouble in tribrid.condition().troubles] == [("documents", "broken")]
    assert not doctors_word(tribrid)[0]
    corpus.documents.add(documents()[1:])  # brings the index in line, and leaves older versions of it
    assert tribrid.condition().troubles
    if way == "server":
        with running(create_app(tribrid)):
            until(lambda: not tribrid.condition().troubles)
    else:
        with pytest.raises(DocumentNotFound):
            corpus.erase(doc_id="soup")
    assert not tribrid.condition().troubles
    assert indexed() == {"leave"}
    assert len(list(tribrid.folder.index_dir("broken").glob("*.lance/_versions/*.manifest"))) == 1


def test_the_next_upload_ends_one_that_broke_off(tribrid: Tribrid) -> None:
    with pytest.raises(OSError, match="power"), tribrid.folder.uploads.upload_under_way("broken"):
        raise OSError("the power went out")
    assert tribrid.condition().troubles
    tribrid.corpus("broken").documents.add([Document("new", "Potatoes.", "")])
    assert not tribrid.condition().troubles


def test_an_upload_under_way_is_no_trouble(tribrid: Tribrid) -> None:
    with tribrid.folder.uploads.upload_under_way("broken"):
        assert not tribrid.condition().troubles
    assert not tribrid.condition().troubles


@pytest.fixture
def full(tribrid: Tribrid) -> None:
    """The database takes not one page more."""

    def no_more(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # SQLite makes of it the pages there are

    engine = tribrid.store.database._reader
    engine.dispose()
    sa.event.listen(engine, "connect", no_more)


def fill(tribrid: Tribrid) -> None:
    """Use up the free room of the pages there are."""
    long = [Document(f"long{number}", "x" * 100_000, "") for number in range(100)]
    with pytest.raises(Unavailable):
        tribrid.store.documents.upsert("whole", long)
    for size in (4000, 40):
        with pytest.raises(Unavailable):
            add_for_ever(tribrid, size)


def add_for_ever(tribrid: Tribrid, size: int) -> None:
    for number in itertools.count():
        tribrid.store.documents.upsert("broken", [Document(f"{size}-{number}", "x" * size, "")])


def test_where_the_log_takes_nothing_searches_are_answered_and_say_so(
    tribrid: Tribrid, client: httpx.Client, full: None
) -> None:
    logged = client.post("/search", json={"corpus_id": "whole", "query": "soup"}).json()
    fill(tribrid)
    asked = {"corpus_id": "whole", "query": "soup " * 5000}
    found = client.post("/search", json=asked)
    assert found.status_code == 200
    assert (found.json()["logged"], found.json()["results"][0]["doc_id"]) == (False, "soup")
    new = "The canteen is new. " * 300
    given = client.post("/rerank", json={**asked, "documents": [*TEXTS.values(), new]}).json()
    assert (given["logged"], given["collected"], len(given["results"])) == (False, 0, 3)
    unlogged = {"query_id": found.json()["query_id"], "doc_id": "soup", "signal": "click"}
    refused = client.post("/feedback", json=unlogged)
    assert (refused.status_code, "full" in refused.json()["detail"]) == (503, True)
    assert {trouble["what"] for trouble in until(lambda: troubles(client))} == {"log"}
    metrics = client.get("/metrics").text
    assert "tribrid_search_unlogged_total 2.0" in metrics
    assert 'tribrid_troubles{what="log"} 1.0' in metrics
    assert logged["logged"]
