"""A backup brings everything back, into either database, or nothing; what is damaged is refused by its name."""

from __future__ import annotations

import json
import os
import shutil
import stat
import threading
import zipfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

import learnable
from tribrid.answers.backup import BackupManifest
from tribrid.app import Tribrid
from tribrid.app.archive import MANIFEST, new_archive
from tribrid.app.backup import ROWS, verify
from tribrid.app.restore import restore
from tribrid.config import Environment, read_environment
from tribrid.errors import Conflict, InvalidInput, Unavailable
from tribrid.store import UNFINISHED, Store
from tribrid.store.database import Database, newest_revision
from tribrid.types import Document

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
QUERIES = learnable.queries("q", 24, seed=2)


def at(data_dir: Path, database_url: str | None = None) -> Environment:
    return read_environment().model_copy(update={"data_dir": data_dir, "database_url": database_url})


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tribrid]:
    """A data folder with something in most of its tables."""
    with Tribrid(tmp_path_factory.mktemp("source")) as opened:
        opened.create_corpus("c", "Ünïcode \u2028 name")
        corpus = opened.corpus("c")
        corpus.documents.add(
            [*learnable.documents(), Document("odd", 'quotes " and \\ and \n', "", metadata={"n": 1.5})]
        )
        corpus.judgments.put(QUERIES)
        corpus.eval_dataset.put(learnable.queries("e", 12, seed=3))
        corpus.mine(sources=["judgments"])
        model = corpus.train(cross_encoder=False, folds=2)
        corpus.promote(model.model_id, force=True, reason="to be backed up")
        found = corpus.search(QUERIES[0].text)
        opened.feedback(found.query_id, "click", found.results[0].doc_id)
        opened.patch_settings({"mining": {"max_pairs": 77}})
        opened.keys.create("one", ["search"])
        yield opened


