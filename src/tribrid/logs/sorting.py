"""Sorts more lines than fit in memory: runs sorted in memory, spilled to nameless files, merged as they are read.

Memory is some two times `RUN_BYTES` (the lines held, the files' buffers), however many lines there are; a line is
written once more for each `FAN_IN` times more runs. A crash leaves no file behind: none of them has a name.

References: Knuth, The Art of Computer Programming 3, 5.4 (external sorting).
"""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO

from tribrid.errors import Unavailable

RUN_BYTES = 16 << 20
FAN_IN = 64
_MIN_BUFFER_BYTES = 1 << 12
# What Python holds for a short bytes object besides its bytes, and its place in the list.
_OVERHEAD_BYTES = 41


class SortedLines:
    """Lines without line feeds, handed back in byte order as often as one likes, one reading at a time."""

    def __init__(self, folder: Path | None = None, *, run_bytes: int = RUN_BYTES) -> None:
        """`folder`: where runs are spilled, the system's folder for temporary files by default."""
        self._folder = folder
        self._run_bytes = run_bytes
        self._buffer_bytes = max(_MIN_BUFFER_BYTES, run_bytes // FAN_IN)
        self._held: list[bytes] = []
        self._held_bytes = 0
        # Runs of level n are FAN_IN times as long as those of level n - 1, so that each line is merged few times.
        self._levels: list[list[IO[bytes]]] = []
        self._count = 0

    def __enter__(self) -> SortedLines:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None) -> None:
        self.close()

    def __len__(self) -> int:
        return self._count

    def add(self, line: bytes) -> None:
        """Take a line; it must hold no line feed.

        Raises:
            Unavailable: the disk does not take what no longer fits in memory.
        """
        self._held.append(line)
        self._held_bytes += len(line) + _OVERHEAD_BYTES
        self._count += 1
        if self._held_bytes >= self._run_bytes:
            self._spill()

    def __iter__(self) -> Iterator[bytes]:
        """Every line in byte order."""
        self._held.sort()
        runs = [_lines(run) for level in self._levels for run in level]
        return heapq.merge(iter(self._held), *runs) if runs else iter(self._held)

    def close(self) -> None:
        """Give memory and disk back."""
        for level in self._levels:
            for run in level:
                run.close()
        self._levels, self._held, self._held_bytes = [], [], 0

    def _spill(self) -> None:
        self._held.sort()
        self._keep(0, self._written(iter(self._held)))
        self._held, self._held_bytes = [], 0

    def _keep(self, level: int, run: IO[bytes]) -> None:
        if level == len(self._levels):
            self._levels.append([])
        runs = self._levels[level]
        runs.append(run)
        if len(runs) == FAN_IN:
            merged = self._written(heapq.merge(*map(_lines, runs)))
            for done in runs:
                done.close()
            runs.clear()
            self._keep(level + 1, merged)

    def _written(self, lines: Iterator[bytes]) -> IO[bytes]:
        with ExitStack() as closing:
            try:
                run: IO[bytes] = closing.enter_context(
                    tempfile.TemporaryFile(dir=self._folder, buffering=self._buffer_bytes)
                )
                run.writelines(line + b"\n" for line in lines)
                run.flush()
            except OSError as error:
                raise Unavailable(f"Records that wait cannot be stored: {error.strerror}. Free disk space.") from error
            closing.pop_all()
        return run


def _lines(run: IO[bytes]) -> Iterator[bytes]:
    run.seek(0)
    for line in run:
        yield line[:-1]
