"""The database under the store: migrations, transactions, and foreign errors in our words."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from tribrid.errors import InvalidInput, Unavailable
from tribrid.store import Store, tables
from tribrid.store.database import Database, newest_revision
from tribrid.types import Document, JobKind

MIGRATE = "import sys; from tribrid.store.database import Database; Database(sys.argv[1]).migrate()"


@contextmanager
def by_migrations(url: str) -> Iterator[Database]:
    with closing(Database(url)) as database:
        database.migrate(newest_revision())
        yield database


def test_migrations_end_at_the_tables(database_url: str) -> None:
    with by_migrations(database_url) as database, database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []


def test_migrated_tables_are_what_a_new_database_gets(database_url: str) -> None:
    """Partial indexes, cascades, checks and collations too, which compare_metadata does not look at."""
    with by_migrations(database_url) as database:
        with database.begin() as connection:
            migrated = _described(connection)
            tables.metadata.drop_all(connection)
            connection.execute(sa.text("DROP TABLE alembic_version"))
        database.migrate()
        with database.read() as connection:
            assert migrated == _described(connection)
    assert len(migrated) == len(tables.metadata.tables) + 1


def _described(connection: sa.Connection) -> dict[str, str]:
    inspector = sa.inspect(connection)
    return {
        table: repr(
            (
                [(c["name"], str(c["type"]), c["nullable"], c["default"]) for c in inspector.get_columns(table)],
                inspector.get_pk_constraint(table),
                *(
                    sorted(things, key=lambda thing: thing["name"] or "")
                    for things in (
                        map(_index, inspector.get_indexes(table)),
                        inspector.get_unique_constraints(table),
                        inspector.get_foreign_keys(table),
                        inspector.get_check_constraints(table),
                    )
                ),
            )
        )
        for table in inspector.get_table_names()
    }


def _index(index: Any) -> dict[str, Any]:
    return {**index, "dialect_options": {name: str(value) for name, value in index.get("dialect_options", {}).items()}}


def test_migrating_twice_changes_nothing(store: Store) -> None:
    store.database.migrate()
    assert [corpus.corpus_id for corpus in store.corpora.list()] == ["c"]


def test_processes_that_start_at_once_migrate_once(database_url: str) -> None:
    starting = [
        subprocess.Popen([sys.executable, "-c", MIGRATE, database_url], stderr=subprocess.PIPE) for _ in range(3)
    ]
    failures = [errors.decode() for process in starting for errors in [process.communicate()[1]] if process.returncode]
    assert failures == []
    database = Database(database_url)
    with database.read() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalars().all() == [
            newest_revision()
        ]
    database.close()


def test_the_newest_revision_is_alembics() -> None:
    """Alembic is not asked for it: importing it takes longer than most commands."""
    config = AlembicConfig()
    config.set_main_option("script_location", str(Path(tables.__file__).parent / "migrations"))
    assert newest_revision() == ScriptDirectory.from_config(config).get_current_head()


def test_a_new_database_and_one_up_to_date_are_opened_without_alembic(database_url: str) -> None:
    program = f"{MIGRATE}; print('alembic' in sys.modules)"
    for _ in ("new", "up to date"):
        done = subprocess.run([sys.executable, "-c", program, database_url], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "False"


def test_a_database_from_the_future_is_refused(store: Store) -> None:
    with store.database.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Unavailable, match="9999"):
        store.database.migrate()


def test_a_block_that_raises_leaves_nothing(store: Store) -> None:
    def interrupted() -> None:
        with store.database.begin() as connection:
            connection.execute(sa.delete(tables.corpora))
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert store.corpora.list()


def test_a_second_writer_waits_for_the_first(store: Store) -> None:
    """Read, then write, from two threads: with a lock taken late, one of the two would fail on SQLite."""

    def write(number: int) -> None:
        store.documents.upsert("c", [Document(doc_id=f"d{number}", text="text")])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(40)))
    assert store.documents.count("c") == 40
    assert store.corpora.get("c").version == 40


def test_a_page_is_read_along_its_index(store: Store) -> None:
    """Also of rows just imported, of which PostgreSQL has no statistics: else reading is quadratic."""
    with store.database.read() as connection:
        name = connection.dialect.name
    if name == "sqlite":
        pytest.skip("SQLite does not plan by statistics")
    store.documents.upsert("c", [Document(f"d{n}", "text") for n in range(500)])
    query = "EXPLAIN SELECT * FROM documents WHERE corpus_id = 'c' AND doc_id > 'd1' ORDER BY doc_id LIMIT 10"
    with store.database.read(page=True) as connection:
        plan = "\n".join(connection.execute(sa.text(query)).scalars())
    assert "Index Scan" in plan
    assert "Sort" not in plan


def test_nan_is_refused_before_it_is_stored(store: Store) -> None:
    job = store.jobs.create(JobKind.TRAIN, "c", {})
    with pytest.raises(InvalidInput, match="NaN"):
        store.events.append(job.job_id, "metrics", {"loss": float("nan")})
    assert store.events.append(job.job_id, "metrics", {"loss": 0.5}) == 1


def test_text_that_is_no_unicode_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInput):
        store.documents.upsert("c", [Document(doc_id="d", text="half a pair: \ud800")])


def test_a_database_that_cannot_be_reached_is_unavailable(tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path / 'no' / 'folder' / 'x.db'}", f"postgresql://u:secret@/x?host={tmp_path}"):
        with pytest.raises(Unavailable) as caught:
            Database(url).migrate()
        assert "secret" not in caught.value.detail


def test_without_the_extra_only_postgresql_is_missing() -> None:
    program = """
import sys
sys.modules["psycopg"] = None
import tribrid.api, tribrid.app, tribrid.jobs.child, tribrid.jobs.worker, tribrid.loop.evaluate
from tribrid.errors import MissingExtra
from tribrid.store import Database
try:
    Database("postgresql://u@h/x")
except MissingExtra as error:
    sys.exit(0 if "postgres" in error.detail else error.detail)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=90, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_damaged_file_is_said_to_be_one(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.corpora.create("c", "c")
    store.close()
    file = tmp_path / "tribrid.db"
    for content in (b"garbage", file.read_bytes()[:6000] + b"\xff" * 60_000):
        file.write_bytes(content)
        with pytest.raises(Unavailable, match="restore a backup"):
            Store.open(tmp_path).corpora.list()


def test_a_data_folder_that_is_made_here_is_its_owners_alone(tmp_path: Path) -> None:
    Store.open(tmp_path / "mine").close()
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o700
    (tmp_path / "shared").mkdir(mode=0o750)
    Store.open(tmp_path / "shared").close()
    assert (tmp_path / "shared").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("url", ["u:secret@host", "mysql://u:secret@host/x", "sqlite://", "sqlite:///:memory:"])
def test_a_url_of_no_use_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Database(url)
    assert "secret" not in caught.value.detail


def test_sqlite_is_set_up_for_readers_beside_a_writer(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    with store.database.read() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 30_000}
    assert (tmp_path / "tribrid.db").is_file()
    with store.database.begin() as writer, store.database.read() as reader:
        writer.execute(sa.delete(tables.corpora))
        assert reader.execute(sa.select(tables.corpora)).all() == []
    store.close()
