"""kill -9 at any step of a migration, an erasure, a restoration and an upload: all of it, or nothing, and never less
than was acknowledged.

A process counts its steps (SQL statements, commits, files that it opens, renames and removes) and kills itself at one.
Of a small piece of work every step is tried, of a larger one some forty.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import learnable
from tribrid.app import Tribrid
from tribrid.app.health import finish_uploads
from tribrid.store.database import Database, newest_revision
from tribrid.types import Document

pytestmark = [pytest.mark.slow, pytest.mark.heavy, pytest.mark.timeout(300)]

KILLER = """
import hashlib, json, os, shutil, signal, sys
from pathlib import Path
import sqlalchemy as sa
from tribrid.store import Store
from tribrid.errors import Unavailable

MOST = 40
FILES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.chmod"}
steps, kill_at, counting = 0, 0, False

def step(*_):
    global steps
    if counting:
        steps += 1
        if steps == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

def hook(name, arguments):
    if name in FILES:
        step()

sys.addaudithook(hook)
for event in ("before_cursor_execute", "after_cursor_execute", "commit"):
    sa.event.listen(sa.engine.Engine, event, step)

def state(folder):
    try:
        store = Store.open(folder)
    except Unavailable as error:
        return f"refused: {error}"
    try:
        with store.rows.snapshot() as snapshot:
            rows = {name: sorted(snapshot.lines(name)) for name in snapshot.tables()}
    finally:
        store.close()
    rows.pop("erasures")  # each has a time of its own
    return hashlib.sha256(repr(rows).encode()).hexdigest()

