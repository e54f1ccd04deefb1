"""A file is read in a process that is ended when it takes too much, and replaced for the next one."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tribrid.config.sections import IndexingConfig
from tribrid.corpus import confined
from tribrid.corpus.confined import ConfinedReader, Limits
from tribrid.corpus.contents import Unreadable
from tribrid.corpus.files import read_folder
from tribrid.corpus.jsonlines import Skipped

GENEROUS = Limits(max_chars=1_000_000, timeout_s=60, waiting_s=100, memory_mb=1024)


def page(folder: Path, name: str = "page.html", paragraphs: int = 1) -> Path:
    path = folder / name
    path.write_text("<p>words</p>" * paragraphs)
    return path


def pid(reader: ConfinedReader) -> int:
    process = reader._process
    assert process is not None
    return process.pid


def test_one_process_reads_file_after_file_and_ends_with_its_context(tmp_path: Path) -> None:
    with ConfinedReader(GENEROUS) as reader:
        assert reader.read(page(tmp_path), ".html").text == "words"
        first = pid(reader)
        assert reader.read(page(tmp_path, "other.html", 2), ".html").text == "words\n\nwords"
        (tmp_path / "bad.html").write_bytes(b"\0")
        with pytest.raises(Unreadable, match="binary"):
            reader.read(tmp_path / "bad.html", ".html")
        with pytest.raises(FileNotFoundError):
            reader.read(tmp_path / "nothing.html", ".html")
        assert pid(reader) == first
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)


def test_a_file_that_takes_too_long_is_given_up_and_the_next_one_is_read(tmp_path: Path) -> None:
    large = page(tmp_path, "large.html", 500_000)
    with ConfinedReader(replace(GENEROUS, timeout_s=0.1)) as reader:
        with pytest.raises(Unreadable, match=r"took longer than 0\.1 s of processor time"):
            reader.read(large, ".html")
        assert reader.read(page(tmp_path), ".html").text == "words"


def test_the_time_counts_for_each_file_by_itself(tmp_path: Path) -> None:
    some = page(tmp_path, "some.html", 5_000)
    with ConfinedReader(replace(GENEROUS, timeout_s=0.5)) as reader:
        reader.read(some, ".html")
        first = pid(reader)
        for _ in range(40):
            reader.read(some, ".html")
        assert pid(reader) == first


def test_a_file_that_needs_too_much_memory_is_given_up_and_the_next_one_is_read(tmp_path: Path) -> None:
    large = page(tmp_path, "large.html", 2_000_000)
    with ConfinedReader(replace(GENEROUS, memory_mb=256)) as reader:
        with pytest.raises(Unreadable, match="more than 256 MiB"):
            reader.read(large, ".html")
        assert reader.read(page(tmp_path), ".html").text == "words"


def python_that_starts(folder: Path, failures: int) -> str:
    """A Python that fails so often before it starts, as one does for which no memory is left."""
    script = folder / f"python{failures}"
    tally = shlex.quote(str(folder / f"tally{failures}"))
    script.write_text(
        f'#!/bin/sh\necho >> {tally}\n[ "$(wc -l < {tally})" -gt {failures} ] || exit 1\n'
        f'exec {shlex.quote(sys.executable)} "$@"\n'
    )
    script.chmod(0o700)
    return str(script)


def test_a_process_that_cannot_be_started_says_nothing_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    page(folder)
    monkeypatch.setattr(confined, "_PAUSES_S", (0, 0))
    for executable, why in ((str(tmp_path / "none"), "No such file"), (python_that_starts(tmp_path, 9), "code 1")):
        monkeypatch.setattr(sys, "executable", executable)
        (skipped,) = read_folder(folder, IndexingConfig.model_validate({}))
        assert type(skipped) is Skipped  # of a kind that deletes nothing
        assert "cannot be started now" in skipped.reason
        assert why in skipped.reason
        assert "index it again later" in skipped.reason


def test_a_process_that_starts_at_a_later_attempt_reads_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confined, "_PAUSES_S", (0, 0))
    monkeypatch.setattr(sys, "executable", python_that_starts(tmp_path, 2))
    with ConfinedReader(GENEROUS) as reader:
        assert reader.read(page(tmp_path), ".html").text == "words"


@pytest.mark.slow
def test_a_process_that_waits_for_ever_is_ended_by_the_clock(tmp_path: Path) -> None:
    with ConfinedReader(replace(GENEROUS, waiting_s=10)) as reader:
        reader.read(page(tmp_path), ".html")
        os.kill(pid(reader), signal.SIGSTOP)
        with pytest.raises(Unreadable, match="took longer than 10 s by the clock"):
            reader.read(page(tmp_path), ".html")
        assert reader.read(page(tmp_path), ".html").text == "words"


def test_a_process_that_was_killed_between_two_files_is_replaced(tmp_path: Path) -> None:
    with ConfinedReader(GENEROUS) as reader:
        reader.read(page(tmp_path), ".html")
        os.kill(pid(reader), signal.SIGKILL)
        os.waitid(os.P_PID, pid(reader), os.WEXITED | os.WNOWAIT)
        assert reader.read(page(tmp_path), ".html").text == "words"


def test_nothing_is_imported_from_the_folder_that_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "selectolax.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    with ConfinedReader(GENEROUS) as reader:
        assert reader.read(page(tmp_path), ".html").text == "words"
