"""Memory and time that a training has."""

from __future__ import annotations

from pathlib import Path

from tribrid.training.resources import Pace, free_mib


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