@pytest.fixture(scope="module")
def archive(source: Tribrid, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("backup") / "all.tribrid"
    source.backup(file, with_index=True)
    return file


@pytest.fixture(scope="module")
def kept(archive: Path) -> dict[str, list[Any]]:
    """The rows in the backup; searches in `source` are logged there."""
    found = {}
    with zipfile.ZipFile(archive) as file:
        for name in file.namelist():
            if name.startswith("rows/"):
                of = [json.loads(line) for line in file.read(name).splitlines()]
                found[name[5:-6]] = sorted(of, key=lambda row: json.dumps(row))
    return found


def rows(store: Store) -> dict[str, list[Any]]:
    with store.rows.snapshot() as snapshot:
        found = {name: [json.loads(line) for line in snapshot.lines(name)] for name in snapshot.tables()}
    return {name: sorted(of, key=lambda row: json.dumps(row)) for name, of in found.items()}


def ranking(tribrid: Tribrid) -> list[tuple[str, float]]:
    found = tribrid.corpus("c").search(QUERIES[1].text)
    assert found.reranked
    return [(row.doc_id, row.score) for row in found.results]


def test_everything_comes_back(source: Tribrid, archive: Path, kept: dict[str, list[Any]], tmp_path: Path) -> None:
    assert kept == rows(source.store)
    assert {"documents", "models", "triplets", "api_keys", "settings", "events"} <= {
        name for name in kept if kept[name]
    }
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    told = restore(at(tmp_path / "new"), archive)
    assert (told.corpora, told.indexes, told.to_index) == (("c",), ("c",), ())
    assert (told.artifacts, told.missing_artifacts) == (1, ())
    with closing(Store.open(tmp_path / "new")) as store:
        assert rows(store) == kept
        assert sum(map(len, rows(store).values())) == told.rows
    with Tribrid(tmp_path / "new") as restored:
        assert ranking(restored) == ranking(source)
    assert [path.name for path in (tmp_path / "new").iterdir() if "restore" in path.name] == []


def test_without_its_index_it_is_made_again(source: Tribrid, tmp_path: Path) -> None:
    made = source.backup(tmp_path / "small.tribrid")
    assert made.indexes == ()
    assert restore(at(tmp_path / "new"), tmp_path / "small.tribrid").to_index == ("c",)
    with Tribrid(tmp_path / "new") as restored:
        restored.corpus("c").documents.add([])
        assert ranking(restored) == ranking(source)


def test_from_sqlite_to_postgresql_and_back(
    source: Tribrid, archive: Path, kept: dict[str, list[Any]], tmp_path: Path, postgres_socket: Path
) -> None:
    with psycopg.connect(f"host={postgres_socket} user=postgres dbname=postgres", autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    url = f"postgresql://postgres@/postgres?host={postgres_socket}"
    restore(at(tmp_path / "pg", url), archive)
    with Tribrid(environment=at(tmp_path / "pg", url)) as on_postgresql:
        assert rows(on_postgresql.store) == kept
        on_postgresql.backup(tmp_path / "back.tribrid", with_index=True)
        assert ranking(on_postgresql) == ranking(source)  # it is logged, under a number that is free
        with pytest.raises(Conflict, match="--replace"):
            restore(at(tmp_path / "pg", url), archive)
        restore(at(tmp_path / "pg", url), archive, replace=True)
        assert rows(on_postgresql.store) == kept
    restore(at(tmp_path / "back"), tmp_path / "back.tribrid")
    with Tribrid(tmp_path / "back") as back:
        assert rows(back.store) == kept
        assert ranking(back) == ranking(source)


def test_what_is_there_is_replaced_only_if_asked(archive: Path, source: Tribrid, tmp_path: Path) -> None:
    with Tribrid(tmp_path) as other:
        other.create_corpus("mine").documents.add([Document("a", "About bees.")])
        with pytest.raises(Conflict, match="There is something already"):
            restore(at(tmp_path), archive)
        assert other.corpus("mine").documents.get("a").text == "About bees."
        restore(at(tmp_path), archive, replace=True)
        assert [corpus.corpus_id for corpus in other.corpora()] == ["c"]  # by who had it open, too
        assert not (tmp_path / "indexes" / "mine").exists()
    with pytest.raises(Conflict, match="is there already"), Tribrid(tmp_path) as other:
        other.backup(archive)


def test_a_backup_under_writes_is_of_one_moment(tmp_path: Path) -> None:
    with Tribrid(tmp_path / "busy") as busy:
        busy.create_corpus("c").documents.add(learnable.documents())
        corpus, stop = busy.corpus("c"), threading.Event()
        done: list[int] = []

        def write() -> None:
            while not stop.is_set():
                found = corpus.search(QUERIES[len(done) % 24].text)
                busy.feedback(found.query_id, "click", found.results[0].doc_id)
                corpus.documents.add([Document(f"new{len(done)}", f"About number {len(done)}.")])
                done.append(1)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for number in range(3):
                busy.backup(tmp_path / f"{number}.tribrid", with_index=True)
        finally:
            stop.set()
            writer.join()
    for number in range(3):
        verify(tmp_path / f"{number}.tribrid")
        restore(at(tmp_path / str(number)), tmp_path / f"{number}.tribrid")
        with Tribrid(tmp_path / str(number)) as restored:
            found = rows(restored.store)
            documents = len(found["documents"]) - len(learnable.documents())
            # One of the three in a round may be there without the next, and never the other way round.
            assert 0 <= len(found["impressions"]) - len(found["feedback"]) <= 1
            assert 0 <= len(found["feedback"]) - documents <= 1
            restored.corpus("c").documents.add([])
            assert restored.corpus("c").search("number").results


def test_the_log_s_files_come_back_and_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tribrid.logs.bulk.LEAST_LISTS", 1)
    record = {"user_query": "tea", "query_response_hit_ids": ["a"], "timestamp": 1_700_000_000}
    lines = [json.dumps({**record, "query_id": f"q{number}"}).encode() + b"\n" for number in range(150)]
    with Tribrid(tmp_path / "one") as one:
        one.create_corpus("c")
        one.corpus("c").logs.add(lines, "ubi")
        one.backup(tmp_path / "log.tribrid")
        verify(tmp_path / "log.tribrid")
        one.corpus("c").delete()
        assert not one.store.artifacts.holding("segment", -1)
    restore(at(tmp_path / "two"), tmp_path / "log.tribrid")
    with Tribrid(tmp_path / "two") as two:
        assert two.corpus("c").logs.stats().impressions == 150
        two.create_corpus("d")
        two.corpus("d").logs.add(lines, "ubi")
        assert len(two.store.artifacts.holding("segment", -1)) == 2
    restore(at(tmp_path / "two"), tmp_path / "log.tribrid", replace=True)
    with Tribrid(tmp_path / "two") as two:
        assert two.corpus("c").logs.stats().impressions == 150
        assert len(two.store.artifacts.holding("segment", -1)) == 1, "what was replaced is gone"


def test_what_is_damaged_is_refused_by_its_name(archive: Path, tmp_path: Path) -> None:
    file = tmp_path / "damaged.tribrid"
    with zipfile.ZipFile(archive) as whole:
        wanted = [info for info in whole.infolist() if info.file_size > 50 and info.filename != MANIFEST]
    named = {ROWS.format("documents")} | {info.filename for info in wanted if info.filename.startswith("artifacts/")}
    assert len(named) > 2
    for info in wanted:
        if info.filename in named:
            content = bytearray(archive.read_bytes())
            content[info.header_offset + 30 + len(info.filename) + 20 + info.compress_size // 2] ^= 0x55
            file.write_bytes(content)
            with pytest.raises(InvalidInput, match=f"is damaged: {info.filename} is not what was backed up"):
                restore(at(tmp_path / "new"), file)
    assert not (tmp_path / "new").exists()
    for length in (0, 10, len(archive.read_bytes()) // 2, len(archive.read_bytes()) - 1):
        file.write_bytes(archive.read_bytes()[:length])
        with pytest.raises(InvalidInput, match=r"damaged\.tribrid is (not a whole backup|damaged: it was cut short)"):
            verify(file)
    with pytest.raises(InvalidInput, match="There is no file"):
        verify(tmp_path / "none")
    shutil.copy(archive, file)
    with zipfile.ZipFile(file, "a") as more:
        more.writestr("indexes/../../evil", "x")
    with pytest.raises(InvalidInput, match=r"damaged: indexes/\.\./\.\./evil"):
        verify(file)


def test_no_byte_around_the_entries_may_change(archive: Path, tmp_path: Path) -> None:
    """A time in a header, the zip's directory, what was put before and behind."""
    file = tmp_path / "damaged.tribrid"
    whole = archive.read_bytes()
    directory = whole.rindex(b"PK\x01\x02")
    places = [10, directory + 38, *(len(whole) - back for back in (100, 70, 1))]
    flipped = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in places]
    around = [whole + b"\n", whole + whole[-200:], b"#!/bin/sh\n" + whole]
    for changed in (*flipped, *around):
        file.write_bytes(changed)
        with pytest.raises(InvalidInput, match=r"is damaged|is not a whole backup"):
            verify(file)


def older(file: Path, revision: str, lines: dict[str, list[dict[str, Any]]]) -> None:
    with new_archive(file) as made:
        for table, of in lines.items():
            made.put(ROWS.format(table), [json.dumps(row).encode() + b"\n" for row in of])
        counts = {table: len(of) for table, of in lines.items()}
        made.finish(
            BackupManifest(
                version="0.0.9",
                revision=revision,
                created_at=datetime.now(UTC),
                rows=counts,
                entries=made.entries,
                corpora=("c",),
                artifacts=(),
                missing=(),
                indexes=(),
            )
        )


def test_an_older_release_is_brought_up_to_date(tmp_path: Path) -> None:
    corpus = {"corpus_id": "c", "name": "Old", "version": 3, "created_us": 1}
    job = {"job_number": 4, "job_id": "j", "kind": "train", "corpus_id": "c", "state": "running", "params": {"a": None}}
    job |= dict.fromkeys(("started_us", "finished_us", "progress", "result", "problem"))
    job |= {"created_us": 1, "cancel_requested": False, "last_seq": 0}
    older(tmp_path / "old.tribrid", "0009_remembered", {"corpora": [corpus], "jobs": [job]})
    restore(at(tmp_path / "new"), tmp_path / "old.tribrid")
    with closing(Store.open(tmp_path / "new")) as store:
        found = store.jobs.get("j")
        assert (found.params, found.progress, found.interrupted) == ({"a": None}, None, True)
        assert store.corpora.get("c").name == "Old"
    with closing(Database(f"sqlite:///{tmp_path / 'new' / 'tribrid.db'}")) as database, database.read() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() == newest_revision()
        assert connection.execute(sa.text("SELECT count(*) FROM jobs WHERE progress IS NULL")).scalar() == 1


def test_a_newer_release_and_rows_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    older(tmp_path / "new.tribrid", "9999_future", {"corpora": []})
    with pytest.raises(Unavailable, match="A newer Tribrid made this backup"):
        restore(at(tmp_path / "data"), tmp_path / "new.tribrid")
    orphan = {"corpus_id": "gone", "alias": "champion", "model_id": None}
    empty: dict[str, list[dict[str, Any]]] = {}
    with closing(Store.open(tmp_path / "data")) as store, store.rows.snapshot() as snapshot:
        empty = {name: [] for name in snapshot.tables()}
    older(tmp_path / "odd.tribrid", newest_revision(), {**empty, "aliases": [orphan]})
    with pytest.raises(InvalidInput, match="rows of aliases"):
        restore(at(tmp_path / "data"), tmp_path / "odd.tribrid")
    Store.open(tmp_path / "data").close()  # nothing was changed, so it is served


def test_a_folder_that_is_half_restored_is_not_served(archive: Path, tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    (tmp_path / UNFINISHED).write_text(f"{archive}\n")
    with pytest.raises(Unavailable, match=r"restore FILE --replace"):
        Store.open(tmp_path)
    restore(at(tmp_path), archive, replace=True)
    Store.open(tmp_path).close()
    assert os.listdir(tmp_path / "artifacts")
