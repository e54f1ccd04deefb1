"""The program `tribrid`: parses the command line, runs the command, and turns how it ended into an exit code.

0 done    1 failed    2 the call can be mended    3 not found    4 not ready for it    5 lacking here
6 unauthorized    7 `evaluate --gate`: the gate does not promote    130 interrupted or cancelled
141 nobody reads what we write
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer
from typer.main import get_command

import tribrid
from tribrid.cli import commands
from tribrid.cli.command import EXIT_BROKEN_PIPE, EXIT_INTERRUPTED, DataDir, Everywhere, Json, forget_stdout
from tribrid.cli.spoken import spoken
from tribrid.cli.terminal import Terminal
from tribrid.errors import InvalidInput, TribridError, Unavailable

_COLLECT_AFTER = 50_000
"""Objects made since the collector last looked; Python's own 700 is of the time of smaller programs."""

app = typer.Typer(
    name="tribrid",
    help="Search rankings that learn from what users did, with proof.",
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"tribrid {tribrid.__version__}\n")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _everywhere(
    ctx: typer.Context,
    data_dir: DataDir = None,
    as_json: Json = False,
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    from tribrid.config import keep_small_products_on_one_thread

    keep_small_products_on_one_thread()
    ctx.obj = Everywhere(data_dir, as_json)
    if ctx.invoked_subcommand is None:
        sys.stdout.write(ctx.get_help() + "\n")


commands.declare(app)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one command and end the process with its exit code."""
    # Most of a command's time goes into imports, which leave no garbage: the collector shall look seldom while they
    # are made, and not go through all of them once more at the end. A quarter of the processor time.
    gc.set_threshold(_COLLECT_AFTER)
    code = run(sys.argv[1:] if argv is None else argv)
    gc.freeze()
    sys.exit(code)


def run(argv: Sequence[str]) -> int:
    """Run one command; its exit code. A TribridError is told in words, never as a traceback."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character shows another, instead of ending the command.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        code = get_command(app).main(args=list(argv), prog_name="tribrid", standalone_mode=False)
        sys.stdout.flush()
    except TribridError as error:
        return _told(error, argv)
    except typer.TyperException as error:
        return _told(_usage(error), argv)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        forget_stdout()
        return EXIT_BROKEN_PIPE
    except OSError as error:
        return _told(_unusable(error), argv)
    return code if isinstance(code, int) else 0


def _told(error: TribridError, argv: Sequence[str]) -> int:
    options = argv[: argv.index("--")] if "--" in argv else argv
    terminal = Terminal(as_json="--json" in options)
    try:
        terminal.error(spoken(error.detail))
        if terminal.as_json:
            terminal.json({**error.problem(), "detail": spoken(error.detail)})
    except BrokenPipeError:
        forget_stdout()
    return error.exit_code


def _usage(error: typer.TyperException) -> InvalidInput:
    """What is wrong with the call itself, and where to read how it goes."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "tribrid"
    message = error.format_message().strip()
    return InvalidInput(f"{message}{'' if message.endswith('.') else '.'} Try: {path} --help")


def _unusable(error: OSError) -> Unavailable:
    """A file or folder that cannot be read or written, a full disk: the machine's, and the user's to mend."""
    where = f"{error.filename}: " if error.filename else ""
    return Unavailable(f"{where}{error.strerror or error}.", path=str(error.filename or ""))
