"""Indexes, models and exports in an object store, and machines that share nothing but it and a database."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from bucket import Bucket
from tribrid.app import Tribrid
from tribrid.app.health import finish_uploads
from tribrid.app.restore import restore
from tribrid.config import read_environment
from tribrid.errors import Conflict, InvalidInput, ModelUnavailable, StaleIndex, StorageUnavailable
from tribrid.retrieval.indexer import index_fingerprint
from tribrid.retrieval.mirrored import MirroredIndex
from tribrid.store import Store
from tribrid.store.artifacts import Artifacts
from tribrid.store.database import Database
from tribrid.store.locks import Locks
from tribrid.store.objects import PIECE_BYTES, Objects
from tribrid.types import Document
from tribrid.workspace.corpus import open_corpus
from waiting import until

pytestmark = pytest.mark.timeout(180)
Machine = Callable[..., Tribrid]

HOLD = """
import sys, time
from tribrid.store.database import Database
from tribrid.store.locks import Locks
with Locks(Database(sys.argv[1])).hold("a name"):
    print("held", flush=True)
    time.sleep(600)
"""


def found(tribrid: Tribrid, query: str, top_k: int = 3) -> list[str]:
    return [hit.doc_id for hit in tribrid.corpus("c").search(query, top_k=top_k).results]


def indexed(tribrid: Tribrid) -> Tribrid:
    """With a corpus of three documents."""
    texts = {"soup": "how to cook a soup", "pasta": "how to cook pasta", "proxy": "how to set a proxy up"}
    tribrid.create_corpus("c").documents.add(texts)
    return tribrid


def age(tribrid: Tribrid) -> None:
    """Let the copies of a machine look as if nobody had used them for an hour."""
    long_ago = time.time() - 3600
    for path in (tribrid.folder.data_dir / "indexes").glob("*/published.json"):
        os.utime(path, (long_ago, long_ago))
    for path in (tribrid.folder.data_dir / "artifacts" / "shared").iterdir():
        os.utime(path, (long_ago, long_ago))


def test_what_one_machine_indexes_all_find(machine: Machine) -> None:
    one, other = indexed(machine("one")), machine("other")
    assert found(other, "proxy", 1) == ["proxy"]
    other.corpus("c").documents.add({"cake": "how to bake a cake"})
    until(lambda: found(one, "bake a cake", 1) == ["cake"])
    one.corpus("c").documents.delete(["soup"])
    until(lambda: "soup" not in found(other, "cook a soup"))
    assert one.corpus("c").documents.page().total == 3
    checks = {check.check: check.detail for check in other.doctor()}
    assert "answers" in checks["object store"]
    assert checks["corpora"].startswith("1 can be searched")


def test_writers_on_many_machines_go_on_from_each_other(machine: Machine, object_store: Bucket) -> None:
    """Past the commits after which files are merged: the state stays what one writer would have made."""
    machines = [indexed(machine("one")), machine("two"), machine("three")]
    for number in range(24):
        machines[number % 3].corpus("c").documents.add({f"n{number}": f"note number {number}"})
    fresh = machine("fresh")
    assert set(open_corpus(fresh.folder, "c").index.doc_hashes()) == {
        "soup",
        "pasta",
        "proxy",
        *(f"n{number}" for number in range(24)),
    }
    # The served state and the one before it, and nothing of the others.
    assert len(object_store.keys("indexes/c/states")) == 2


def test_a_writer_that_lost_its_lock_publishes_nothing(machine: Machine) -> None:
    one, other = indexed(machine("one")), machine("other")
    slow = open_corpus(one.folder, "c")
    fingerprint = index_fingerprint(slow.config.indexing, slow.embedder)
    lock = one.store.locks
    with slow.index.writer(fingerprint, slow.embedder.dim) as writer:
        writer.delete_docs(["soup"])
        # As if the database had let go of its lock: the other has one under a name of its own.
        other.folder.store.publications.move("c", one.store.publications.get("c"), "theirs")
        with pytest.raises(Conflict, match="Another machine"):
            writer.publish()
        assert lock.held("index c")
    assert one.store.publications.get("c") == "theirs"


def test_a_writer_that_died_once_it_had_published_lost_nothing(machine: Machine, object_store: Bucket) -> None:
    one = indexed(machine("one"))
    published = one.folder.index_dir("c") / "published.json"
    before = published.read_bytes()
    one.corpus("c").documents.add({"cake": "how to bake a cake"})
    one.close()
    published.write_bytes(before)  # as it is left between the two
    again = machine("one")
    assert found(again, "bake a cake", 1) == ["cake"]
    again.corpus("c").documents.add({"tea": "how to brew tea"})
    assert found(machine("other"), "brew tea", 1) == ["tea"]


def test_a_writer_that_died_before_it_published_leaves_nothing(machine: Machine, object_store: Bucket) -> None:
    one, other = indexed(machine("one")), machine("other")
    corpus = open_corpus(one.folder, "c")
    fingerprint = index_fingerprint(corpus.config.indexing, corpus.embedder)
    with corpus.index.writer(fingerprint, corpus.embedder.dim) as writer:
        writer.delete_docs(["soup"])  # a commit of its own, never published
    strays = [object_store.path(f"indexes/c/files/{name}") for name in ("stray", "another")]
    for stray in strays:
        stray.write_bytes(b"put by a writer that was killed")
    other.corpus("c").documents.add({"cake": "how to bake a cake"})
    assert not any(stray.exists() for stray in strays)
    until(lambda: found(one, "bake a cake", 1) == ["cake"])
    one.corpus("c").documents.add({"tea": "how to brew tea"})
    fresh = machine("fresh")
    assert set(open_corpus(fresh.folder, "c").index.doc_hashes()) == {"soup", "pasta", "proxy", "cake", "tea"}


def test_an_index_that_is_not_whole_is_made_anew(machine: Machine, object_store: Bucket) -> None:
    one = indexed(machine("one"))
    for key in object_store.keys("indexes/c/files"):
        object_store.path(key).unlink()
    other = machine("other")
    with pytest.raises(StaleIndex, match="not whole"):
        found(other, "soup")
    other.corpus("c").documents.rebuild()
    assert found(other, "soup", 1) == ["soup"]
    until(lambda: one.store.publications.get("c") is not None and found(one, "soup", 1) == ["soup"])


def test_an_object_that_was_changed_is_not_served(machine: Machine, object_store: Bucket) -> None:
    indexed(machine("one"))
    for key in object_store.keys("indexes/c/files"):
        content = object_store.path(key).read_bytes()
        object_store.path(key).write_bytes(bytes([content[0] ^ 1]) + content[1:])
    with pytest.raises(StaleIndex, match="damaged"):
        found(machine("other"), "soup")


def test_a_damaged_copy_is_fetched_again(machine: Machine) -> None:
    one = indexed(machine("one"))
    one.close()
    folder = one.folder.index_dir("c")
    for path in folder.rglob("*.lance"):
        if path.is_file():
            path.write_bytes(b"damaged")
    again = machine("one")
    assert found(again, "soup", 1) == ["soup"]
    assert not again.condition().troubles
    (folder / "published.json").write_text("{")
    assert found(machine("one"), "soup", 1) == ["soup"]


def test_copies_are_bounded(machine: Machine) -> None:
    one, other = indexed(machine("one")), machine("other")
    other.create_corpus("small").documents.add({"x": "something else"})
    assert found(other, "soup", 1) == ["soup"]
    one.patch_settings({"serving": {"cache_mb": 1}})
    folder = other.folder.index_dir("c")
    (folder / "space-large.safetensors").write_bytes(b"\0" * 2**20)  # so that both are more than is kept
    copies = other.folder.copies
    assert copies is not None
    copies.make_room()
    assert (folder / "published.json").exists(), "it was used a moment ago"
    age(other)
    until(lambda: open_corpus(other.folder, "small").index.count() == 1)  # and that one just now
    copies.make_room()
    assert not (folder / "published.json").exists()
    index = open_corpus(other.folder, "c").index
    assert isinstance(index, MirroredIndex)
    assert not index.is_behind(one.store.publications.get("c")), "it comes back when it is used, and not before"
    assert (other.folder.index_dir("small") / "published.json").exists()
    assert found(other, "soup", 1) == ["soup"], "fetched again"


def test_what_is_erased_is_nowhere(machine: Machine, object_store: Bucket) -> None:
    one, other = indexed(machine("one")), machine("other")
    secret = "the password is xyzzy"
    one.corpus("c").documents.add({"secret": secret})
    until(lambda: "secret" in found(other, "password"))
    one.corpus("c").erase(doc_id="secret")

    def holds(folder: Path) -> bool:
        for at, _, names in os.walk(folder):  # what goes meanwhile is passed over
            for name in names:
                with suppress(FileNotFoundError):
                    if b"xyzzy" in Path(at, name).read_bytes():
                        return True
        return False

    assert not holds(object_store.root)
    until(lambda: not holds(other.folder.index_dir("c")))
    assert "secret" not in found(other, "password")


def test_a_deleted_corpus_leaves_nothing(machine: Machine, object_store: Bucket) -> None:
    one, other = indexed(machine("one")), machine("other")
    assert found(other, "soup", 1) == ["soup"]
    one.corpus("c").delete()
    assert not object_store.keys("indexes")
    one.create_corpus("c").documents.add({"new": "a new document about soup"})
    until(lambda: found(other, "soup") == ["new"])


def test_an_upload_that_died_with_its_machine_is_ended_by_another(machine: Machine) -> None:
    one, other = indexed(machine("one")), machine("other")

    def upload() -> None:
        with one.folder.uploads.upload_under_way("c"):
            one.store.documents.upsert("c", [Document("late", "a late soup")])
            assert not other.folder.uploads.unfinished("c")
            assert other.folder.uploads.under_way("c")
            raise RuntimeError("the power went")

    with pytest.raises(RuntimeError):
        upload()
    assert [mark.is_erasure for mark in other.folder.uploads.unfinished("c")] == [False]
    assert "documents" in {trouble.what for trouble in other.condition().troubles}
    finish_uploads(other.folder)
    assert found(other, "late soup", 1) == ["late"]
    assert not one.folder.uploads.unfinished("c")


def test_without_the_store_copies_serve(machine: Machine, object_store: Bucket) -> None:
    one = indexed(machine("one"))
    object_store.kill()
    try:
        assert found(one, "soup", 1) == ["soup"]
        with pytest.raises(StorageUnavailable, match="cannot be used"):
            one.corpus("c").documents.add({"cake": "how to bake a cake"})
        assert "storage" in {trouble.what for trouble in one.condition().troubles}
        again = machine("one")
        assert found(again, "soup", 1) == ["soup"]
        with pytest.raises(StorageUnavailable):
            found(machine("other"), "soup")
    finally:
        object_store.start()
    finish_uploads(one.folder)
    assert found(one, "bake a cake", 1) == ["cake"]
    assert not one.condition().troubles


def test_a_store_that_does_not_answer_is_told_soon(machine: Machine, object_store: Bucket) -> None:
    one = machine("one")
    object_store.process.send_signal(signal.SIGSTOP)  # it takes connections and says nothing
    try:
        (trouble,) = one.condition().troubles
        assert trouble.what == "storage"
    finally:
        object_store.process.send_signal(signal.SIGCONT)


def test_a_backup_is_of_rows_and_models(machine: Machine, tmp_path: Path) -> None:
    one = indexed(machine("one"))
    one.backup(tmp_path / "all.tribrid", with_index=True)
    one.close()
    again = restore(one.environment, tmp_path / "all.tribrid", replace=True)
    assert again.to_index == ("c",), "one index serves all machines: it is made anew, not brought by one of them"
    other = machine("other")
    assert other.store.publications.get("c") is None
    other.corpus("c").documents.rebuild()
    assert found(machine("one"), "soup", 1) == ["soup"]


def test_a_machine_without_the_model_serves_its_export(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model" / "tiny"
    shutil.copytree(os.environ["TRIBRID_INDEXING__EMBEDDING_MODEL"], model)
    monkeypatch.setenv("TRIBRID_INDEXING__EMBEDDING_MODEL", str(model))
    indexed(machine("one", models_dir=tmp_path / "exports of one"))
    shutil.rmtree(model)
    other = machine("other", models_dir=tmp_path / "exports of other")
    assert found(other, "soup", 1) == ["soup"]
    with pytest.raises(ModelUnavailable):
        other.folder.embedder(other.folder.resolved({"indexing": {"embedding_model": "never heard of"}}, {}))


def test_a_folder_of_before_is_shared_from_then_on(machine: Machine, object_store: Bucket, tmp_path: Path) -> None:
    alone = indexed(machine("one", storage_url=None))
    staged = alone.store.artifacts.stage()
    (staged / "model").write_text("trained before")
    digest = alone.store.artifacts.commit(staged)
    alone.close()
    one = machine("one")
    assert found(one, "soup", 1) == ["soup"], "its index is its own until it is indexed again"
    one.corpus("c").documents.add([])
    other = machine("other")
    assert found(other, "soup", 1) == ["soup"]
    assert (other.store.artifacts.verified(digest) / "model").read_text() == "trained before"


@pytest.fixture
def objects(object_store: Bucket) -> Objects:
    return Objects(object_store.url)


def test_artifacts_are_fetched_and_believed_by_their_hash(
    objects: Objects, object_store: Bucket, tmp_path: Path
) -> None:
    one, other = Artifacts(tmp_path / "one", objects), Artifacts(tmp_path / "other", objects)
    staged = one.stage()
    (staged / "sub").mkdir()
    (staged / "sub" / "weights").write_bytes(os.urandom(PIECE_BYTES + 5))
    (staged / "empty").touch()
    digest = one.commit(staged)
    copy = other.verified(digest)
    assert (copy / "sub" / "weights").read_bytes() == (one.path(digest) / "sub" / "weights").read_bytes()
    (copy / "empty").chmod(0o600)
    (copy / "empty").write_text("changed")
    assert (other.verified(digest) / "empty").read_text() == "", "a damaged copy is fetched again"
    other.forget(digest)
    object_store.path(f"artifacts/{digest}/empty").write_text("changed")
    with pytest.raises(ModelUnavailable):
        other.verified(digest)
    one.remove(digest)
    assert not object_store.keys("artifacts")
    with pytest.raises(ModelUnavailable):
        one.path(digest)


def test_what_no_object_store_is_says_so(object_store: Bucket) -> None:
    for address in ("nowhere://x/y", "no address"):
        with pytest.raises(InvalidInput, match="TRIBRID_STORAGE_URL"):
            Objects(address)
    with pytest.raises(StorageUnavailable, match="bucket"):
        Objects("s3://missing/x").put("key", b"content")
    with pytest.raises(InvalidInput, match="TRIBRID_STORAGE_URL"):
        read_environment({"TRIBRID_DATA_DIR": "x", "TRIBRID_STORAGE_URL": "s3://key:secret@bucket/x"})


def test_a_folder_can_be_the_store(database_url: str, tmp_path: Path) -> None:
    """A disk that machines mount, by file://."""
    environment = read_environment().model_copy(
        update={"database_url": database_url, "storage_url": f"file://{tmp_path / 'mounted'}"}
    )
    with closing(Tribrid(tmp_path / "one", environment=environment)) as one:
        indexed(one)
        with closing(Tribrid(tmp_path / "other", environment=environment)) as other:
            assert found(other, "soup", 1) == ["soup"]


def test_a_lock_falls_with_its_holder(database_url: str, store: Store) -> None:
    locks = store.locks
    assert not locks.held("a name")
    holder = subprocess.Popen([sys.executable, "-c", HOLD, database_url], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    assert locks.held("a name")
    assert not locks.held("another")
    holder.kill()
    holder.wait()
    holder.stdout.close()
    with locks.hold("a name"), closing(Database(database_url)) as database:
        assert Locks(database).held("a name")
    assert not locks.held("a name")
