"""Records of other engines as documents: a real PostgreSQL, and a server that speaks as OpenSearch and Qdrant do."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from engine_server import engine_server
from tribrid import Tribrid
from tribrid.cli.program import run
from tribrid.config import read_environment
from tribrid.errors import Conflict, InvalidInput, NotFound, TribridError, Unavailable

SOUPS = {
    f"s{number}": {
        "name": f"Soup {number}",
        "body": {"text": f"How to cook soup number {number}."},
        "tags": ["hot", "wet"],
        "updated_at": f"2026-01-0{number}T00:00:00Z",
    }
    for number in range(1, 6)
}
MAPPING = {"title": "name", "text": "body.text", "metadata.tags": "tags"}


@pytest.fixture
def tribrid(tmp_path: Path) -> Iterator[Tribrid]:
    with Tribrid(tmp_path / "data") as opened:
        opened.create_corpus("soups")
        yield opened


def opened_with(folder: Path, **variables: str) -> Tribrid:
    return Tribrid(folder, environment=read_environment({**os.environ, **variables}))


# ------------------------------------------------------------------------------------------- OpenSearch, Elasticsearch


def test_an_index_is_pulled_page_by_page(tribrid: Tribrid) -> None:
    documents = tribrid.corpus("soups").documents
    with engine_server({"soups": dict(SOUPS)}) as engine:
        pulled = documents.pull(f"opensearch+{engine.url}", "soups", mapping=MAPPING, changed="updated_at")
        assert (pulled.documents, pulled.unchanged, pulled.skipped_total) == (5, 0, 0)
        assert pulled.newest == "2026-01-05T00:00:00Z"
        assert engine.scrolls == {}  # let go of
        again = documents.pull(f"opensearch+{engine.url}", "soups", mapping=MAPPING)
        assert (again.documents, again.unchanged, again.embedded, again.newest) == (5, 5, 0, None)
    found = documents.get("s3")
    assert (found.title, found.text, found.metadata) == (
        "Soup 3",
        "How to cook soup number 3.",
        {"tags": ["hot", "wet"]},
    )
    assert tribrid.corpus("soups").search("cook soup number 4").results[0].doc_id == "s4"


def test_only_what_was_changed_since_is_asked_for(tribrid: Tribrid) -> None:
    documents = tribrid.corpus("soups").documents
    with engine_server({"soups": dict(SOUPS)}) as engine:
        source, mapping = f"elasticsearch+{engine.url}", {**MAPPING}
        pulled = documents.pull(source, "soups", mapping=mapping, changed="updated_at", since="2026-01-04T00:00:00Z")
        assert pulled.documents == 2
        asked = engine.asked[0][1]["query"]
        assert asked == {"range": {"updated_at": {"gte": "2026-01-04T00:00:00Z"}}}
        with pytest.raises(InvalidInput, match="would be deleted"):
            documents.pull(source, "soups", mapping=mapping, changed="updated_at", since="2026", mirror=True)
        with pytest.raises(InvalidInput, match="changed"):
            documents.pull(source, "soups", mapping=mapping, since="2026")


def test_what_is_gone_is_deleted_only_if_asked_and_never_all_of_it(tribrid: Tribrid) -> None:
    documents = tribrid.corpus("soups").documents
    held = {"soups": dict(SOUPS)}
    with engine_server(held) as engine:
        source = f"opensearch+{engine.url}"
        documents.pull(source, "soups", mapping=MAPPING)
        del held["soups"]["s2"]
        assert documents.pull(source, "soups", mapping=MAPPING).documents == 5
        mirrored = documents.pull(source, "soups", mapping=MAPPING, mirror=True)
        assert (mirrored.documents, mirrored.deleted) == (4, 1)
        with pytest.raises(Conflict, match=r"text is missing.*Nothing was deleted"):
            documents.pull(source, "soups", mapping={"text": "bodi", "title": "nam"}, mirror=True)
        engine.failing = len(engine.asked) + 2  # a shard is lost after the first page
        with pytest.raises(Unavailable, match="only 1 of 2 shards"):
            documents.pull(source, "soups", mapping=MAPPING, mirror=True)
        assert engine.scrolls == {}
    assert documents.page().total == 4


@pytest.mark.parametrize(
    ("key", "sent"),
    [
        ("ann:se:cret", f"Basic {base64.b64encode(b'ann:se:cret').decode()}"),
        ("VnVhQ2ZHY0JDZGJrUW0tZTVhT3g6dWkybHA=", "ApiKey VnVhQ2ZHY0JDZGJrUW0tZTVhT3g6dWkybHA="),
    ],
)
def test_a_key_comes_from_the_environment_and_is_in_no_error(
    tribrid: Tribrid, tmp_path: Path, key: str, sent: str
) -> None:
    with engine_server({"soups": dict(SOUPS)}, {"authorization": sent}) as engine:
        source = f"opensearch+{engine.url}"
        with pytest.raises(Unavailable, match="wants a key: set TRIBRID_PULL_KEY"):
            tribrid.corpus("soups").documents.pull(source, "soups", mapping=MAPPING)
        with opened_with(tmp_path / "data", TRIBRID_PULL_KEY=key) as opened:
            assert opened.corpus("soups").documents.pull(source, "soups", mapping=MAPPING).documents == 5
            with pytest.raises(NotFound, match="index_not_found") as raised:
                opened.corpus("soups").documents.pull(source, "salads")
    assert key not in str(raised.value)


# -------------------------------------------------------------------------------------------------------------- Qdrant


def test_a_collection_is_pulled_page_by_page(tribrid: Tribrid, tmp_path: Path) -> None:
    points = {number: {"text": f"Soup {number}", "at": number * 10} for number in range(1, 6)}
    with (
        engine_server({"soups": points}, {"api-key": "k"}) as engine,
        opened_with(tmp_path / "data", TRIBRID_PULL_KEY="k") as opened,
    ):
        documents, source = opened.corpus("soups").documents, f"qdrant+{engine.url}"
        pulled = documents.pull(source, "soups", mapping={"metadata.at": "at"}, changed="at")
        assert (pulled.documents, pulled.newest) == (5, "50")
        assert documents.get("3").metadata == {"at": 30}
        asked = len(engine.asked)
        points[4]["text"] = points[1]["text"] = "Salad"
        documents.pull(source, "soups", mapping={"metadata.at": "at"}, changed="at", since="40")
        assert engine.asked[asked][1]["filter"] == {"must": [{"key": "at", "range": {"gte": 40}}]}
        assert [documents.get(doc_id).text for doc_id in ("4", "1")] == ["Salad", "Soup 1"]
        with pytest.raises(NotFound, match="no such collection"):
            documents.pull(source, "salads")


# ------------------------------------------------------------------------------------------------------------ UBI's log


def search_of(number: int, day: int) -> dict[str, object]:
    shown = [f"s{at}" for at in range(1, 4)]
    at = f"2026-03-0{day}T00:00:00Z"
    asked = {"query_id": f"q{number}", "user_query": "soup", "client_id": f"c{number}"}
    return {**asked, "query_response_hit_ids": shown, "timestamp": at}


def click_of(number: int, day: int) -> dict[str, object]:
    attributes = {"object": {"object_id": "s2"}}
    at = f"2026-03-0{day}T00:01:00Z"
    return {"query_id": f"q{number}", "action_name": "click", "event_attributes": attributes, "timestamp": at}


def test_ubi_s_two_indices_are_read_and_then_what_came_since(tribrid: Tribrid) -> None:
    held = {"ubi_queries": {"a": search_of(1, 1)}, "ubi_events": {"b": click_of(1, 1)}}
    logs = tribrid.corpus("soups").logs
    with engine_server(held) as engine:
        first = logs.pull(f"opensearch+{engine.url}")
        assert (first.impressions, first.feedback, first.since) == (1, 1, "2026-02-28T00:01:00.000+00:00")
        held["ubi_queries"] |= {"c": search_of(2, 5), "d": search_of(3, 6)}
        held["ubi_events"] |= {"e": click_of(2, 5), "f": click_of(1, 6)}  # the last one is about the list of before
        second = logs.pull(f"opensearch+{engine.url}", since="2026-03-02T00:00:00Z")
        assert (second.records, second.impressions, second.feedback, second.unjoined) == (4, 2, 2, 0)
        third = logs.pull(f"opensearch+{engine.url}", since=second.since)
        assert (third.impressions, third.feedback) == (0, 0)
        nothing = logs.pull(f"opensearch+{engine.url}", since="2027-01-01T00:00:00Z")
        assert (nothing.records, nothing.since) == (0, "2027-01-01T00:00:00Z")
        assert engine.scrolls == {}
    assert logs.stats().impressions == 3


def test_a_clock_that_is_ahead_stops_nothing_and_strays_are_counted(tribrid: Tribrid) -> None:
    held = {"ubi_queries": {"a": search_of(1, 1)}, "ubi_events": {"b": {**click_of(1, 1), "timestamp": "2099-01-01"}}}
    logs = tribrid.corpus("soups").logs
    with engine_server(held) as engine:
        first = logs.pull(f"opensearch+{engine.url}")
        assert str(first.since) < datetime.now(UTC).isoformat()
        held["ubi_events"] = {"c": {**click_of(88, 2), "query_id": "nobody's"}}
        strays = logs.pull(f"opensearch+{engine.url}", since="2026-03-02T00:00:00Z")
        assert (strays.impressions, strays.feedback, strays.unjoined) == (0, 0, 1)
        for since in ("yesterday", "", "NaN", "2026-13-45"):
            with pytest.raises(InvalidInput, match="no time"):
                logs.pull(f"opensearch+{engine.url}", since=since)


def test_a_log_that_is_none_is_refused_in_words(tribrid: Tribrid) -> None:
    logs = tribrid.corpus("soups").logs
    with engine_server({"soups": dict(SOUPS)}) as engine:
        with pytest.raises(NotFound, match="index_not_found"):
            logs.pull(f"opensearch+{engine.url}")
        with pytest.raises(InvalidInput, match="keeps UBI's indices"):
            logs.pull(f"qdrant+{engine.url}")
    assert logs.stats().impressions == 0


def test_the_command_follows_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = {"ubi_queries": {"a": search_of(1, 1)}, "ubi_events": {"b": click_of(1, 1)}}
    rounds = []

    def sleep(seconds: float) -> None:
        """A minute later there is more; then the engine is away; then somebody has had enough."""
        rounds.append(seconds)
        held["ubi_queries"]["c"] = search_of(2, 2)
        if len(rounds) == 2:
            del held["ubi_events"]
        if len(rounds) == 3:
            raise KeyboardInterrupt

    with Tribrid(tmp_path) as opened:
        opened.create_corpus("soups")
    monkeypatch.setattr("tribrid.cli.importing.time.sleep", sleep)
    with engine_server(held) as engine:
        source = f"opensearch+{engine.url}"
        assert run(["--data-dir", str(tmp_path), "import", "soups", source, "--watch"]) == 0
        assert run(["--data-dir", str(tmp_path), "import", "soups", source, "more.ndjson"]) == 2
        assert run(["--data-dir", str(tmp_path), "import", "soups", source, "--format", "clicks"]) == 2
        assert run(["--data-dir", str(tmp_path), "import", "soups", "log.ndjson", "--watch"]) == 2
    told = capsys.readouterr()
    assert rounds == [60.0] * 3
    assert "1 new impressions, 0 of feedback" in told.err
    assert "index_not_found" in told.err
    assert "--since 2026-03-01T00:00:00.000+00:00" in told.err


# ---------------------------------------------------------------------------------------------------------- PostgreSQL


@pytest.fixture
def table(postgres_socket: Path) -> Iterator[str]:
    """A server with the table kitchen.soups."""
    where = f"postgresql://postgres@/postgres?host={postgres_socket}"
    with psycopg.connect(where, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS kitchen CASCADE")
        connection.execute("CREATE SCHEMA kitchen")
        connection.execute(
            "CREATE TABLE kitchen.soups (id int PRIMARY KEY, name text, body text, price numeric, facts jsonb, "
            "updated_at timestamptz)"
        )
        connection.execute(
            "INSERT INTO kitchen.soups SELECT n, 'Soup ' || n, 'How to cook soup ' || n, n + 0.5, "
            """'{"from": {"country": "de"}}', '2026-01-01T00:00:00Z'::timestamptz + n * interval '1 day' """
            "FROM generate_series(1, 1200) n"
        )
    yield where
    with psycopg.connect(where, autocommit=True) as connection:
        connection.execute("DROP SCHEMA kitchen CASCADE")


COLUMNS = {"title": "name", "text": ("body", "name"), "metadata.price": "price", "metadata.from": "facts.from.country"}


@pytest.mark.slow
def test_a_table_is_pulled_and_then_what_changed(tribrid: Tribrid, table: str) -> None:
    documents = tribrid.corpus("soups").documents
    pulled = documents.pull(table, "kitchen.soups", mapping=COLUMNS, changed="updated_at")
    assert (pulled.documents, pulled.skipped_total) == (1200, 0)
    found = documents.get("7")
    assert (found.title, found.text) == ("Soup 7", "How to cook soup 7\n\nSoup 7")
    assert found.metadata == {"price": 7.5, "from": "de"}
    with psycopg.connect(table, autocommit=True) as connection:
        connection.execute("UPDATE kitchen.soups SET body = 'Cold', updated_at = '2031-01-01' WHERE id = 7")
    changed = documents.pull(table, "kitchen.soups", mapping=COLUMNS, changed="updated_at", since=pulled.newest)
    assert (changed.embedded, changed.unchanged) == (1, 1199)
    assert documents.get("7").text == "Cold\n\nSoup 7"
    assert str(changed.newest).startswith("2031-01-01")


@pytest.mark.slow
def test_a_query_is_pulled(tribrid: Tribrid, table: str) -> None:
    documents = tribrid.corpus("soups").documents
    query = "SELECT 'soup-' || id AS doc_id, name AS text FROM kitchen.soups WHERE name LIKE '%9' ORDER BY id LIMIT 3;"
    assert documents.pull(table, query=query).documents == 3
    assert documents.get("soup-9").text == "Soup 9"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"name": "kitchen.salads"}, 'relation "kitchen.salads" does not exist'),
        ({"name": "kitchen.soups", "mapping": {"text": "bodi"}}, "no column 'bodi' among id, name"),
        ({"query": "SELECT 1) AS x; DROP TABLE kitchen.soups; --"}, "refuses"),
        ({"query": "DELETE FROM kitchen.soups RETURNING id, body AS text"}, "refuses"),
    ],
)
def test_postgresql_refuses_in_words_and_loses_nothing(
    tribrid: Tribrid, table: str, asked: dict[str, object], why: str
) -> None:
    with pytest.raises(InvalidInput, match=why):
        tribrid.corpus("soups").documents.pull(table, **asked)  # type: ignore[arg-type]
    with psycopg.connect(table) as connection:
        assert connection.execute("SELECT count(*) FROM kitchen.soups").fetchone() == (1200,)


# ------------------------------------------------------------------------------------------------------- what is asked


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("http://127.0.0.1:9", "begins with one of"),
        ("opensearch+http://ann:secret@127.0.0.1:9", "TRIBRID_PULL_KEY"),
        ("postgresql://ann:secret@127.0.0.1:9/db", "PGPASSWORD"),
        ("postgresql://127.0.0.1:9/db?password=secret", "PGPASSWORD"),
        ("postgresql://me:se/cret@127.0.0.1/db", "PGPASSWORD"),
        ("qdrant+http://169.254.169.254", "never asked"),
        ("postgresql://169.254.169.254/db", "never asked"),
        ("opensearch+http://127.0.0.1:9/?key=secret", "an address such as"),
        ("qdrant+http://127.0.0.1:9", "cannot be reached"),
        ("postgresql://127.0.0.1:9/db", "cannot be read"),
    ],
)
def test_a_source_that_cannot_be_asked_changes_nothing(tribrid: Tribrid, source: str, why: str) -> None:
    with pytest.raises(TribridError, match=why) as raised:
        tribrid.corpus("soups").documents.pull(source, "soups")
    assert "secret" not in str(raised.value)
    assert all(check.ok for check in tribrid.doctor() if check.check == "corpora")  # nothing is half done


def test_the_operators_list_of_hosts_holds(tmp_path: Path) -> None:
    with opened_with(tmp_path, TRIBRID_OUTBOUND_HOSTS="search.example") as opened:
        documents = opened.create_corpus("soups").documents
        for source in ("opensearch+https://other.example", "postgresql://other.example/db?hostaddr=127.0.0.1"):
            with pytest.raises(InvalidInput, match="TRIBRID_OUTBOUND_HOSTS"):
                documents.pull(source, "soups")


def test_the_command_pulls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with engine_server({"soups": dict(SOUPS)}) as engine:
        words = ["--data-dir", str(tmp_path), "pull", "soups", f"opensearch+{engine.url}", "soups"]
        words += ["--map", "title=name", "--map", "text=body.text", "--map", "text=tags", "--changed", "updated_at"]
        assert run(words) == 0
    assert "--since '2026-01-05T00:00:00Z'" in capsys.readouterr().out
    with Tribrid(tmp_path) as opened:
        assert opened.corpus("soups").documents.get("s1").text == "How to cook soup number 1.\n\nhot\nwet"
