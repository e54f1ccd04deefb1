"""Where output goes: results to stdout, progress and errors to stderr, never the two mixed.

With `--json`, stdout is exactly one JSON document. Text from outside (titles, snippets, file names) is shown without
its control characters: a document must not be able to drive the reader's terminal.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tribrid.errors import InvalidInput

# C0 and C1 controls, and the marks that turn the direction of what follows. Line breaks are the caller's.
_CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SURROGATES = re.compile("[\ud800-\udfff]")
# Wide enough for ids where nobody's window says how wide it is: a pipe, a file.
PIPE_WIDTH = 140

Justify = Literal["left", "right", "center"]


class Verbatim(str):
    """Text that must stay on one line, to be copied as it is: a command."""


def plain(text: object) -> str:
    """The text without what a terminal would obey."""
    return _SURROGATES.sub("�", _CONTROLS.sub("�", str(text)))


def one_line(text: object, limit: int) -> str:
    """The text on one line, cut to `limit` characters."""
    line = plain(" ".join(str(text).split()))
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


class _Console(Console):
    """Rich's, but a pipe that nobody reads is an exception as everywhere else, instead of an exit code 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return _Console(stderr=stderr, width=width, highlight=False, soft_wrap=False, emoji=False, markup=False)


class Terminal:
    """Both streams of one command."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.out = _console(stderr=False)
        self.err = _console(stderr=True)

    def json(self, document: Any) -> None:
        """The command's one document, as UTF-8 whatever the locale."""
        document = document.model_dump(mode="json") if hasattr(document, "model_dump") else document
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2)
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace") + b"\n")
        sys.stdout.buffer.flush()

    def result(self, document: Any, *shown: RenderableType) -> None:
        """End a command: the document for programs, or what people see."""
        if self.as_json:
            self.json(document)
            return
        for item in shown:
            self.show(item)

    def show(self, item: RenderableType) -> None:
        """Print to stdout; strings without markup and without control characters."""
        self.out.print(Text(plain(item)) if isinstance(item, str) else item, soft_wrap=isinstance(item, Verbatim))

    def note(self, text: str, style: str = "") -> None:
        """A line to stderr: what is going on, not what was asked for."""
        self.err.print(Text(plain(text), style=style), soft_wrap=isinstance(text, Verbatim))

    def confirm(self, question: str, *, yes: bool, refused: str) -> None:
        """Ask, unless `--yes` was said.

        Raises:
            InvalidInput: the answer is no, and that is what is `refused`; or nobody is there to be asked.
        """
        if yes:
            return
        if self.as_json or not sys.stdin.isatty():
            raise InvalidInput(f"{question} Say so with --yes.")
        if self.err.input(Text(f"{question} [y/N] ")).strip().lower() not in ("y", "yes"):
            raise InvalidInput(refused)

    def error(self, detail: str) -> None:
        self.err.print(Text.assemble(("error: ", "bold red"), plain(detail)), soft_wrap=True)


def table(columns: Sequence[str | tuple[str, Justify]], rows: Iterable[Sequence[object]], *, title: str = "") -> Table:
    """A table; cells are text, or Text that has its own style. A column is its head, or (head, justify)."""
    made = Table(title=title or None, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        head, justify = column if isinstance(column, tuple) else (column, "left")
        made.add_column(head, justify=justify, overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text("–" if cell is None else plain(cell)) for cell in row))
    return made


def facts(pairs: Mapping[str, object]) -> Table:
    """Names and values, one a line; those without a value are left out."""
    made = Table(show_header=False, box=None, pad_edge=False)
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    for name, value in pairs.items():
        if value is not None and value != "":
            made.add_row(name, value if isinstance(value, Text) else Text(plain(value)))
    return made


def indented(text: str, style: str = "") -> RenderableType:
    """A paragraph two columns in, all of its lines."""
    return Padding(Text(plain(text), style=style), (0, 0, 0, 2))


def seconds(value: float) -> str:
    """A duration as people say it: 0.42 s, 38 s, 2 min 10 s, 1 h 05 min."""
    if value < 1:
        return f"{value:.2f} s"
    if value < 10:
        return f"{value:.1f} s"
    if value < 100:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def moment(at: datetime | str | None) -> str:
    """A time in UTC (as text ISO 8601) to the minute."""
    return "" if at is None else f"{str(at)[:16].replace('T', ' ')} UTC"
