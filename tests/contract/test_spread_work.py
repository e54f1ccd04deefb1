"""Long work that others share: the same index, whoever embedded its passages."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import ray_nodes
from conftest import STRICT
from sharded import Square, index_sha256
from tribrid.app import Tribrid
from tribrid.compute.shards import ray_cluster
from tribrid.errors import InvalidInput, ModelUnavailable, Unavailable
from tribrid.store.settings import GLOBAL_SCOPE
from tribrid.types import Document
from tribrid.workspace.embedding import Embed

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

    def test_a_node_that_dies_costs_one_shard(self, home: Path, tmp_path: Path) -> None:
        work = Square(tmp_path, seconds=2)
        with ray_nodes.nodes(2, dict(os.environ)) as cluster:

            def kill() -> None:
                while len(work.begun()) < 6 or len(work.who()) < 2:
                    time.sleep(0.05)
                cluster.kill()

            killing = threading.Thread(target=kill)
            killing.start()
            done = list(ray_cluster(cluster.address, dict(os.environ)).map(work, range(12)))
            killing.join()
        assert done == [number**2 for number in range(12)]
        begun = work.begun()
        assert sorted(set(begun)) == list(range(12))
        assert len(begun) <= 13
