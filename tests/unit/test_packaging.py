"""The package as it is handed on: the same bytes from the same source, and installed from a folder alone."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from conftest import REPO_ROOT, STRICT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", ".npm-clients", "node_modules", "__pycache__", ".*_cache", ".hypothesis", "dist", "build"
)
EPOCH = "1790000000"
PACKAGES = sorted(path.parent for path in REPO_ROOT.glob("packages/*/pyproject.toml"))
OURS = [REPO_ROOT, *PACKAGES]


@pytest.fixture(scope="module", autouse=True)
def _builder() -> None:
    if importlib.util.find_spec("hatchling") is None:
        if os.environ.get(STRICT):
            pytest.fail("hatchling is not installed: it is among the tools of the group dev")
        pytest.skip("hatchling is not installed")


def build(source: Path, out: Path) -> dict[str, str]:
    """Build wheel and sdist: file name → sha256."""
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(out)]
    done = subprocess.run(
        command, cwd=source, env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.iterdir()}


def copied(source: Path, target: Path, *, time_s: int, mode: int) -> Path:
    """The source elsewhere, at another time and with other rights."""
    shutil.copytree(source, target, ignore=LEFT_OUT)
    for path in target.rglob("*"):
        if path.is_file():
            path.chmod(mode)
        os.utime(path, (time_s, time_s))
    return target


@pytest.mark.parametrize("source", OURS, ids=lambda path: path.name if path != REPO_ROOT else "tribrid")
def test_the_same_source_gives_the_same_bytes(source: Path, tmp_path: Path) -> None:
    one = copied(source, tmp_path / "one" / "source", time_s=1_700_000_000, mode=0o644)
    other = copied(source, tmp_path / "somewhere" / "else", time_s=1_750_000_000, mode=0o600)
    built = build(one, tmp_path / "dist")
    assert len(built) == 2
    assert build(other, tmp_path / "again") == built
    (sdist,) = (tmp_path / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    from_sdist = build(unpacked, tmp_path / "from_sdist")
    assert {name: sha for name, sha in from_sdist.items() if name.endswith(".whl")} == {
        name: sha for name, sha in built.items() if name.endswith(".whl")
    }


@pytest.mark.parametrize("source", PACKAGES, ids=lambda path: path.name)
def test_a_package_has_the_licence_and_what_its_classifiers_say(source: Path, tmp_path: Path) -> None:
    build(copied(source, tmp_path / "source", time_s=1_700_000_000, mode=0o644), tmp_path / "dist")
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
        (licence,) = (name for name in names if name.endswith(".dist-info/licenses/LICENSE"))
        assert opened.read(licence) == (REPO_ROOT / "LICENSE").read_bytes()
        (told,) = (opened.read(name).decode() for name in names if name.endswith(".dist-info/METADATA"))
    classifiers = re.findall(r"^Classifier: (.+)$", told, re.MULTILINE)
    assert {"Programming Language :: Python :: 3.11", "Typing :: Typed"} <= set(classifiers)
    folders = {name.rpartition("/")[0] for name in names if name.endswith(".py")}
    assert {name.rpartition("/")[0] for name in names if name.endswith("/py.typed")} == folders, "Typing :: Typed"


def test_the_wheel_installs_from_its_folder_and_has_all_that_it_reads(tmp_path: Path) -> None:
    build(copied(REPO_ROOT, tmp_path / "source", time_s=1_700_000_000, mode=0o644), tmp_path / "dist")
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run([*pip, "--target", str(tmp_path / "installed"), str(wheel)], check=True)
    names = set(zipfile.ZipFile(wheel).namelist())
    package = REPO_ROOT / "src" / "tribrid"
    data = [path for path in package.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    assert {f"tribrid/{path.relative_to(package)}" for path in data} <= names
    assert "tribrid/data/models.json" in names
    assert not {name for name in names if name.startswith("tests") or "__pycache__" in name}
    code = "import tribrid, tribrid.cloud.prices as p; print(tribrid.__file__); print(len(p.load_prices().models))"
    # Its files are copies: counted as the product's, they would halve the coverage.
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**unmeasured, "PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
        check=True,
    )
    place, models = done.stdout.split()
    assert place.startswith(str(tmp_path))
    assert int(models) > 5
