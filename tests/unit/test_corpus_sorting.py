"""More lines than fit: sorted all the same, as often as asked, with nothing left on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tribrid.errors import Unavailable
from tribrid.logs import sorting
from tribrid.logs.sorting import SortedLines

lines = st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=200)


@given(lines, st.sampled_from([1, 200, 1 << 20]))
@settings(max_examples=40, deadline=None)
def test_lines_come_back_in_byte_order(given_lines: list[bytes], run_bytes: int) -> None:
    with SortedLines(run_bytes=run_bytes) as kept:
        for line in given_lines:
            kept.add(line)
        assert len(kept) == len(given_lines)
        assert list(kept) == list(kept) == sorted(given_lines)


def test_a_disk_that_takes_nothing_is_said(tmp_path: Path) -> None:
    with SortedLines(tmp_path / "gone", run_bytes=1) as kept, pytest.raises(Unavailable, match="No such file"):
        kept.add(b"a")


def test_runs_are_merged_so_that_few_files_are_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, "FAN_IN", 3)
    opened = set()
    with SortedLines(tmp_path, run_bytes=1) as kept:
        for number in range(100):
            kept.add(b"%03d" % (number * 37 % 100))
            opened.add(sum(map(len, kept._levels)))
        assert list(kept) == [b"%03d" % number for number in range(100)]
        assert list(tmp_path.iterdir()) == []  # the files have no names: a crash leaves none behind
    assert max(opened) <= 10
