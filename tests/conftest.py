"""What every test shares: where the repository is, real data where there is some, and no way out to the network's hubs.

Nothing here stands in for the product: tests run the real components.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import parallel
import tiny

REPO_ROOT = Path(__file__).resolve().parents[1]
SHARED_DATA = REPO_ROOT.parent / "shared" / "data"
STRICT = "TRIBRID_TEST_STRICT"
PATIENCE_MS = 60_000
"""How long a browser may take for what it does in a moment on an idle machine."""
ONE_OF_MANY = "PYTEST_XDIST_WORKER" in os.environ
"""Whether other processes run tests beside this one."""
SLOW_FOLDERS = ("tests/contract/api/", "tests/contract/cli/", "tests/contract/studio/", "tests/journey/")
"""Their tests start servers, workers or commands."""

# A clock fails no test: a busy machine is slow. Where CI is set, that is hypothesis's own default.
if "CI" not in os.environ:
    settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("patient")

# Before any library is imported: models come from packages and folders, never from a hub.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
# As in the processes that train: OpenMP's threads sleep while they wait. Spinning, on a busy machine, they take the
# cores from each other, and a training of ten seconds takes minutes.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if ONE_OF_MANY:  # each has a core, and so have the processes that it starts
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A developer's own settings and paid keys must not decide whether a test passes.
for _name in [name for name in os.environ if name.startswith("TRIBRID_") and name != STRICT]:
    del os.environ[_name]
for _name in ("COHERE_API_KEY", "VOYAGE_API_KEY", "JINA_API_KEY", "OPENAI_API_KEY"):
    os.environ.pop(_name, None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what can be seen from outside, so that `-m "not shared"` and `-m "not slow"` are complete."""
    for item in items:
        if isinstance(item, pytest.Function) and "shared_data" in item.fixturenames:
            item.add_marker(pytest.mark.shared)
        if item.nodeid.startswith(SLOW_FOLDERS):
            item.add_marker(pytest.mark.slow)
    if ONE_OF_MANY:
        items.sort(key=lambda item: parallel.turn(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> parallel.ByPiece:
    return parallel.ByPiece(config, log)


@pytest.fixture(scope="session", autouse=True)
def _data_dir_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A test that forgets to say where its data lives writes to a temporary folder, not to the home folder."""
    os.environ["TRIBRID_DATA_DIR"] = str(tmp_path_factory.mktemp("data_dir"))
    yield
    del os.environ["TRIBRID_DATA_DIR"]


@pytest.fixture(scope="session", autouse=True)
def _tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every test uses a tiny real encoder unless it asks for `real_model`; its export is made once a session."""
    # Processes beside each other share it: an export takes seconds, and is renamed into place.
    mine = tmp_path_factory.getbasetemp()
    folder = (mine.parent if ONE_OF_MANY else mine) / "models"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "tiny" / "model.safetensors").exists():
            tiny.build_encoder(folder / "tiny")
    settings = {
        "TRIBRID_MODELS_DIR": str(folder),
        "TRIBRID_INDEXING__EMBEDDING_MODEL": str(folder / "tiny"),
        "TRIBRID_TRAINING__BASE_MODEL": str(folder / "tiny"),
    }
    os.environ.update(settings)
    yield
    for name in settings:
        os.environ.pop(name, None)


@pytest.fixture
def real_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the test use all-MiniLM-L6-v2, the default model."""
    monkeypatch.delenv("TRIBRID_INDEXING__EMBEDDING_MODEL")
    monkeypatch.delenv("TRIBRID_TRAINING__BASE_MODEL")


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The repository's root folder."""
    return REPO_ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real datasets beside the repository; the test is skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("../shared/data is absent")
    return SHARED_DATA


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """Find a program a test runs (`node`, `jq`, ...): its path.

    Where it is not installed the test is skipped, or fails if TRIBRID_TEST_STRICT is set, as .ci/run does.
    """

    def find(name: str) -> str:
        path = shutil.which(name)
        if path is None:
            if os.environ.get(STRICT):
                pytest.fail(f"{name} is not installed")
            pytest.skip(f"{name} is not installed")
        return path

    return find


@pytest.fixture(scope="session")
def browser(program: Callable[[str], str]) -> Iterator[Any]:
    """The system's Chromium, driven by playwright; one for all tests, because a thread can have one driver only."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program("chromium"), args=["--no-sandbox"])
        yield chromium
        chromium.close()
