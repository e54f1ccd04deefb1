"""Memory and time that a training has."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors import safe_open

import tiny
from tribrid.config import Config
from tribrid.config.sections import TrainingConfig
from tribrid.errors import Unavailable
from tribrid.training.memory import LIBRARIES_MIB, Sizes, foretold, passes_mib, require_memory, sizes_of
from tribrid.training.resources import MIB, Pace, free_mib


def training(**different: object) -> TrainingConfig:
    return Config().training.model_copy(update=different)


def test_free_memory_is_within_the_containers_limit(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9000000 kB\nMemAvailable:   8192000 kB\n")
    assert free_mib(meminfo, tmp_path) == 8000
    (tmp_path / "memory.max").write_text("1073741824\n")
    (tmp_path / "memory.current").write_text("536870912\n")
    assert free_mib(meminfo, tmp_path) == 512
    (tmp_path / "memory.max").write_text("max\n")
    assert free_mib(meminfo, tmp_path) == 8000
    assert free_mib(tmp_path / "none", tmp_path) > 0


def test_free_memory_is_within_the_limit_of_a_service_and_of_what_it_is_in(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemAvailable:   8192000 kB\n")
    (tmp_path / "own").write_text("0::/system.slice/tribrid.service\n")
    service = tmp_path / "system.slice" / "tribrid.service"
    service.mkdir(parents=True)
    (service / "memory.max").write_text(f"{2048 * MIB}\n")
    (service / "memory.current").write_text(f"{1024 * MIB}\n")
    assert free_mib(tmp_path / "meminfo", tmp_path, tmp_path / "own") == 1024
    (service / "memory.stat").write_text(f"anon 1\ninactive_file {512 * MIB}\n")  # given back when it is needed
    assert free_mib(tmp_path / "meminfo", tmp_path, tmp_path / "own") == 1536
    (tmp_path / "system.slice" / "memory.max").write_text(f"{100 * MIB}\n")
    (tmp_path / "system.slice" / "memory.current").write_text("0\n")
    assert free_mib(tmp_path / "meminfo", tmp_path, tmp_path / "own") == 100


def test_memory_is_foretold_from_the_files(tmp_path: Path) -> None:
    base = tiny.build_encoder(tmp_path)
    found, config = sizes_of(base), training()
    with safe_open(base / "model.safetensors", "np") as file:
        assert found.all == sum(file.get_tensor(name).size for name in file.keys())  # noqa: SIM118
    assert 0 < found.upper < found.all / 2
    big = Sizes(100 * MIB, 30 * MIB)
    assert foretold(big, "encoder", config) == LIBRARIES_MIB + 4 * (300 + 120)
    assert foretold(big, "cross-encoder", training(trained_layers="all")) == LIBRARIES_MIB + 4 * (300 + 400)


def test_a_training_that_cannot_fit_is_refused_and_says_what_to_set(tmp_path: Path) -> None:
    base, config = tiny.build_encoder(tmp_path), training(base_model="big")
    with pytest.raises(
        Unavailable, match=r"from big takes at least 56\d MiB .* 500 MiB are free.*cross_encoder to false"
    ):
        require_memory(base, "encoder", config, 500)
    require_memory(base, "encoder", config, 600)


def test_passes_take_what_is_free_and_half_after_each_kill(tmp_path: Path) -> None:
    base = tiny.build_encoder(tmp_path)
    assert passes_mib(base, "encoder", training(), 4000, 0) == (2000, "")
    given, why = passes_mib(base, "encoder", training(memory_budget_mb=9000), 4000, 0)
    assert given == 4000 - LIBRARIES_MIB
    assert why.startswith("training.memory_budget_mb is 9,000, but only 3,500 MiB")
    given, why = passes_mib(base, "encoder", training(memory_budget_mb=1000), 4000, 1)
    assert given == 500
    assert "half the memory" in why
    assert passes_mib(base, "encoder", training(memory_budget_mb=64), 300, 3)[0] == 64


def test_a_pace_foretells_and_keeps_the_budget() -> None:
    now = [100.0]
    pace = Pace(50.0, lambda: now[0])
    pace.took_step(2.0)
    pace.took_step(4.0)
    pace.evaluation_s = 10.0
    assert pace.left_s(5, 2) == 35.0
    now[0] = 120.0
    assert pace.allows(30.0)
    assert not pace.allows(30.1)
    pace.reserve_s = 4.0
    assert pace.allows(26.0)
    assert not pace.allows(26.1)
    pace.reserve_s = 0.0
    pace.resume(25.0, 8.0)  # an earlier attempt's
    assert pace.spent_s == 45.0
    assert not pace.allows(6.0)
    assert Pace(None, lambda: now[0]).allows(1e9)
