"""Columns in memory and in Parquet files, by DuckDB: the one module that knows it, imported when it is first needed.

It may use `MEMORY`, and a folder beside the data for what does not fit. It never loads an extension: what it needs is
in its wheel, and its own way to others is the network.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from tribrid.errors import Unavailable

MEMORY = "320MB"
_MOST_THREADS = 4
_AT_ONCE = 10_000


class Columns:
    """One connection. Not for several threads at once: each takes a `cursor`. Close it, or use it in a `with`."""

    def __init__(self, folder: Path, connection: Any = None) -> None:
        """`folder`: takes what does not fit in memory."""
        self._folder = folder
        self._connection = connection or _connected(folder)

    def __enter__(self) -> Columns:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None) -> None:
        self.close()

    def own(self, name: str) -> Columns:
        """Another connection, whose tables are in a database of their own, in memory, until `disown`."""
        columns = self.cursor()
        columns.run(f"ATTACH ':memory:' AS {name}")
        columns.run(f"USE {name}")
        return columns

    def disown(self, name: str) -> None:
        """Drop a database of `own`, whose connections are closed."""
        self.run(f"DETACH {name}")

    def cursor(self) -> Columns:
        """Another connection to the same; views that it makes are its own."""
        return Columns(self._folder, self._connection.cursor())

    def close(self) -> None:
        self._connection.close()

    def run(self, statement: str, *values: object) -> None:
        """Execute a statement.

        Raises:
            Unavailable: memory or disk is full, or a file cannot be read.
        """
        with _mapped():
            self._connection.execute(statement, list(values))

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows that it gives.

        Raises:
            Unavailable: as `run`.
        """
        with _mapped():
            found: list[tuple[Any, ...]] = self._connection.execute(statement, list(values)).fetchall()
        return found

    def one(self, statement: str, *values: object) -> tuple[Any, ...]:
        """The one row that it gives."""
        return self.rows(statement, *values)[0]

    def each(self, statement: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """Its rows, some at a time. The connection is busy until the last."""
        with _mapped():
            found = self._connection.execute(statement, list(values))
            while rows := found.fetchmany(_AT_ONCE):
                yield from rows

    def batches(self, statement: str, *values: object, rows: int) -> Iterator[Any]:
        """Its rows as columns, at most so many at a time. The connection is busy until the last."""
        with _mapped():
            yield from self._connection.sql(statement, params=list(values)).to_arrow_reader(rows)

    def whole(self, statement: str, *values: object) -> Any:
        """All its rows as columns, each in one piece."""
        import pyarrow as pa

        with _mapped():
            table = self._connection.sql(statement, params=list(values)).to_arrow_table()
        return pa.record_batch([column.combine_chunks() for column in table.columns], names=table.column_names)

    def table(self, name: str, columns: Mapping[str, tuple[str, Sequence[Any]]]) -> None:
        """Let statements of this connection read these columns (type, values) under a name."""
        import pyarrow as pa

        made = {column: pa.array(values, _arrow(kind)) for column, (kind, values) in columns.items()}
        with _mapped():
            self._connection.register(name, pa.table(made))

    def lines(self, name: str, block: bytes, ends: Any) -> None:
        """Let statements read a block of UTF-8 as rows `(n, text)`, n from 0.

        Args:
            ends: int32, of each line the byte after its last.
        """
        import numpy as np
        import pyarrow as pa

        offsets = np.concatenate([np.zeros(1, np.int32), ends.astype(np.int32)])
        text = pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(block))
        with _mapped():
            self._connection.register(name, pa.table({"n": pa.array(np.arange(len(ends))), "text": text}))


class Engine:
    """A process's DuckDB, made at its first use. Safe for threads."""

    def __init__(self, stage: Callable[[], Path]) -> None:
        """`stage`: makes a folder for what does not fit in memory: two processes must not share one."""
        self._stage = stage
        self._lock = threading.Lock()
        self._open: tuple[Columns, Path] | None = None

    def cursor(self) -> Columns:
        """A connection of the caller's own; close it."""
        with self._lock:
            if self._open is None:
                folder = self._stage()
                self._open = (Columns(folder), folder)
            columns, folder = self._open
            folder.mkdir(exist_ok=True)  # one that nobody wrote to for a week is swept
            return columns.cursor()

    def close(self) -> None:
        with self._lock:
            if self._open is not None:
                self._open[0].close()
                shutil.rmtree(self._open[1], ignore_errors=True)
                self._open = None


def quoted(text: str | Path) -> str:
    """A text as SQL has it."""
    return "'" + str(text).replace("'", "''") + "'"


def write(columns: Columns, statement: str, file: Path) -> None:
    """Write what a statement gives as Parquet, in its order.

    Raises:
        Unavailable: the disk does not take it.
    """
    form = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, PARQUET_VERSION v2"
    columns.run(f"COPY ({statement}) TO {quoted(file)} ({form})")


def _connected(folder: Path) -> Any:
    import duckdb

    return duckdb.connect(
        config={
            "memory_limit": MEMORY,
            "threads": min(_MOST_THREADS, os.cpu_count() or 1),
            "temp_directory": str(folder),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )


def _arrow(kind: str) -> Any:
    import pyarrow as pa

    plain = {"hash": pa.uint64(), "text": pa.string(), "int": pa.int64(), "real": pa.float64(), "flag": pa.bool_()}
    return pa.list_(plain[kind.removesuffix("s")]) if kind.endswith("s") else plain[kind]


@contextmanager
def _mapped() -> Iterator[None]:
    """DuckDB's errors in our words; what is wrong with a statement is ours to mend, and passes."""
    import duckdb

    try:
        yield
    except (duckdb.IOException, duckdb.OutOfMemoryException, duckdb.HTTPException) as error:
        why = str(error).partition("\n")[0]
        raise Unavailable(
            f"The log's files cannot be read or written: {why}. Free disk space, or ask again."
        ) from error
