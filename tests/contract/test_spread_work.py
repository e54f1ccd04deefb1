"""Long work that others share: the same index, whoever embedded its passages."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import handmade
import ray_nodes
from conftest import STRICT
from sharded import Square, index_sha256
from tribrid.app import Tribrid
from tribrid.compute.shards import ray_cluster
from tribrid.errors import InvalidInput, ModelUnavailable, Unavailable
from tribrid.loop import finding
from tribrid.loop.evaluate import evaluate
from tribrid.loop.params import EvaluateParams
from tribrid.loop.train import read_triplets
from tribrid.store.settings import GLOBAL_SCOPE
from tribrid.training.resources import Pace
from tribrid.types import Document, JudgedQuery
from tribrid.workspace.corpus import open_corpus
from tribrid.workspace.embedding import Embed
from waiting import until

pytestmark = pytest.mark.slow
ADDRESS = "TRIBRID_COMPUTE__RAY_ADDRESS"
needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None and not os.environ.get(STRICT),
    reason="Ray is not installed (the extra ray)",
)
WORDS = (
    "index",
    "passage",
    "query",
    "rank",
    "score",
    "train",
    "certificate",
    "proxy",
    "backup",
    "soup",
    "pasta",
    "file",
)


def documents() -> list[Document]:
    """Of three shards."""
    return [
        Document(
            f"d{number:03}", " ".join(WORDS[(number * 7 + at * at) % len(WORDS)] for at in range(20 + number % 40))
        )
        for number in range(600)
    ]


def indexed(folder: Path) -> str:
    """What an index of them in this folder holds."""
    with Tribrid(folder) as tribrid:
        tribrid.create_corpus("c")
        report = tribrid.corpus("c").documents.add(documents())
        assert report.embedded == 600
        return index_sha256(tribrid.folder.index("c"))


def learned(tribrid: Tribrid) -> tuple[str, dict[str, Any]]:
    """What a training is given, as one hash; and what an evaluation says, without what is another each time."""
    own = tribrid.corpus("c")
    queries = [
        JudgedQuery(f"q{n:03}", f"{WORDS[n % 12]} {WORDS[n // 12]} {n}", {f"d{n:03}": 1, f"d{n + 100:03}": 1})
        for n in range(100)
    ]
    own.judgments.put(queries[:60])
    own.eval_dataset.put(queries[60:])
    own.mine()
    corpus = open_corpus(tribrid.folder, "c")
    triplets = corpus.store.triplets.load(corpus.store.triplets.latest("c").triplet_set_id)
    taught = read_triplets(corpus, triplets, Pace(None), handmade.nothing)
    assert len(taught.lists) > 10
    digest = hashlib.sha256()
    for item in taught.lists:
        digest.update(repr((item.labels.query_id, item.cluster, item.candidates)).encode())
        digest.update(item.tokens.vectors.tobytes())
        for name, column in item.described.items():
            digest.update(name.encode() + column.tobytes())
    report = evaluate(corpus, "e", EvaluateParams(), handmade.nothing).model_dump(mode="json")
    return digest.hexdigest(), {
        name: of for name, of in report.items() if name not in ("created_at", "cost", "latency")
    }


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few queries are enough to ask others."""
    monkeypatch.setattr(finding, "LEAST_QUERIES", 2)
    monkeypatch.setattr(finding, "QUERIES_A_SHARD", 8)