def child(work, folder, at):
    global kill_at, counting
    pid = os.fork()
    if pid == 0:
        kill_at, counting = at, True
        work(folder)
        counting = False
        (folder.parent / "steps").write_text(str(steps))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def try_all(work, pristine, again):
    def fresh():
        target = pristine.parent / "tried"
        shutil.rmtree(target, ignore_errors=True)
        return Path(shutil.copytree(pristine, target))
    again(fresh())  # imports, which would count as steps
    old = state(fresh())
    folder = fresh()
    assert child(work, folder, 0) == 0
    new, total = state(folder), int((pristine.parent / "steps").read_text())
    for at in sorted({*range(1, total + 1, max(1, total // MOST)), total}):
        folder = fresh()
        code = child(work, folder, at)
        seen = state(folder)
        assert code in (0, -9), code
        again(folder)
        print(json.dumps({"at": at, "code": code, "seen": seen, "old": old, "new": new, "again": state(folder)}))
"""


def kills(work: str, pristine: Path) -> list[Mapping[str, Any]]:
    program = f"{KILLER}\n{work}\ntry_all(work, Path({str(pristine)!r}), again)\n"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=280, check=False)
    assert ran.returncode == 0, ran.stderr[-4000:]
    tried = [json.loads(line) for line in ran.stdout.splitlines()]
    assert sum(one["code"] == -signal.SIGKILL for one in tried) > 20
    assert tried[0]["old"] != tried[0]["new"]
    assert {one["again"] for one in tried} == {tried[0]["new"]}, "done again, it is done"
    return tried


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with documents, searches of two clients, and feedback."""
    path = tmp_path_factory.mktemp("kills") / "data"
    with Tribrid(path) as opened:
        opened.create_corpus("c").documents.add(learnable.documents())
        for query in learnable.queries("q", 6, seed=1):
            found = opened.corpus("c").search(query.text, client_id=f"user{len(query.query_id) % 2}")
            opened.feedback(found.query_id, "click", found.results[0].doc_id)
    return path


def test_an_erasure_is_whole_or_not_there(folder: Path, tmp_path: Path) -> None:
    work = """
from tribrid.corpus.lexical import normalise
from tribrid.errors import NotFound
def work(folder):
    store = Store.open(folder)
    try:
        store.erasures.lists("c", normalise, client_id="user0")
    except NotFound:
        pass
    store.close()
again = work
"""
    for one in kills(work, folder):
        assert one["seen"] in (one["old"], one["new"])


def test_a_restoration_is_whole_or_says_that_it_is_not(folder: Path, tmp_path: Path) -> None:
    backup = tmp_path / "other.tribrid"
    with Tribrid(tmp_path / "other") as other:
        other.create_corpus("restored").documents.add(learnable.documents()[:20])
        other.corpus("restored").search("anything")
        other.backup(backup, with_index=True)
    work = f"""
from tribrid.app.restore import restore
from tribrid.config import read_environment
def work(folder):
    environment = read_environment().model_copy(update={{"data_dir": folder, "database_url": None}})
    restore(environment, Path({str(backup)!r}), replace=True)
again = work
"""
    tried = kills(work, folder)
    for one in tried:
        assert one["seen"] in (one["old"], one["new"]) or one["seen"].startswith("refused: A backup is being restored")
    assert tried[0]["seen"] == tried[0]["old"]
    assert any(one["seen"].startswith("refused") for one in tried)


def test_a_migration_is_whole_or_not_there(tmp_path: Path) -> None:
    data = tmp_path / "old" / "data"
    data.mkdir(parents=True)
    database = Database(f"sqlite:///{data / 'tribrid.db'}")
    database.migrate("0009_remembered")
    with database.begin() as connection:
        connection.exec_driver_sql("INSERT INTO corpora VALUES ('c', 'Old', 3, 1)")
        for number in range(3):
            connection.exec_driver_sql(
                "INSERT INTO jobs (job_number, job_id, kind, corpus_id, state, params, created_us, cancel_requested, "
                f"last_seq) VALUES ({number}, 'j{number}', 'train', 'c', 'queued', '{{}}', 1, 0, 0)"
            )
    database.close()
    work = """
from tribrid.store.database import Database
def revision(folder):
    database = Database(f"sqlite:///{folder / 'tribrid.db'}")
    with database.read() as connection:
        found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
        rows = connection.execute(sa.text("SELECT job_id, state FROM jobs ORDER BY job_id")).all()
    database.close()
    return f"{found} {rows}"
state = revision
def work(folder):
    database = Database(f"sqlite:///{folder / 'tribrid.db'}")
    database.migrate()
    database.close()
again = work
"""
    for one in kills(work, data):
        assert one["seen"] in (one["old"], one["new"])
        assert one["new"] == one["old"].replace("0009_remembered", newest_revision())


def test_a_document_s_erasure_is_whole_or_not_there(folder: Path) -> None:
    work = f"""
from tribrid.errors import NotFound
def work(folder):
    store = Store.open(folder)
    try:
        store.erasures.document("c", {learnable.documents()[0].doc_id!r})
    except NotFound:
        pass
    store.close()
again = work
"""
    for one in kills(work, folder):
        assert one["seen"] in (one["old"], one["new"])


ERASER = """
import sys
from pathlib import Path
from tribrid.app import Tribrid
with Tribrid(Path(sys.argv[1])) as opened:
    for doc_id in sorted(opened.store.documents.hashes("c")):
        opened.corpus("c").erase(doc_id=doc_id)
        print(doc_id, flush=True)
"""


def test_what_an_erasure_acknowledged_is_nowhere_and_the_index_follows_one_that_was_killed(tmp_path: Path) -> None:
    with Tribrid(tmp_path) as opened:
        opened.create_corpus("c").documents.add([Document(f"d{number}", f"About {number}.") for number in range(200)])
    rng = random.Random(11)
    for _ in range(4):
        command = [sys.executable, "-c", ERASER, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as eraser:
            assert eraser.stdout is not None
            gone = {eraser.stdout.readline().strip()}
            time.sleep(rng.random() / 2)
            eraser.kill()
            gone |= set(eraser.stdout.read().split())
        with Tribrid(tmp_path) as opened:
            kept = opened.store.documents.hashes("c")
            assert gone.isdisjoint(kept)
            finish_uploads(opened.folder)
            snapshot = opened.folder.index("c").snapshot()
            assert snapshot is not None
            assert snapshot.doc_hashes() == kept
            assert not opened.condition().troubles


UPLOADER = """
import sys
from pathlib import Path
from tribrid.app import Tribrid
from tribrid.types import Document
with Tribrid(Path(sys.argv[1])) as opened:
    for number in range(int(sys.argv[2]), 10_000):
        opened.corpus("c").documents.add([Document(f"d{number}", f"About number{number} and more.")])
        print(number, flush=True)
"""


def test_an_acknowledged_upload_is_there_and_found(tmp_path: Path) -> None:
    with Tribrid(tmp_path) as opened:
        opened.create_corpus("c")
    rng, done = random.Random(7), -1
    for _ in range(4):
        command = [sys.executable, "-c", UPLOADER, str(tmp_path), str(done + 1)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as uploader:
            assert uploader.stdout is not None
            done = int(uploader.stdout.readline())
            time.sleep(rng.random())
            uploader.kill()
            done = max([done, *map(int, uploader.stdout.read().split())])
        with Tribrid(tmp_path) as opened:
            kept = set(opened.store.documents.hashes("c"))
            assert {f"d{number}" for number in range(done + 1)} <= kept
            found = opened.corpus("c").search(f"number{done}")
            assert f"d{done}" in [row.doc_id for row in found.results]
            opened.corpus("c").documents.add([Document("last", "What came after.")])
            assert opened.corpus("c").search("came after").results[0].doc_id == "last"
