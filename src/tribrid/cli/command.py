"""What every command has: `--data-dir` and `--json`, before or after the command's name."""

from __future__ import annotations

import functools
import inspect
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec

import typer

from tribrid.cli.terminal import Terminal
from tribrid.corpus.jsonlines import text_fault
from tribrid.errors import InvalidInput

EXIT_REFUSED = 7
"""The gate does not promote. Nothing failed: an error has a code of its own."""
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141

P = ParamSpec("P")

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="FOLDER",
        help="Folder that holds all state. Default: TRIBRID_DATA_DIR, else ~/.tribrid.",
        rich_help_panel="Everywhere",
    ),
]
Corpus = Annotated[str, typer.Argument(metavar="CORPUS", help="The corpus's id.")]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document, for programs.", rich_help_panel="Everywhere"),
]


@dataclass(frozen=True, slots=True)
class Session:
    """One call of one command. `data_dir` is None where the command line names none."""

    terminal: Terminal
    data_dir: Path | None

    @property
    def program(self) -> str:
        """How this program can be called from here: by its name, or where it is."""
        called = Path(sys.argv[0])
        if called.name != "tribrid":
            return f"{shlex.quote(sys.executable)} -m tribrid.cli"
        found = shutil.which("tribrid")
        if found is not None and Path(found).resolve() == called.resolve():
            return "tribrid"
        absolute, here = called.absolute(), Path.cwd()
        return shlex.quote(str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute))

    def typed(self, command: str) -> str:
        """A command to type next, on the same data folder."""
        folder = f" --data-dir {shlex.quote(str(self.data_dir))}" if self.data_dir else ""
        return f"{self.program}{folder} {command}"


@dataclass(frozen=True, slots=True)
class Everywhere:
    """The options as given before the command's name."""

    data_dir: Path | None
    as_json: bool


def command(
    app: typer.Typer, name: str, panel: str
) -> Callable[[Callable[Concatenate[Session, P], None]], Callable[Concatenate[Session, P], None]]:
    """Declare a command: a function whose first parameter is the Session and whose others are what can be typed."""

    def declare(function: Callable[Concatenate[Session, P], None]) -> Callable[Concatenate[Session, P], None]:
        @functools.wraps(function)
        def run(ctx: typer.Context, data_dir: Path | None, as_json: bool, **typed: Any) -> None:
            before: Everywhere = ctx.obj
            session = Session(Terminal(as_json=as_json or before.as_json), data_dir or before.data_dir)
            _check_text(typed)
            try:
                function(session, **typed)  # type: ignore[call-arg]
                sys.stdout.flush()
            except BrokenPipeError:
                forget_stdout()
                raise typer.Exit(EXIT_BROKEN_PIPE) from None

        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        parameters = [
            _keyword("ctx", typer.Context),
            *own,
            _keyword("data_dir", DataDir, default=None),
            _keyword("as_json", Json, default=False),
        ]
        parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
        # Typer reads what a command takes from its signature; **typed would tell it nothing.
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        app.command(name, rich_help_panel=panel)(run)
        return function

    return declare


def _check_text(typed: Mapping[str, Any]) -> None:
    """Refuse words that are not valid UTF-8. Lists are left alone: they hold paths, which may be anything."""
    for name, value in typed.items():
        if isinstance(value, str) and text_fault(value):
            raise InvalidInput(f"{name} {text_fault(value)}.", argument=name)


def forget_stdout() -> None:
    """Nobody reads it any more: let what is left to flush go nowhere, instead of failing as the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _keyword(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