@pytest.fixture(scope="module")
def learned_alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """What is read by the process that was asked."""
    folder = tmp_path_factory.mktemp("alone")
    indexed(folder)
    with Tribrid(folder) as tribrid:
        return learned(tribrid)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What is made by the process that was asked, on its threads."""
    return indexed(tmp_path_factory.mktemp("alone"))


@pytest.fixture
def paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes find the package and the tests."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(str(Path(path).resolve()) for path in sys.path if path))


@pytest.mark.usefixtures("paths")
class TestProcesses:
    def test_they_make_the_same_index(self, alone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRIBRID_COMPUTE__PROCESSES", "2")
        assert indexed(tmp_path) == alone

    @pytest.mark.usefixtures("many")
    def test_they_read_the_same_lists_and_the_same_report(
        self, learned_alone: tuple[str, dict[str, Any]], tmp_path: Path
    ) -> None:
        indexed(tmp_path)
        with Tribrid(tmp_path) as tribrid:
            tribrid.patch_settings({"compute": {"processes": 2}})
            assert learned(tribrid) == learned_alone

    def test_one_that_sees_another_corpus_is_refused(self, tmp_path: Path) -> None:
        with Tribrid(tmp_path) as tribrid:
            tribrid.patch_settings({"compute": {"processes": 2}})
            tribrid.create_corpus("c")
            shards, config = tribrid.folder.shards(), tribrid.folder.config().model_dump_json()
            assert shards is not None
            with pytest.raises(Unavailable, match="TRIBRID_DATABASE_URL"):
                list(shards.map(finding.Find("c", 7, config, teaching=False, call="one"), [["a"]]))

    def test_one_with_another_encoder_is_refused(self, tmp_path: Path) -> None:
        with Tribrid(tmp_path) as tribrid:
            tribrid.patch_settings({"compute": {"processes": 2}})
            shards = tribrid.folder.shards()
            assert shards is not None
            model = tribrid.folder.config().indexing.embedding_model
            with pytest.raises(ModelUnavailable, match="another than this"):
                list(shards.map(Embed(model, "another than this", shards.threads), [[], []]))


def test_only_who_starts_the_process_says_where_a_cluster_is(tmp_path: Path) -> None:
    with Tribrid(tmp_path) as tribrid:
        with pytest.raises(InvalidInput, match=f"only who starts Tribrid says where: {ADDRESS}"):
            tribrid.patch_settings({"compute": {"ray_address": "10.0.0.1:6379"}})
        # Nor does a row that somebody wrote into the database.
        tribrid.folder.store.settings.patch(GLOBAL_SCOPE, {"compute": {"ray_address": "10.0.0.1:6379"}})
        assert tribrid.folder.config().compute.ray_address is None
        assert tribrid.folder.shards() is None


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, paths: None) -> Iterator[Path]:
    """Ray's own: its sockets need a short path."""
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:
        for name, value in ray_nodes.environment(Path(folder)).items():
            monkeypatch.setenv(name, value)
        yield Path(folder)


@needs_ray
@pytest.mark.heavy
@pytest.mark.timeout(400)
class TestRay:
    @pytest.mark.parametrize("count", [1, 2])
    def test_its_nodes_make_the_same_index(
        self, count: int, alone: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with ray_nodes.nodes(count, dict(os.environ)) as cluster:
            monkeypatch.setenv(ADDRESS, cluster.address)
            assert indexed(tmp_path) == alone
            assert not (home / ".ray" / "auth_token").exists()
            monkeypatch.setenv("RAY_AUTH_TOKEN", "another" * 8)
            with pytest.raises(Unavailable, match=r"compute\.ray_address"):
                list(ray_cluster(cluster.address, dict(os.environ)).map(Square(tmp_path), range(3)))

    @pytest.mark.usefixtures("many")
    def test_nodes_with_folders_of_their_own_read_the_same(
        self,
        learned_alone: tuple[str, dict[str, Any]],
        home: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("TRIBRID_DATABASE_URL", f"sqlite:///{tmp_path / 'rows.db'}")
        monkeypatch.setenv("TRIBRID_STORAGE_URL", f"file://{tmp_path / 'objects'}")
        (tmp_path / "objects").mkdir()
        with ray_nodes.nodes(2, {**os.environ, "TRIBRID_DATA_DIR": str(tmp_path / "node")}) as cluster:
            monkeypatch.setenv(ADDRESS, cluster.address)
            indexed(tmp_path / "driver")
            with Tribrid(tmp_path / "driver") as tribrid:
                assert learned(tribrid) == learned_alone
        assert list((tmp_path / "node" / "indexes").iterdir())

    def test_a_node_that_dies_costs_one_shard(self, home: Path, tmp_path: Path) -> None:
        work = Square(tmp_path, seconds=2)
        with ray_nodes.nodes(2, dict(os.environ)) as cluster:

            def kill() -> None:
                until(lambda: len(work.begun()) >= 6 and len(work.who()) == 2)
                cluster.kill()

            killing = threading.Thread(target=kill)
            killing.start()
            done = list(ray_cluster(cluster.address, dict(os.environ)).map(work, range(12)))
            killing.join()
        assert done == [number**2 for number in range(12)]
        begun = work.begun()
        assert sorted(set(begun)) == list(range(12))
        assert len(begun) <= 13

    def test_a_cluster_that_goes_away_is_said(self, home: Path, tmp_path: Path) -> None:
        work = Square(tmp_path, seconds=600)
        with ray_nodes.nodes(1, dict(os.environ)) as cluster:

            def kill() -> None:
                until(lambda: bool(work.begun()))
                cluster.kill()

            killing = threading.Thread(target=kill)
            killing.start()
            with pytest.raises(Unavailable, match=r"compute\.ray_address"):
                list(ray_cluster(cluster.address, dict(os.environ)).map(work, range(4)))
            killing.join()
