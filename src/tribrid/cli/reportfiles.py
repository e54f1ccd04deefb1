"""An evaluation's report as files: the web page, and the JUnit XML."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from tribrid.cli.command import Session
from tribrid.cli.library import Library
from tribrid.cli.spoken import spoken
from tribrid.errors import InvalidInput, TribridError

Html = Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the report as a web page.")]
JUnit = Annotated[
    Path | None, typer.Option("--junit", metavar="FILE", help="Also write its checks as JUnit XML, for CI.")
]


class ReportFiles(NamedTuple):
    """What is to be written where; None for what is not."""

    html: Path | None = None
    junit: Path | None = None

    def check(self) -> None:
        """Before the work: can these files be written at all?

        Raises:
            InvalidInput: the folder of one does not exist, or it is a folder itself.
        """
        for file in self:
            if file is not None and not file.absolute().parent.is_dir():
                raise InvalidInput(f"There is no folder {str(file.absolute().parent)!r} to write to.", path=str(file))
            if file is not None and file.is_dir():
                raise InvalidInput(f"{str(file)!r} is a folder: name a file in it.", path=str(file))

    def write(self, session: Session, tribrid: Library, evaluation_id: str) -> None:
        """Write them, and say so.

        Raises:
            EvaluationNotFound.
            InvalidInput: a file cannot be written.
        """
        _write(session, self.html, lambda: tribrid.evaluations.page(evaluation_id))
        _write(session, self.junit, lambda: tribrid.evaluations.junit(evaluation_id))

    def write_error(self, session: Session, corpus_id: str, error: TribridError) -> None:
        """Write that there is no verdict, and why, for the CI that shows the JUnit XML; there is no page of it.

        Raises:
            InvalidInput: the file cannot be written.
        """
        # Slow to import (see tribrid.cli).
        from tribrid.report.junit import render_junit_error

        _write(session, self.junit, lambda: render_junit_error(corpus_id, spoken(error.detail)))


def _write(session: Session, file: Path | None, render: Callable[[], str]) -> None:
    if file is None:
        return
    try:
        file.write_bytes(render().encode("utf-8", "replace"))
    except OSError as error:
        raise InvalidInput(f"{str(file)!r} cannot be written: {error.strerror}.", path=str(file)) from None
    session.terminal.note(f"Wrote {file}")
