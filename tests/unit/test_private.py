"""What is written into a data folder is its owner's alone, whatever the umask."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from handmade import indexed, model, opened
from tribrid.app import Tribrid
from tribrid.jobs.supervisor import worker_for
from tribrid.private import own_contents, own_folder
from tribrid.store import Store
from tribrid.types import Document
from waiting import until

NOT_OURS = ("models",)
"""Exports of public models, which several data folders may share."""


@pytest.fixture(params=[0o000, 0o022], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def open_to_others(folder: Path) -> list[str]:
    found = [path.relative_to(folder) for path in folder.rglob("*") if path.lstat().st_mode & 0o077]
    return [str(path) for path in found if path.parts[0] not in NOT_OURS]


@pytest.mark.usefixtures("umask")
def test_nothing_in_a_data_folder_is_open_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    data = opened(folder)
    indexed(data, "c", [Document("a", "Everyone has thirty days of leave.", "Leave")])
    model_id = model(data, "c", 1.0)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {"tribrid.db", "artifacts", "indexes"} <= {path.name for path in folder.iterdir()}
    assert not open_to_others(folder)
    data.close()
    with worker_for(folder):
        until((folder / "worker.id").exists)
        assert not open_to_others(folder)
    with Tribrid(folder) as tribrid:
        exported = Path(tribrid.models.export(model_id, tmp_path / "export").folder)
    assert all(path.stat().st_mode & 0o005 for path in [exported, *exported.rglob("*")] if path.is_dir())


@pytest.mark.usefixtures("umask")
def test_what_an_older_release_left_open_is_closed(tmp_path: Path) -> None:
    (tmp_path / "artifacts").mkdir(mode=0o777)
    (tmp_path / "tribrid.db").touch(0o666)
    Store.open(tmp_path).close()
    assert not open_to_others(tmp_path)


def test_a_link_is_left_alone(tmp_path: Path) -> None:
    """It may lead out of the folder, to what is somebody else's business."""
    outside = tmp_path / "outside"
    outside.touch(0o644)
    own_folder(tmp_path / "inside")
    (tmp_path / "inside" / "link").symlink_to(outside)
    own_contents(tmp_path / "inside")
    assert outside.stat().st_mode & 0o777 == 0o644
