"""Syncs: what shows when, BM25 after any history, several processes and threads."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest

from tribrid.errors import Failed
from tribrid.retrieval.index import Index
from tribrid.retrieval.lance import Tables
from tribrid.retrieval.publication import read_publication, write_publication


class TestWriting:
    def test_nothing_shows_before_publish_and_all_of_it_after(self, make, index):
        make.publish(index, [make.passage("a", "cells")])
        with index.writer("f", make.dim) as writer:
            writer.delete_docs(["a"])
            make.add(writer, [make.passage("b", "stars")])
            assert (writer.published, set(writer.doc_hashes())) == (False, {"b"})
            assert set(index.doc_hashes()) == {"a"}
            assert index.bm25("stars", 5) == []
            writer.publish()
            assert writer.published
        assert set(index.doc_hashes()) == {"b"}
        assert [hit.key for hit in index.bm25("stars", 5)] == [("b", 0)]
        assert [hit.key for hit in index.nearest(make.unit(1), 5)] == [("b", 0)]

    def test_publishing_nothing_new_changes_nothing(self, make, index, tmp_path):
        make.publish(index, [make.passage("a", "cells")])
        before = read_publication(tmp_path / "index")
        make.publish(index, [])
        assert read_publication(tmp_path / "index") == before

    def test_deleting_what_is_not_there_deletes_nothing(self, make, index):
        make.publish(index, [make.passage("a", "cells")])
        make.publish(index, [], delete=["unknown"])
        assert index.count() == 1

    def test_passages_are_counted_without_opening_the_tables(self, make, index, tmp_path):
        make.publish(index, [make.passage("a", "cells"), make.passage("b", "stars")])
        make.publish(index, [], delete=["a"])
        reader = Index.open(tmp_path / "index")
        assert reader.count() == 1
        assert vars(reader)["_snapshot"] is None

    def test_passages_of_what_an_older_version_published_are_counted(self, make, index, tmp_path):
        make.publish(index, [make.passage("a", "cells"), make.passage("b", "stars")])
        published = read_publication(tmp_path / "index")
        assert published is not None
        write_publication(tmp_path / "index", replace(published, passages=None))
        assert Index.open(tmp_path / "index").count() == 2

    def test_an_unpublished_state_is_gone_on_from(self, make, index):
        with index.writer("f", make.dim) as writer:
            make.add(writer, [make.passage("a", "cells")])
        assert index.count() == 0
        with index.writer("f", make.dim) as writer:
            assert set(writer.doc_hashes()) == {"a"}
            writer.publish()
        assert index.count() == 1

    def test_another_fingerprint_is_built_beside_and_takes_the_place(self, make, index, tmp_path):
        make.publish(index, [make.passage("a", "cells")])
        reader = Index.open(tmp_path / "index")
        with index.writer("g", 3) as writer:
            assert writer.doc_hashes() == {}
            make.add(writer, [make.passage("b", "stars")], [np.array([0, 1, 0], np.float32)])
            assert (reader.fingerprint, [hit.key[0] for hit in reader.nearest(make.unit(1), 5)]) == ("f", ["a"])
            writer.publish()
        assert reader.fingerprint == "g"
        assert [hit.key[0] for hit in reader.nearest(np.array([0, 1, 0], np.float32), 5)] == ["b"]
        assert len(list((tmp_path / "index").glob("*.lance"))) == 1

    def test_two_thousand_documents_are_deleted_in_chunks(self, make, index):
        make.publish(index, make.prose(1, 2100))
        make.publish(index, [], delete=[f"d{i}" for i in range(2050)])
        assert index.count() == len(index.nearest(make.unit(1), 100)) == 50

    @pytest.mark.parametrize("vectors", [np.ones((1, 3), np.float32), np.full((1, 8), np.nan, np.float32)])
    def test_unusable_vectors_are_refused(self, make, index, vectors):
        with index.writer("f", make.dim) as writer, pytest.raises(Failed, match="encoder made"):
            make.add(writer, [make.passage("a", "cells")], vectors)

    @pytest.mark.usefixtures("eager")
    def test_files_do_not_pile_up(self, make, tmp_path):
        index = Index.open(tmp_path)
        for turn in range(10):
            make.publish(index, make.prose(turn, 20, start=20 * turn), delete=[f"d{20 * turn - 1}"])
            assert index.count() == len(index.nearest(make.unit(1), 1000)) == 20 * (turn + 1) - turn
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert len(files) < 40, sorted(files)

    @pytest.mark.parametrize("others", [60, 1, 0])
    def test_a_purge_leaves_no_file_that_holds_what_was_deleted(self, make, index, tmp_path, others):
        def holding():
            return [path for path in tmp_path.rglob("*") if path.is_file() and b"Zzyzx" in path.read_bytes()]

        make.publish(index, [make.passage("a", "Zzyzx"), *make.prose(1, others)])
        make.publish(index, [], delete=["a"])
        assert holding(), "deleted, and still there to be read"
        with index.writer("f", make.dim) as writer:
            writer.publish(purge=True)
        assert holding() == []
        assert index.count() == len(index.nearest(make.unit(1), 100)) == others
        assert index.bm25("Zzyzx", 5) == []

    def test_files_are_merged_every_twentieth_commit(self, make, tmp_path):
        index = Index.open(tmp_path)
        for turn in range(45):
            make.publish(index, [make.passage(f"d{turn}", "cells")])
        assert len(index.bm25("cells", 100)) == index.count() == 45
        assert Tables(tmp_path).open_or_create(make.table_name(tmp_path), make.dim).files() < 20


def all_scores(make, index):
    return [
        {hit.key: hit.score for hit in index.bm25(query, 400)}
        for query in [*make.words[:20], "word1 word2 word40", "word7 word90 word150 word200"]
    ]


@pytest.fixture(scope="module")
def at_once(make, tmp_path_factory):
    index = Index.open(tmp_path_factory.mktemp("at_once"))
    make.publish(index, make.prose(1, 200) + make.prose(2, 200, start=200))
    return all_scores(make, index)


class TestIncrementalBM25:
    """Whatever the history, BM25 is that of an index made at once from the same rows."""

    def agree(self, make, index, at_once):
        for ours, theirs in zip(all_scores(make, index), at_once, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-5)

    def test_two_batches(self, make, tmp_path, at_once):
        index = Index.open(tmp_path)
        with index.writer("f", make.dim) as writer:
            make.add(writer, make.prose(1, 200))
            make.add(writer, make.prose(2, 200, start=200))
            writer.publish()
        self.agree(make, index, at_once)

    def test_many_syncs(self, make, tmp_path, at_once):
        index = Index.open(tmp_path)
        rows = make.prose(1, 200) + make.prose(2, 200, start=200)
        for start in range(0, 400, 80):
            make.publish(index, rows[start : start + 80])
        self.agree(make, index, at_once)

    def test_deleted_and_replaced_documents_leave_no_trace(self, make, tmp_path, at_once):
        index = Index.open(tmp_path)
        make.publish(index, make.prose(3, 300, start=1000) + make.prose(4, 200))
        make.publish(
            index,
            make.prose(1, 200) + make.prose(2, 200, start=200),
            delete=[f"d{i}" for i in [*range(200), *range(1000, 1300)]],
        )
        self.agree(make, index, at_once)

    def test_deletes_of_a_killed_writer_leave_no_trace_either(self, make, tmp_path, at_once):
        index = Index.open(tmp_path)
        make.publish(index, make.prose(3, 300, start=1000))
        with index.writer("f", make.dim) as writer:
            writer.delete_docs([f"d{i}" for i in range(1000, 1300)])
        make.publish(index, make.prose(1, 200) + make.prose(2, 200, start=200))
        self.agree(make, index, at_once)


class TestConcurrency:
    def test_a_sync_in_another_process_shows_in_this_one(self, make, index, tmp_path):
        make.publish(index, [make.passage("a", "cells")])
        assert index.bm25("stars", 5) == []
        program = (
            "import sys, numpy as np; from pathlib import Path\n"
            "from tribrid.retrieval.index import Index; from tribrid.types import Passage\n"
            "index = Index.open(Path(sys.argv[1]))\n"
            "with index.writer('f', 8) as writer:\n"
            "    vectors = np.eye(8, dtype=np.float32)[1:2]\n"
            "    writer.add([Passage('b', 0, 0, 5, '', 'stars')], lexical=['star'], vectors=vectors,\n"
            "               content_shas=['s'], tokens=[b''])\n"
            "    writer.publish()\n"
        )
        subprocess.run([sys.executable, "-c", program, str(tmp_path / "index")], check=True, timeout=60)
        assert [hit.key[0] for hit in index.bm25("stars", 5)] == ["b"]
        assert [hit.key[0] for hit in index.nearest(make.unit(0, 1), 1)] == ["b"]

    def test_writers_take_turns(self, make, index, tmp_path):
        other, order = Index.open(tmp_path / "index"), []

        def second():
            with other.writer("f", make.dim) as writer:
                order.append(("second", set(writer.doc_hashes())))

        with index.writer("f", make.dim) as writer:
            thread = threading.Thread(target=second)
            thread.start()
            thread.join(0.3)
            make.add(writer, [make.passage("a", "cells")])
            order.append(("first", {"a"}))
            writer.publish()
        thread.join(10)
        assert order == [("first", {"a"}), ("second", {"a"})]

    @pytest.mark.usefixtures("eager")
    def test_a_query_whose_version_is_removed_runs_again_on_the_new_one(self, make, index):
        make.publish(index, make.prose(1, 50))
        tried = []

        def query(snapshot):
            tried.append(snapshot.publication.version)
            if len(tried) == 1:
                make.publish(index, [make.passage("b", "stars")], delete=[f"d{i}" for i in range(50)])
            return [found.text for found in snapshot.passages([("d1", 0), ("b", 0)]).values()]

        assert index.read(query, []) == ["stars"]
        assert tried[0] < tried[1]

    def test_threads_may_search_while_a_sync_publishes(self, make, index):
        make.publish(index, make.prose(1, 50))
        counts, done = [], threading.Event()

        def search():
            while not done.is_set():
                counts.append(len(index.nearest(make.unit(1), 1000)))

        threads = [threading.Thread(target=search) for _ in range(3)]
        for thread in threads:
            thread.start()
        for turn in range(1, 4):
            make.publish(index, make.prose(turn, 50, start=50 * turn))
        done.set()
        for thread in threads:
            thread.join(20)
        assert set(counts) <= {50, 100, 150, 200}
        assert len(index.nearest(make.unit(1), 1000)) == 200
