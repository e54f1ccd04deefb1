"""Artifacts: whole or not there, whatever kills the writer; named by what is in them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tribrid.errors import InvalidInput, ModelUnavailable
from tribrid.store.artifacts import Artifacts, content_hash

COMMIT_FOR_EVER = """
import os, sys
from pathlib import Path
from tribrid.store.artifacts import Artifacts
artifacts = Artifacts(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    staged = artifacts.stage()
    (staged / "sub").mkdir()
    for name in ("model.onnx", "sub/blend.txt", "manifest.json"):
        (staged / name).write_bytes(os.urandom(200_000))
    artifacts.commit(staged)
"""


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "artifacts")


def staged(artifacts: Artifacts, **files: str) -> Path:
    folder = artifacts.stage()
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder


def test_commit_moves_the_folder_under_its_hash(artifacts: Artifacts) -> None:
    folder = staged(artifacts, model="bytes", sub__blend="more")
    expected = content_hash(folder)
    digest = artifacts.commit(folder)
    final = artifacts.path(digest)
    assert digest == expected == final.name == content_hash(final)
    assert not folder.exists()
    assert (final / "sub" / "blend").read_text() == "more"
    assert all(path.stat().st_mode & 0o222 == 0 for path in final.rglob("*") if path.is_file())


def test_the_same_content_is_the_same_artifact(artifacts: Artifacts) -> None:
    first = artifacts.commit(staged(artifacts, model="bytes", other="x"))
    folder = staged(artifacts, other="x", model="bytes")
    assert artifacts.commit(folder) == first
    assert not folder.exists()


def test_the_hash_is_of_names_and_content(artifacts: Artifacts) -> None:
    hashes = {
        artifacts.commit(staged(artifacts, **files))
        for files in ({"a": "1", "b": "2"}, {"a": "2", "b": "1"}, {"a": "12"}, {"a": "1", "sub__b": "2"}, {"c": "1"})
    }
    assert len(hashes) == 5


def test_what_is_no_artifact_is_refused(artifacts: Artifacts, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        artifacts.commit(artifacts.stage())
    folder = staged(artifacts, model="bytes")
    (folder / "link").symlink_to(tmp_path)
    with pytest.raises(InvalidInput, match="link"):
        artifacts.commit(folder)


def test_only_artifacts_have_a_path(artifacts: Artifacts) -> None:
    for digest in ("0" * 64, "staging", "..", "../artifacts/staging", ""):
        with pytest.raises(ModelUnavailable):
            artifacts.path(digest)


def test_one_flipped_bit_is_seen(artifacts: Artifacts) -> None:
    digest = artifacts.commit(staged(artifacts, model="bytes", other="more"))
    assert artifacts.verified(digest) == artifacts.path(digest)
    file = artifacts.path(digest) / "model"
    file.chmod(0o644)
    file.write_bytes(bytes([file.read_bytes()[0] ^ 1]) + file.read_bytes()[1:])
    with pytest.raises(ModelUnavailable, match="damaged or changed"):
        artifacts.verified(digest)


def test_every_byte_is_on_disk_before_the_name_is(artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = staged(artifacts, model="bytes", sub__blend="more")
    flushed: list[str] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        flushed.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    digest = artifacts.commit(folder)
    before = [folder / "model", folder / "sub" / "blend", folder, folder / "sub"]
    assert set(flushed[:-1]) == {str(path) for path in before}
    assert flushed[-1] == str(artifacts.path(digest).parent)


def test_a_killed_writer_leaves_no_half_artifact(artifacts: Artifacts, tmp_path: Path) -> None:
    root = tmp_path / "artifacts"
    for delay_s in (0.05, 0.11, 0.17, 0.23):
        writer = subprocess.Popen([sys.executable, "-c", COMMIT_FOR_EVER, str(root)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(delay_s)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
    committed = [path for path in root.iterdir() if path.name != "staging"]
    assert committed
    for path in committed:
        assert content_hash(path) == path.name
        assert len([file for file in path.rglob("*") if file.is_file()]) == 3


def test_strays_are_swept_when_they_are_old(artifacts: Artifacts) -> None:
    old, new = staged(artifacts, model="old"), staged(artifacts, model="new")
    os.utime(old, (0, 0))
    assert artifacts.sweep(older_than_s=3600) == 1
    assert not old.exists()
    assert new.exists()
