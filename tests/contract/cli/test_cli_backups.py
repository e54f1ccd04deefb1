"""`tribrid backup` and `tribrid restore` as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli_calls import Cli
from tribrid.cli.program import run


def test_a_backup_is_made_verified_and_restored(cli: Cli, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bees.md").write_text("Bees make honey.")
    assert cli("index", "notes", str(tmp_path / "bees.md")).code == 0
    file, new = str(tmp_path / "all.tribrid"), ["--data-dir", str(tmp_path / "new")]
    made = cli("backup", file, "--json").document
    assert (made["corpora"], made["indexes"]) == (["notes"], [])
    assert "is there already" in cli("backup", file).err
    assert "Whole" in cli("restore", file, "--verify").out
    assert cli("restore", file).code == 4

    assert run([*new, "restore", file]) == 0
    told = capfd.readouterr().err
    assert "Until you make it, searches find nothing" in told
    assert "index notes --rebuild" in told
    assert run([*new, "index", "notes", "--rebuild"]) == 0
    assert run([*new, "index", "notes"]) == 2
    capfd.readouterr()
    assert run([*new, "--json", "search", "notes", "honey"]) == 0
    assert [row["title"] for row in json.loads(capfd.readouterr().out)["results"]] == ["bees"]

    (tmp_path / "half").write_bytes(Path(file).read_bytes()[:500])
    assert cli("restore", str(tmp_path / "half"), "--verify", "--json").code == 2
